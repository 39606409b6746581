import { createHmac } from "node:crypto";
import { expect, test } from "vitest";
import { fromHex, toHex } from "../../src/bytes/hex.ts";
import { prf, prfKeyLength, prfOutputLength, prfPlus } from "../../src/crypto/prf.ts";
import { PrfTransform } from "../../src/iana/ikev2-parameters.ts";
import { HMAC_VECTORS } from "../vectors/hmac/vectors.ts";

const { PRF_HMAC_SHA1, PRF_HMAC_SHA2_256, PRF_HMAC_SHA2_384, PRF_HMAC_SHA2_512 } = PrfTransform;
const ALL = [PRF_HMAC_SHA1, PRF_HMAC_SHA2_256, PRF_HMAC_SHA2_384, PRF_HMAC_SHA2_512];

test.each(HMAC_VECTORS)("the PRFs give the HMAC of $source", ({ prfId, key, data, expected }) => {
  const whole = fromHex(data);
  expect(toHex(prf(prfId, fromHex(key), whole))).toBe(expected);
  expect(toHex(prf(prfId, fromHex(key), whole.subarray(0, 3), whole.subarray(3)))).toBe(expected);
});

test.each(ALL)("prf+ of PRF %d is T1 | T2 | ... with T(n) = prf(K, T(n-1) | S | n)", (prfId) => {
  const hash = { 2: "sha1", 5: "sha256", 6: "sha384", 7: "sha512" }[prfId as 2 | 5 | 6 | 7];
  const key = fromHex("0b".repeat(20));
  const seed = new TextEncoder().encode("Ni | Nr | SPIi | SPIr");
  let t: Buffer = Buffer.alloc(0);
  const expected: Buffer[] = [];
  for (let n = 1; n <= 5; n++) {
    t = createHmac(hash, key).update(t).update(seed).update(Buffer.of(n)).digest();
    expected.push(t);
  }
  const whole = Buffer.concat(expected);
  for (const length of [0, 1, 19, 20, 21, 64, whole.length - 1, whole.length]) {
    expect(toHex(prfPlus({ prfId, key, seed, length }))).toBe(whole.subarray(0, length).toString("hex"));
  }
});

test("prf+ ends after 255 blocks and says so", () => {
  const input = { prfId: PRF_HMAC_SHA2_256, key: new Uint8Array(32), seed: new Uint8Array(1) };
  expect(prfPlus({ ...input, length: 255 * 32 })).toHaveLength(255 * 32);
  expect(() => prfPlus({ ...input, length: 255 * 32 + 1 })).toThrow(/at most 8160 octets, 8161/);
});

test("keys and output of a PRF are as long as its hash", () => {
  expect(ALL.map(prfKeyLength)).toEqual([20, 32, 48, 64]);
  expect(ALL.map(prfOutputLength)).toEqual([20, 32, 48, 64]);
});

test("a PRF that this build lacks is a RangeError that names it", () => {
  expect(() => prf(PrfTransform.PRF_HMAC_MD5, new Uint8Array(16))).toThrow(RangeError);
  expect(() => prfKeyLength(99)).toThrow("this build has no PRF 99");
});
