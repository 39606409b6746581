import { x448 } from "@noble/curves/ed448.js";
import { x25519 } from "@noble/curves/ed25519.js";
import { describe, expect, test } from "vitest";
import { fromHex } from "../../src/bytes/hex.ts";
import { agree, findGroup, type Group, respond } from "../../src/crypto/key-exchange/group.ts";
import { NodeCryptoProvider } from "../../src/crypto/key-exchange/node-crypto-provider.ts";
import { type Call, loadOpenSsl } from "../../src/platform/native-ciphers/openssl.ts";
import { openMontgomeryCurves } from "../../src/platform/native-curves/montgomery-curves.ts";
import { AGREEMENT_VECTORS } from "../vectors/key-exchange/vectors.ts";

const refusals: string[] = [];
/** OpenSSL that shows its public interface alone. */
const publicAlone: typeof loadOpenSsl = (prototypes) => {
  if (Object.keys(prototypes).some((name) => name.startsWith("ossl_"))) throw new Error("not shown");
  return loadOpenSsl(prototypes);
};
const WAYS = {
  "plain functions": openMontgomeryCurves((what) => refusals.push(what)),
  "the public interface": openMontgomeryCurves((what) => refusals.push(what), publicAlone),
} as const;
const LENGTHS = { 31: 32, 32: 56 } as const;

test("the runtime's OpenSSL has both curves, in either way", () => {
  expect(refusals).toEqual([]);
  const [plain, byInterface] = Object.values(WAYS);
  for (const curves of [plain, byInterface]) expect(curves!.map(({ id }) => id)).toEqual([31, 32]);
  for (const [i, curve] of plain!.entries()) {
    expect(curve.constructor).not.toBe(byInterface![i]!.constructor);
  }
});

test.each(["ossl_x25519", "ossl_x25519_public_from_private"])(
  "where %s is another function, the public interface does",
  (wrong) => {
    const told: string[] = [];
    const load: typeof loadOpenSsl = (prototypes) => {
      const calls = loadOpenSsl(prototypes);
      return wrong in prototypes ? { ...calls, [wrong]: () => 1 } : calls;
    };
    const [first, second] = openMontgomeryCurves((what) => told.push(what), load);
    expect(told).toEqual([]);
    expect(first!.constructor).toBe(WAYS["the public interface"][0]!.constructor);
    expect(second!.constructor).toBe(WAYS["plain functions"][1]!.constructor);
  },
);

const TYPES = { 31: 1034, 32: 1035 } as const;
const NAMES = { 31: "X25519", 32: "X448" } as const;

/** OpenSSL where private keys of one type are made by `make`. */
function opensslWith(type: number, make: (real: Call) => Call): typeof loadOpenSsl {
  return (prototypes) => {
    const calls = publicAlone(prototypes);
    const real = (calls as Record<string, Call>).EVP_PKEY_new_raw_private_key!;
    const other = make(real);
    const EVP_PKEY_new_raw_private_key: Call = (...values) =>
      values[0] === type ? other(...values) : real(...values);
    return { ...calls, EVP_PKEY_new_raw_private_key };
  };
}

test.each([31, 32] as const)("where group %d is wrong it is left out, and the other stays", (wrong) => {
  const right = wrong === 31 ? 32 : 31;
  const another = opensslWith(TYPES[wrong], (real) => (type, engine, at, length) => {
    return real(type!, engine!, at! + 1, length!);
  });
  const none = opensslWith(TYPES[wrong], () => () => 0);
  for (const [load, why] of [
    [another, "it does not give the answer of RFC 7748"],
    [none, "it cannot be called: OpenSSL takes no private key"],
  ] as const) {
    const told: string[] = [];
    const left = openMontgomeryCurves((what) => told.push(what), load);
    expect(told).toEqual([`${NAMES[wrong]} of the runtime's OpenSSL: ${why}`]);
    expect(left.map(({ id }) => id)).toEqual([right]);
  }
});

test("without OpenSSL there is neither, and that is said of each", () => {
  const told: string[] = [];
  const load = () => {
    throw new Error("no such library");
  };
  expect(openMontgomeryCurves((what) => told.push(what), load)).toEqual([]);
  expect(told).toEqual([
    "X25519 of the runtime's OpenSSL: it cannot be called: no such library",
    "X448 of the runtime's OpenSSL: it cannot be called: no such library",
  ]);
});

describe.each(
  ([31, 32] as const).flatMap((id) =>
    (Object.keys(WAYS) as (keyof typeof WAYS)[]).map((way) => ({ id, way })),
  ),
)("group $id by $way", ({ id, way }) => {
  const curve = (): Group => WAYS[way].find((each) => each.id === id)!;
  const byNode = findGroup(id)!;
  const noble = id === 31 ? x25519 : x448;

  test("gives the secrets of RFC 7748", () => {
    const { privateKey, publicValue, peerPublicValue, sharedSecret } = AGREEMENT_VECTORS.find(
      ({ group }) => group === id,
    )!;
    const secret = fromHex(privateKey);
    expect(agree(curve(), secret, fromHex(peerPublicValue))).toEqual(fromHex(sharedSecret));
    expect(noble.getPublicKey(secret)).toEqual(fromHex(publicValue));
  });

  test("comes to what node:crypto comes to, in either role, with a new pair each time", () => {
    const seen = new Set<string>();
    for (let i = 0; i < 20; i++) {
      const [ours, theirs] = [curve().generate(), byNode.generate()];
      const shared = agree(curve(), ours.secret, theirs.publicValue);
      expect(agree(byNode, theirs.secret, ours.publicValue)).toEqual(shared);
      const answer = respond(curve(), theirs.publicValue);
      expect(agree(byNode, theirs.secret, answer.publicValue)).toEqual(answer.sharedSecret);
      for (const octets of [shared, ours.publicValue, answer.publicValue, answer.sharedSecret]) {
        expect(octets).toHaveLength(LENGTHS[id]);
        seen.add(octets.join());
      }
    }
    expect(seen.size).toBe(80);
  });

  test("refuses points of small order, and goes on", () => {
    // RFC 7748 section 6: u = 0 and u = 1 come to zero with every key.
    for (const u of [0, 1]) {
      const value = new Uint8Array(LENGTHS[id]);
      value[0] = u;
      const { secret } = curve().generate();
      expect(() => agree(curve(), secret, value)).toThrow("small order");
      expect(() => respond(curve(), value)).toThrow("no key");
    }
    const pair = curve().generate();
    expect(agree(curve(), pair.secret, pair.publicValue)).toHaveLength(LENGTHS[id]);
  });

  test("serves a provider in the place of its own", async () => {
    const used: string[] = [];
    const base = curve();
    const counted: Group = {
      id,
      publicValueLength: base.publicValueLength,
      sharedSecretLength: base.sharedSecretLength,
      isQuick: true,
      generate: () => {
        used.push("generate");
        return base.generate();
      },
      agree: (secret, value) => {
        used.push("agree");
        return base.agree(secret, value);
      },
      respond: (value) => {
        used.push("respond");
        return base.respond!(value);
      },
    };
    const provider = new NodeCryptoProvider({ groups: [counted] });
    const pair = await provider.run({ kind: "generate-key-pair", group: id });
    if (pair.kind !== "key-pair") throw new Error(JSON.stringify(pair));
    const peerPublicValue = pair.publicValue;
    const answer = await provider.run({ kind: "respond", group: id, peerPublicValue });
    if (answer.kind !== "response") throw new Error(JSON.stringify(answer));
    const { privateKey } = pair;
    const job = { kind: "agree", group: id, privateKey, peerPublicValue: answer.publicValue } as const;
    expect(await provider.run(job)).toMatchObject({ sharedSecret: answer.sharedSecret });
    expect(await provider.run(job)).toMatchObject({ reason: expect.stringContaining("has been used") });
    expect(used).toEqual(["generate", "respond", "agree"]);
    await provider.close();
  });
});
