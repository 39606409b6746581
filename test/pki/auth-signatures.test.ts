import {
  constants,
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  privateEncrypt,
  sign,
} from "node:crypto";
import { describe, expect, test } from "vitest";
import { concat } from "../../src/bytes/concat.ts";
import { fromHex, toHex } from "../../src/bytes/hex.ts";
import { AuthenticationMethod, HashAlgorithm } from "../../src/iana/ikev2-parameters.ts";
import { bitString, nothing, objectIdentifier, sequence, unsigned } from "../../src/pki/der-writer.ts";
import { Oid } from "../../src/pki/object-identifiers.ts";
import { keyTypeOf } from "../../src/pki/public-keys.ts";
import { signAuth } from "../../src/pki/sign-auth.ts";
import { type AuthClaim, faultOfSignature } from "../../src/pki/verify-auth.ts";
import { type SigningKeyName, signingKeys } from "../support/signing-keys.ts";

const octets = Buffer.from("message | nonce | prf(SK_p, identification)");
const { SHA1, SHA2_256, SHA2_384, SHA2_512, IDENTITY } = HashAlgorithm;
const { DIGITAL_SIGNATURE, RSA_DIGITAL_SIGNATURE } = AuthenticationMethod;
const EVERY_HASH = [SHA2_256, SHA2_384, SHA2_512, IDENTITY];

const credential = (name: SigningKeyName) => {
  const { privateKey: key } = signingKeys(name);
  return { key, keyType: keyTypeOf(key)! };
};
const claim = (name: SigningKeyName, fields: Pick<AuthClaim, "method" | "data"> & Partial<AuthClaim>) => ({
  publicKey: signingKeys(name).publicKey,
  octets,
  allowsSha1: false,
  ...fields,
});

// RFC 7427 appendix A, RFC 8420 section 2.
const IDENTIFIERS = {
  rsaSha256: "300d06092a864886f70d01010b0500",
  rsaSha384: "300d06092a864886f70d01010c0500",
  rsaSha512: "300d06092a864886f70d01010d0500",
  ecdsaSha256: "300a06082a8648ce3d040302",
  ecdsaSha384: "300a06082a8648ce3d040303",
  ecdsaSha512: "300a06082a8648ce3d040304",
  pssSha256:
    "304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120",
  ed25519: "300506032b6570",
  ed448: "300506032b6571",
} as const;

describe("how AUTH is signed", () => {
  test.each([
    ["rsa", [], 1, undefined],
    ["rsa", [SHA2_256, SHA2_384, SHA2_512], 14, IDENTIFIERS.rsaSha256],
    ["rsa", [SHA1, SHA2_384], 14, IDENTIFIERS.rsaSha384],
    ["rsa", [SHA2_512], 14, IDENTIFIERS.rsaSha512],
    ["p256", [], 9, undefined],
    ["p384", [], 10, undefined],
    ["p521", [], 11, undefined],
    ["p256", [SHA1], 9, undefined],
    ["p256", EVERY_HASH, 14, IDENTIFIERS.ecdsaSha256],
    ["p384", EVERY_HASH, 14, IDENTIFIERS.ecdsaSha384],
    ["p521", EVERY_HASH, 14, IDENTIFIERS.ecdsaSha512],
    ["p384", [SHA2_256], 14, IDENTIFIERS.ecdsaSha256],
    ["ed25519", EVERY_HASH, 14, IDENTIFIERS.ed25519],
    ["ed448", [IDENTITY], 14, IDENTIFIERS.ed448],
  ] as const)("%s for a peer that announced %j: method %d", async (name, hashes, method, identifier) => {
    const signed = await signAuth({ credential: credential(name), octets, hashes });
    expect(signed.method).toBe(method);
    if (identifier !== undefined) {
      const length = signed.data[0]!;
      expect(toHex(signed.data.subarray(1, 1 + length))).toBe(identifier);
    }
    expect(faultOfSignature(claim(name, { ...signed, allowsSha1: true }))).toBeUndefined();
  });

  test("RSASSA-PSS is for peers that asked for it, and never without a hash in common", async () => {
    const key = credential("rsa");
    const signed = await signAuth({ credential: key, octets, hashes: EVERY_HASH, prefersPss: true });
    expect(toHex(signed.data.subarray(1, 68))).toBe(IDENTIFIERS.pssSha256);
    expect(faultOfSignature(claim("rsa", signed))).toBeUndefined();
    const old = await signAuth({ credential: key, octets, hashes: [], prefersPss: true });
    expect(old.method).toBe(RSA_DIGITAL_SIGNATURE);
  });

  test.each([
    ["rsa", [SHA1], "SHA1"],
    ["rsa", [IDENTITY], "IDENTITY"],
    ["ed25519", [], "no hash"],
    ["ed448", [SHA2_256, 77], "SHA2_256, 77"],
  ] as const)("%s has nothing in common with a peer that announced %j", async (name, hashes, announced) => {
    await expect(signAuth({ credential: credential(name), octets, hashes })).rejects.toMatchObject({
      code: "NO_COMMON_SIGNATURE",
      message: expect.stringContaining(`it announced ${announced}`),
    });
  });
});

describe("how AUTH is verified", () => {
  test("SHA-1 under method 1 needs leave, SHA-2 under method 1 does not", async () => {
    const signed = await signAuth({ credential: credential("rsa"), octets, hashes: [] });
    expect(faultOfSignature(claim("rsa", signed))).toBe(
      "AUTH is signed with SHA-1, which is not allowed here",
    );
    for (const hash of ["sha256", "sha384", "sha512"]) {
      const data = sign(hash, octets, signingKeys("rsa").privateKey);
      expect(faultOfSignature(claim("rsa", { method: RSA_DIGITAL_SIGNATURE, data }))).toBeUndefined();
    }
  });

  test.each(["rsa", "p256", "p384", "p521", "ed25519", "ed448"] as const)(
    "%s: a bit flipped anywhere, other octets, a cut or a longer signature are refused",
    async (name) => {
      const hashLists = name.startsWith("ed") ? [EVERY_HASH] : [EVERY_HASH, []];
      for (const hashes of hashLists) {
        const { method, data } = await signAuth({ credential: credential(name), octets, hashes });
        const fault = (changed: Uint8Array): string | undefined =>
          faultOfSignature(claim(name, { method, data: changed, allowsSha1: true }));
        expect(fault(data)).toBeUndefined();
        for (let at = 0; at < data.length; at += 1 + (at >>> 4)) {
          const flipped = Uint8Array.from(data);
          flipped[at]! ^= 1 << (at & 7);
          expect(fault(flipped), `octet ${at}`).toBeDefined();
        }
        expect(fault(data.subarray(0, -1))).toBeDefined();
        expect(fault(concat(data, Uint8Array.of(0)))).toBeDefined();
        expect(fault(new Uint8Array(0))).toBeDefined();
        const other = { ...claim(name, { method, data, allowsSha1: true }), octets: octets.subarray(1) };
        expect(faultOfSignature(other)).toBeDefined();
      }
    },
  );

  test("a signature by another key or of another kind of key is refused", async () => {
    const names = ["rsa", "p256", "p384", "p521", "ed25519", "ed448"] as const;
    for (const name of names) {
      const signed = await signAuth({ credential: credential(name), octets, hashes: EVERY_HASH });
      for (const other of names.filter((candidate) => candidate !== name)) {
        expect(faultOfSignature(claim(other, signed)), `${name} as ${other}`).toBeDefined();
      }
    }
    const stranger = generateKeyPairSync("ed25519");
    const signed = await signAuth({
      credential: { key: stranger.privateKey, keyType: "ed25519" },
      octets,
      hashes: EVERY_HASH,
    });
    expect(faultOfSignature(claim("ed25519", signed))).toBe("AUTH: the signature (Ed25519) does not match");
  });

  test.each([2, 3, 12, 13, 0, 255])("method %d is no signature", (method) => {
    expect(faultOfSignature(claim("rsa", { method, data: Buffer.alloc(256, 1) }))).toMatch(
      /is no signature$/,
    );
  });

  test.each([
    ["SHA-1 with RSA", "300d06092a864886f70d0101050500", "sha1", "rsa"],
    ["SHA-1 with ECDSA", "300906072a8648ce3d0401", "sha1", "p256"],
  ] as const)("%s under method 14 is refused even where SHA-1 is allowed", (_, identifier, hash, name) => {
    const data = generic(identifier, sign(hash, octets, signingKeys(name).privateKey));
    const fault = faultOfSignature(claim(name, { method: DIGITAL_SIGNATURE, data, allowsSha1: true }));
    expect(fault).toMatch(/with SHA-1 has a hash that we did not announce$/);
  });

  test("ECDSA under the method of another curve is refused", async () => {
    const { data } = await signAuth({ credential: credential("p256"), octets, hashes: [] });
    for (const method of [10, 11])
      expect(faultOfSignature(claim("p256", { method, data }))).toMatch(/does not fit the peer's key$/);
  });
});

describe("forged AlgorithmIdentifiers", () => {
  const signature = sign("sha256", octets, {
    key: signingKeys("rsa").privateKey,
    padding: constants.RSA_PKCS1_PSS_PADDING,
    saltLength: 32,
  });
  const fault = (identifier: string, signed: Uint8Array = signature) =>
    faultOfSignature(claim("rsa", { method: DIGITAL_SIGNATURE, data: generic(identifier, signed) }));

  test("RSASSA-PSS with its hashes named without NULL is the same", () => {
    expect(fault(IDENTIFIERS.pssSha256)).toBeUndefined();
    expect(
      fault(
        "303f06092a864886f70d01010a3032a00d300b0609608648016503040201a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120",
      ),
    ).toBeUndefined();
  });

  test.each([
    ["no parameters", "300b06092a864886f70d01010a"],
    ["empty parameters: SHA-1 by default", "300d06092a864886f70d01010a3000"],
    ["another salt length", IDENTIFIERS.pssSha256.replace(/20$/, "14")],
    [
      "a salt length of 2^31",
      "304406092a864886f70d01010a3037a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402010500a2060204ffffffff",
    ],
    ["another hash in MGF1", IDENTIFIERS.pssSha256.replace(/040201(?!.*040201)/, "040202")],
    [
      "a trailer that is written out",
      "304606092a864886f70d01010a3039a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120a303020101",
    ],
    ["a length in two octets", `30810d${IDENTIFIERS.rsaSha256.slice(4)}`],
    ["octets behind it", `${IDENTIFIERS.pssSha256}0500`],
    ["MD5", "300d06092a864886f70d0101040500"],
    ["RSA encryption, not a signature", "300d06092a864886f70d0101010500"],
    ["nothing", ""],
  ])("%s", (_, identifier) => {
    expect(fault(identifier)).toMatch(/is not supported$|^AUTH: no AlgorithmIdentifier$/);
  });

  test("a length octet that reaches past the end, or has nothing behind it", () => {
    for (const data of [
      Uint8Array.of(),
      Uint8Array.of(15),
      Uint8Array.of(255, 0x30, 0x03),
      Uint8Array.of(0, 1, 2),
    ])
      expect(faultOfSignature(claim("rsa", { method: DIGITAL_SIGNATURE, data }))).toBe(
        "AUTH: no AlgorithmIdentifier",
      );
  });

  test("PKCS#1 v1.5 and PSS are not taken for one another", () => {
    const pkcs1 = sign("sha256", octets, signingKeys("rsa").privateKey);
    expect(fault(IDENTIFIERS.rsaSha256, pkcs1)).toBeUndefined();
    expect(fault(IDENTIFIERS.pssSha256, pkcs1)).toMatch(/does not match$/);
    expect(fault(IDENTIFIERS.rsaSha256, signature)).toMatch(/does not match$/);
  });
});

describe("forged RSA blocks", () => {
  const { privateKey } = signingKeys("rsa");
  const digest = createHash("sha256").update(octets).digest();
  const digestInfo = Buffer.concat([fromHex("3031300d060960864801650304020105000420"), digest]);

  /** 00 01 ff.. 00 | tail, the tail at the very end unless `behind` follows it. */
  const forged = (tail: Uint8Array, options: { behind?: number; type?: number; filler?: number } = {}) => {
    const { behind = 0, type = 1, filler = 0xff } = options;
    const block = Buffer.alloc(256, filler);
    block[0] = 0;
    block[1] = type;
    block[255 - behind - tail.length] = 0;
    block.set(tail, 256 - behind - tail.length);
    block.fill(0x5a, 256 - behind);
    const signature = privateEncrypt({ key: privateKey, padding: constants.RSA_NO_PADDING }, block);
    return faultOfSignature(
      claim("rsa", { method: DIGITAL_SIGNATURE, data: generic(IDENTIFIERS.rsaSha256, signature) }),
    );
  };

  test("the block that RFC 8017 describes is accepted, which shows that the others fail for what is wrong with them", () => {
    expect(forged(digestInfo)).toBeUndefined();
  });

  test.each([
    ["garbage behind the hash (CVE-2018-16152)", digestInfo, { behind: 16 }],
    ["block type 2", digestInfo, { type: 2 }],
    ["block type 0", digestInfo, { type: 0 }],
    ["filler of other octets", digestInfo, { filler: 0xfe }],
    ["a hash without DigestInfo", digest, {}],
    ["a hash cut short (CVE-2026-50722)", digestInfo.subarray(0, -1), {}],
    ["an empty hash", fromHex("3011300d060960864801650304020105000400"), {}],
    [
      "octets hidden in the parameters (CVE-2018-16151)",
      Buffer.concat([fromHex("3034301006096086480165030402010403ffffff0420"), digest]),
      {},
    ],
    [
      "an outer length in two octets",
      Buffer.concat([fromHex("308131300d060960864801650304020105000420"), digest]),
      {},
    ],
    ["another hash's name", Buffer.concat([fromHex("3031300d060960864801650304020205000420"), digest]), {}],
  ] as const)("%s", (_, tail, options) => {
    expect(forged(tail, options)).toMatch(/does not match$/);
  });

  test("the signature 0, 1, and n - 1", () => {
    const n = Buffer.from(signingKeys("rsa").publicKey.export({ format: "jwk" }).n!, "base64url");
    const below = Buffer.from(n);
    below[255]! -= 1;
    const one = Buffer.alloc(256);
    one[255] = 1;
    for (const signature of [Buffer.alloc(256), one, below, n, Buffer.alloc(256, 0xff)]) {
      for (const method of [RSA_DIGITAL_SIGNATURE, DIGITAL_SIGNATURE]) {
        const data = method === DIGITAL_SIGNATURE ? generic(IDENTIFIERS.rsaSha256, signature) : signature;
        expect(faultOfSignature(claim("rsa", { method, data, allowsSha1: true }))).toBeDefined();
      }
    }
  });
});

describe("keys that prove nothing", () => {
  const n = Buffer.from(signingKeys("rsa").publicKey.export({ format: "jwk" }).n!, "base64url");

  test.each([
    ["e = 0 (CVE-2017-9022, CVE-2026-14957)", n, Uint8Array.of(0)],
    ["e = 1", n, Uint8Array.of(1)],
    ["e = 3", n, Uint8Array.of(3)],
    ["e = 65536, even", n, Uint8Array.of(1, 0, 0)],
    ["e as long as n", n, n],
    ["n = 0", Uint8Array.of(0), Uint8Array.of(1, 0, 1)],
    ["n of 1024 bits", Buffer.alloc(128, 0xc5), Uint8Array.of(1, 0, 1)],
    ["n of 16384 bits", Buffer.alloc(2048, 0xc5), Uint8Array.of(1, 0, 1)],
  ])("RSA with %s", (_, modulus, exponent) => {
    const publicKey = rsaKey(modulus, exponent);
    for (const signature of [Buffer.alloc(modulus.length), Buffer.alloc(modulus.length, 1)])
      expect(
        faultOfSignature({
          publicKey,
          method: RSA_DIGITAL_SIGNATURE,
          data: signature,
          octets,
          allowsSha1: true,
        }),
      ).toMatch(/^AUTH: an RSA key (of|with) /);
  });

  test("ECDSA on a curve that IKEv2 does not name", async () => {
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "secp256k1" });
    const data = generic(IDENTIFIERS.ecdsaSha256, sign("sha256", octets, privateKey));
    const fault = faultOfSignature({
      publicKey,
      method: DIGITAL_SIGNATURE,
      data,
      octets,
      allowsSha1: false,
    });
    expect(fault).toBe("AUTH: the curve secp256k1 is not supported");
  });
});

describe("ECDSA numbers that prove nothing (CVE-2013-2944)", () => {
  const one = Uint8Array.of(1);
  const zero = Uint8Array.of(0);

  test.each([
    ["r = 0", zero, one],
    ["s = 0", one, zero],
    ["both", zero, zero],
  ])("%s", (_, r, s) => {
    const raw = Buffer.alloc(64);
    raw[31] = r[0]!;
    raw[63] = s[0]!;
    expect(faultOfSignature(claim("p256", { method: 9, data: raw }))).toMatch(/r or s of zero$/);
    const data = generic(IDENTIFIERS.ecdsaSha256, sequence(unsigned(r), unsigned(s)));
    expect(faultOfSignature(claim("p256", { method: DIGITAL_SIGNATURE, data }))).toMatch(/r or s of zero$/);
  });

  test.each([63, 65, 66, 0, 128])("r | s of %d octets", (length) => {
    const data = Buffer.alloc(length, 1);
    expect(faultOfSignature(claim("p256", { method: 9, data }))).toMatch(/instead of 64$/);
  });

  test.each([
    ["octets behind the sequence", (der: Uint8Array) => concat(der, Uint8Array.of(0))],
    [
      "octets behind s",
      (der: Uint8Array) => concat(Uint8Array.of(0x30, der[1]! + 2), der.subarray(2), nothing),
    ],
    ["a length in two octets", (der: Uint8Array) => concat(Uint8Array.of(0x30, 0x81), der.subarray(1))],
    ["r negative", (der: Uint8Array) => withFirstOctet(der, 0xff)],
    ["r of 40 octets", () => sequence(unsigned(Buffer.alloc(40, 1)), unsigned(one))],
  ])("DER with %s", (_, change) => {
    const good = sign("sha256", octets, signingKeys("p256").privateKey);
    const claimed = (der: Uint8Array) =>
      faultOfSignature(
        claim("p256", { method: DIGITAL_SIGNATURE, data: generic(IDENTIFIERS.ecdsaSha256, der) }),
      );
    expect(claimed(good)).toBeUndefined();
    expect(claimed(change(good))).toMatch(/^AUTH: (ECDSA signature:|an ECDSA signature too long)/);
  });
});

function generic(identifier: string, signature: Uint8Array): Uint8Array {
  const der = fromHex(identifier);
  return concat(Uint8Array.of(der.length), der, signature);
}

/** The INTEGER r begins with this octet instead, so that the number is negative. */
function withFirstOctet(der: Uint8Array, octet: number): Uint8Array {
  const changed = Uint8Array.from(der);
  changed[4] = octet;
  changed[5] = 0x7f;
  return changed;
}

function rsaKey(modulus: Uint8Array, exponent: Uint8Array): KeyObject {
  const key = sequence(
    sequence(objectIdentifier(Oid.rsaEncryption), nothing),
    bitString(sequence(unsigned(modulus), unsigned(exponent))),
  );
  return createPublicKey({ key: Buffer.from(key), format: "der", type: "spki" });
}
