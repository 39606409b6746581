import { createHmac } from "node:crypto";
import { expect, test } from "vitest";
import { toHex } from "../../src/bytes/hex.ts";
import {
  deriveChildKeys,
  deriveIkeKeys,
  deriveRekeyedIkeKeys,
  wipeIkeKeys,
} from "../../src/crypto/keymat.ts";

const octets = (length: number, first: number): Buffer =>
  Buffer.from(Array.from({ length }, (_, i) => (first + i) & 0xff));
const hmac = (hash: string, key: Uint8Array, data: Uint8Array): Buffer =>
  createHmac(hash, key).update(data).digest();

/** The recurrence of RFC 7296 section 2.13, written out once more with Buffers and nothing of ours. */
function expand(hash: string, key: Buffer, seed: Buffer, length: number): string {
  let t: Buffer = Buffer.alloc(0);
  let output: Buffer = Buffer.alloc(0);
  for (let n = 1; output.length < length; n++) {
    t = hmac(hash, key, Buffer.concat([t, seed, Buffer.of(n)]));
    output = Buffer.concat([output, t]);
  }
  return output.subarray(0, length).toString("hex");
}

const ni = octets(32, 0x10);
const nr = octets(40, 0x80);
const secret = octets(32, 0xc0);
const initiatorSpi = 0x0102030405060708n;
const responderSpi = 0xf1f2f3f4f5f6f7f8n;
const spis = Buffer.from("0102030405060708f1f2f3f4f5f6f7f8", "hex");

test("IKE keys come from SKEYSEED in the order d, ai, ar, ei, er, pi, pr", () => {
  const keys = deriveIkeKeys({
    prfId: 5,
    ni,
    nr,
    sharedSecret: secret,
    initiatorSpi,
    responderSpi,
    lengths: { encryptionKeyLength: 24, integrityKeyLength: 20 },
  });
  const skeyseed = hmac("sha256", Buffer.concat([ni, nr]), secret);
  const keymat = expand("sha256", skeyseed, Buffer.concat([ni, nr, spis]), 32 + 20 + 20 + 24 + 24 + 32 + 32);
  const { skD, skAi, skAr, skEi, skEr, skPi, skPr } = keys;
  expect([skD, skAi, skAr, skEi, skEr, skPi, skPr].map(toHex).join("")).toBe(keymat);
  expect([skD, skAi, skAr, skEi, skEr, skPi, skPr].map(({ length }) => length)).toEqual([
    32, 20, 20, 24, 24, 32, 32,
  ]);
});

test("a combined-mode suite has no SK_a", () => {
  const lengths = { encryptionKeyLength: 36, integrityKeyLength: 0 };
  const keys = deriveIkeKeys({ prfId: 6, ni, nr, sharedSecret: secret, initiatorSpi, responderSpi, lengths });
  const skeyseed = hmac("sha384", Buffer.concat([ni, nr]), secret);
  const keymat = expand("sha384", skeyseed, Buffer.concat([ni, nr, spis]), 3 * 48 + 2 * 36);
  expect(keys.skAi).toHaveLength(0);
  expect(keys.skAr).toHaveLength(0);
  expect([keys.skD, keys.skEi, keys.skEr, keys.skPi, keys.skPr].map(toHex).join("")).toBe(keymat);
});

test("a rekeyed IKE SA makes SKEYSEED with the old PRF and expands it with the new one", () => {
  const oldSkD = octets(20, 1);
  const keys = deriveRekeyedIkeKeys({
    oldPrfId: 2,
    oldSkD,
    prfId: 7,
    ni,
    nr,
    sharedSecret: secret,
    initiatorSpi,
    responderSpi,
    lengths: { encryptionKeyLength: 20, integrityKeyLength: 0 },
  });
  const skeyseed = hmac("sha1", oldSkD, Buffer.concat([secret, ni, nr]));
  const keymat = expand("sha512", skeyseed, Buffer.concat([ni, nr, spis]), 3 * 64 + 2 * 20);
  expect([keys.skD, keys.skEi, keys.skEr, keys.skPi, keys.skPr].map(toHex).join("")).toBe(keymat);
});

test("KEYMAT of a child SA begins with the direction from the initiator to the responder", () => {
  const skD = octets(32, 7);
  const { initiatorToResponder, responderToInitiator } = deriveChildKeys({
    prfId: 5,
    skD,
    ni,
    nr,
    keyLength: 36,
  });
  expect(toHex(initiatorToResponder) + toHex(responderToInitiator)).toBe(
    expand("sha256", skD, Buffer.concat([ni, nr]), 72),
  );
});

test("a key exchange within CREATE_CHILD_SA goes before the nonces", () => {
  const skD = octets(32, 7);
  const keys = deriveChildKeys({ prfId: 5, skD, ni, nr, sharedSecret: secret, keyLength: 20 });
  expect(toHex(keys.initiatorToResponder) + toHex(keys.responderToInitiator)).toBe(
    expand("sha256", skD, Buffer.concat([secret, ni, nr]), 40),
  );
  expect(toHex(secret)).toBe(toHex(octets(32, 0xc0)));
});

test("secrets of further key exchanges go behind the nonces (RFC 9370 section 2.2.4)", () => {
  const furtherSecrets = octets(80, 0x11);
  const keyed = Buffer.concat([secret, ni, nr, furtherSecrets]);
  const skD = octets(32, 7);
  const child = deriveChildKeys({
    prfId: 5,
    skD,
    ni,
    nr,
    sharedSecret: secret,
    furtherSecrets,
    keyLength: 20,
  });
  expect(toHex(child.initiatorToResponder) + toHex(child.responderToInitiator)).toBe(
    expand("sha256", skD, keyed, 40),
  );
  const keys = deriveRekeyedIkeKeys({
    oldPrfId: 5,
    oldSkD: skD,
    prfId: 7,
    ni,
    nr,
    sharedSecret: secret,
    furtherSecrets,
    initiatorSpi,
    responderSpi,
    lengths: { encryptionKeyLength: 20, integrityKeyLength: 0 },
  });
  const keymat = expand("sha512", hmac("sha256", skD, keyed), Buffer.concat([ni, nr, spis]), 3 * 64 + 2 * 20);
  expect([keys.skD, keys.skEi, keys.skEr, keys.skPi, keys.skPr].map(toHex).join("")).toBe(keymat);
});

test("wiped IKE keys are zeros", () => {
  const lengths = { encryptionKeyLength: 36, integrityKeyLength: 20 };
  const keys = deriveIkeKeys({ prfId: 5, ni, nr, sharedSecret: secret, initiatorSpi, responderSpi, lengths });
  wipeIkeKeys(keys);
  for (const key of Object.values(keys)) expect(toHex(key)).toMatch(/^(00)+$/);
});
