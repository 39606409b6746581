import { createHash } from "node:crypto";
import { ml_kem512, ml_kem768, ml_kem1024 } from "@noble/post-quantum/ml-kem.js";
import { afterEach, describe, expect, test } from "vitest";
import { agree, findGroup, type Group, respond } from "../../../src/crypto/key-exchange/group.ts";
import { NodeCryptoProvider } from "../../../src/crypto/key-exchange/node-crypto-provider.ts";
import { SeededCryptoProvider } from "../../../src/crypto/key-exchange/seeded-crypto-provider.ts";
import { ACCUMULATED, RUNS } from "../../vectors/ml-kem/vectors.ts";

const KEMS = { 35: ml_kem512, 36: ml_kem768, 37: ml_kem1024 } as const;
const IDS = [35, 36, 37] as const;
const group = (id: number): Group => findGroup(id)!;

test.each(ACCUMULATED)("group %d: a hundred runs come out as they do elsewhere", (id, expected) => {
  const kem = KEMS[id as (typeof IDS)[number]];
  const { answerLength = 0 } = group(id);
  const length = RUNS * (64 + 32 + answerLength);
  const stream = createHash("shake128", { outputLength: length }).digest();
  let at = 0;
  const next = (count: number) => {
    at += count;
    return new Uint8Array(stream.subarray(at - count, at));
  };
  const outcomes = createHash("shake128", { outputLength: 32 });
  for (let run = 0; run < RUNS; run++) {
    const { publicKey, secretKey } = kem.keygen(next(64));
    const { cipherText, sharedSecret } = kem.encapsulate(publicKey, next(32));
    outcomes.update(publicKey).update(cipherText).update(sharedSecret);
    expect(agree(group(id), secretKey, cipherText)).toEqual(sharedSecret);
    outcomes.update(agree(group(id), secretKey, next(answerLength)));
  }
  expect(outcomes.digest("hex")).toBe(expected);
});

describe.each(IDS)("group %d", (id) => {
  test("both sides come to one secret, and values have the lengths of FIPS 203", () => {
    const { publicValue, secret } = group(id).generate();
    expect(publicValue).toHaveLength(group(id).publicValueLength);
    const answer = respond(group(id), publicValue);
    expect(answer.publicValue).toHaveLength(group(id).answerLength!);
    expect(answer.sharedSecret).toHaveLength(32);
    expect(agree(group(id), secret, answer.publicValue)).toEqual(answer.sharedSecret);
  });

  test("a ciphertext that was changed gives another secret, and one of another length is refused", () => {
    const { publicValue, secret } = group(id).generate();
    const answer = respond(group(id), publicValue);
    const changed = answer.publicValue.slice();
    changed[17] = changed[17]! ^ 1;
    expect(agree(group(id), secret, changed)).not.toEqual(answer.sharedSecret);
    expect(() => agree(group(id), secret, changed.subarray(1))).toThrow(/octets instead of/);
  });

  test("an encapsulation key of another length, or with coefficients beyond the modulus, is refused", () => {
    const { publicValue } = group(id).generate();
    expect(() => respond(group(id), publicValue.subarray(1))).toThrow(/octets instead of/);
    // ByteEncode12: the first two coefficients are 4095.
    const beyond = publicValue.slice().fill(0xff, 0, 3);
    expect(() => respond(group(id), beyond)).toThrow("the public value is no key");
  });
});

describe("providers", () => {
  let provider: NodeCryptoProvider | undefined;
  afterEach(() => provider?.close());

  test.each([...IDS, 31, 20])("group %d: a responder answers in one step", async (id) => {
    provider = new NodeCryptoProvider();
    for (const each of [provider, new SeededCryptoProvider(1)]) {
      const pair = await each.run({ kind: "generate-key-pair", group: id });
      if (pair.kind !== "key-pair") throw new Error(JSON.stringify(pair));
      const { publicValue, privateKey } = pair;
      const answer = await each.run({ kind: "respond", group: id, peerPublicValue: publicValue });
      if (answer.kind !== "response") throw new Error(JSON.stringify(answer));
      const { answerLength = publicValue.length } = group(id);
      expect(answer.publicValue).toHaveLength(answerLength);
      const agreed = { kind: "agree", group: id, privateKey, peerPublicValue: answer.publicValue } as const;
      expect(await each.run(agreed)).toEqual({ kind: "shared-secret", sharedSecret: answer.sharedSecret });
      const short = publicValue.subarray(1);
      expect(await each.run({ kind: "respond", group: id, peerPublicValue: short })).toMatchObject({
        kind: "failed",
        reason: expect.stringContaining("octets instead of"),
      });
    }
  });
});
