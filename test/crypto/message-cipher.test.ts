import { createDecipheriv, createHmac } from "node:crypto";
import { gcm } from "@noble/ciphers/aes.js";
import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { toHex } from "../../src/bytes/hex.ts";
import { createMessageCipher, type MessageCipher } from "../../src/crypto/message-cipher.ts";
import { isAead, keyLengths } from "../../src/crypto/suites.ts";
import { EncryptionTransform, IntegrityTransform, TransformType } from "../../src/iana/ikev2-parameters.ts";
import type { Transform } from "../../src/wire/payloads/transform.ts";

const { ENCR_AES_CBC, ENCR_AES_GCM_16, ENCR_CHACHA20_POLY1305 } = EncryptionTransform;
const encr = (id: number, keyLength?: number): Transform =>
  keyLength === undefined ? { type: TransformType.ENCR, id } : { type: TransformType.ENCR, id, keyLength };
const integ = (id: number): Transform => ({ type: TransformType.INTEG, id });

const AEADS = [
  encr(ENCR_AES_GCM_16, 128),
  encr(ENCR_AES_GCM_16, 192),
  encr(ENCR_AES_GCM_16, 256),
  encr(ENCR_CHACHA20_POLY1305),
];
const HMACS = [
  IntegrityTransform.AUTH_HMAC_SHA1_96,
  IntegrityTransform.AUTH_HMAC_SHA2_256_128,
  IntegrityTransform.AUTH_HMAC_SHA2_384_192,
  IntegrityTransform.AUTH_HMAC_SHA2_512_256,
].map(integ);
const SUITES = [
  ...AEADS.map((encryption) => ({ encryption, integrity: undefined })),
  ...[128, 192, 256].flatMap((bits) =>
    HMACS.map((integrity) => ({ encryption: encr(ENCR_AES_CBC, bits), integrity })),
  ),
].map((suite) => ({
  ...suite,
  name: `${suite.encryption.id}/${suite.encryption.keyLength} with ${suite.integrity?.id}`,
}));

const counting = (length: number, first = 1): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (first + i) & 0xff);
const random = { bytes: (length: number) => counting(length, 0x51) };

function keysFor(suite: { encryption: Transform; integrity: Transform | undefined }) {
  const lengths = keyLengths(suite);
  return {
    encryptionKey: counting(lengths.encryptionKeyLength),
    integrityKey: counting(lengths.integrityKeyLength, 99),
  };
}

function cipherFor(suite: { encryption: Transform; integrity: Transform | undefined }): MessageCipher {
  return createMessageCipher({ ...suite, ...keysFor(suite) });
}

describe.each(SUITES)("suite $name", (suite) => {
  test("open undoes seal, and bodyLength foretells the length", () => {
    const cipher = cipherFor(suite);
    for (let length = 0; length < 70; length++) {
      const plaintext = counting(length, 7);
      const aad = counting(32 + length, 3);
      const body = cipher.seal({ aad, plaintext, iv: cipher.nextIv(random) });
      expect(body).toHaveLength(cipher.bodyLength(length));
      expect((body.length - cipher.ivLength - cipher.icvLength) % cipher.blockLength).toBe(0);
      expect(cipherFor(suite).open({ aad, body })).toEqual(plaintext);
    }
  });

  test("a flipped bit anywhere in body or associated data is refused", () => {
    const cipher = cipherFor(suite);
    const aad = counting(32);
    const body = cipher.seal({ aad, plaintext: counting(21), iv: cipher.nextIv(random) });
    for (const part of [aad, body]) {
      for (let bit = 0; bit < 8 * part.length; bit++) {
        part[bit >>> 3]! ^= 1 << (bit & 7);
        expect(cipher.open({ aad, body })).toBeUndefined();
        part[bit >>> 3]! ^= 1 << (bit & 7);
      }
    }
    expect(cipher.open({ aad, body })).toEqual(counting(21));
  });

  test("a body cut at any octet, or longer than it was, is refused", () => {
    const cipher = cipherFor(suite);
    const aad = counting(32);
    const body = cipher.seal({ aad, plaintext: counting(40), iv: cipher.nextIv(random) });
    for (let length = 0; length < body.length; length++) {
      expect(cipher.open({ aad, body: body.subarray(0, length) })).toBeUndefined();
    }
    expect(cipher.open({ aad, body: new Uint8Array([...body, 0]) })).toBeUndefined();
    expect(cipher.open({ aad, body: new Uint8Array([...body, ...new Uint8Array(16)]) })).toBeUndefined();
  });

  test("random octets are refused, whatever their length", () => {
    const cipher = cipherFor(suite);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.uint8Array({ maxLength: 60 }), (body, aad) => {
        expect(cipher.open({ aad, body })).toBeUndefined();
      }),
      { seed: 4, numRuns: 200 },
    );
  });

  test("the cipher keeps copies of its keys and forgets them when wiped", () => {
    const keys = keysFor(suite);
    const buffers = {
      encryptionKey: Buffer.from(keys.encryptionKey),
      integrityKey: Buffer.from(keys.integrityKey),
    };
    const cipher = createMessageCipher({ ...suite, ...buffers });
    buffers.encryptionKey.fill(0);
    buffers.integrityKey.fill(0);
    const sealed = { aad: counting(28), plaintext: counting(9), iv: cipher.nextIv(random) };
    const body = cipher.seal(sealed);
    expect(body).toEqual(cipherFor(suite).seal(sealed));
    cipher.wipe();
    expect(cipher.open({ aad: sealed.aad, body })).toBeUndefined();
    expect(() => cipher.seal({ ...sealed, iv: counting(cipher.ivLength, 0x70) })).toThrow(/wiped/);
  });
});

test.each(AEADS)("AEAD $id/$keyLength agrees with @noble/ciphers under nonce = salt | IV", (encryption) => {
  const suite = { encryption, integrity: undefined };
  const { encryptionKey } = keysFor(suite);
  const key = encryptionKey.subarray(0, -4);
  const iv = counting(8, 0x30);
  const nonce = new Uint8Array([...encryptionKey.subarray(-4), ...iv]);
  const aad = counting(32);
  const plaintext = counting(100);
  const reference =
    encryption.id === ENCR_AES_GCM_16 ? gcm(key, nonce, aad) : chacha20poly1305(key, nonce, aad);
  const expected = reference.encrypt(new Uint8Array([...plaintext, 0]));
  expect(toHex(cipherFor(suite).seal({ aad, plaintext, iv }))).toBe(toHex(iv) + toHex(expected));
});

test("AES-CBC with HMAC is IV | E(plaintext | zeros | pad length) | HMAC over everything before", () => {
  const suite = { encryption: encr(ENCR_AES_CBC, 256), integrity: HMACS[1]! };
  const { encryptionKey, integrityKey } = keysFor(suite);
  const aad = counting(32);
  const iv = counting(16, 0x40);
  const body = cipherFor(suite).seal({ aad, plaintext: counting(20), iv });
  const decipher = createDecipheriv("aes-256-cbc", encryptionKey, iv).setAutoPadding(false);
  const padded = Buffer.concat([decipher.update(body.subarray(16, -16)), decipher.final()]);
  expect(padded.toString("hex")).toBe(`${toHex(counting(20))}${"00".repeat(11)}0b`);
  const icv = createHmac("sha256", integrityKey).update(aad).update(body.subarray(0, -16)).digest();
  expect(toHex(body.subarray(-16))).toBe(icv.subarray(0, 16).toString("hex"));
});

test("open strips padding of any content and up to 255 octets, and refuses a pad longer than the text", () => {
  const encryption = AEADS[0]!;
  const { encryptionKey } = keysFor({ encryption, integrity: undefined });
  const key = encryptionKey.subarray(0, -4);
  const aad = counting(32);
  const sealPadded = (padded: Uint8Array): Uint8Array => {
    const iv = counting(8);
    const nonce = new Uint8Array([...encryptionKey.subarray(-4), ...iv]);
    return new Uint8Array([...iv, ...gcm(key, nonce, aad).encrypt(padded)]);
  };
  const cipher = cipherFor({ encryption, integrity: undefined });
  const open = (padded: number[]): Uint8Array | undefined =>
    cipher.open({ aad, body: sealPadded(new Uint8Array(padded)) });
  expect(open([1, 2, 3, 0])).toEqual(Uint8Array.of(1, 2, 3));
  expect(open([1, 2, 3, 77, 66, 2])).toEqual(Uint8Array.of(1, 2, 3));
  expect(open([9, ...counting(255), 255])).toEqual(Uint8Array.of(9));
  expect(open([1, 2, 2])).toEqual(new Uint8Array(0));
  expect(open([1, 2, 3])).toBeUndefined();
  expect(open([])).toBeUndefined();
});

test.each(AEADS)("AEAD $id/$keyLength never takes an IV twice, nor one below the last", (encryption) => {
  const cipher = cipherFor({ encryption, integrity: undefined });
  const message = { aad: counting(28), plaintext: counting(4) };
  const first = cipher.nextIv(random);
  cipher.seal({ ...message, iv: first });
  expect(() => cipher.seal({ ...message, iv: first })).toThrow(RangeError);
  const second = cipher.nextIv(random);
  expect(second).not.toEqual(first);
  cipher.seal({ ...message, iv: Uint8Array.of(0, 0, 0, 1, 0, 0, 0, 0) });
  expect(() => cipher.seal({ ...message, iv: second })).toThrow(/above all/);
});

test("CBC asks the random source for each IV", () => {
  const cipher = cipherFor({ encryption: encr(ENCR_AES_CBC, 128), integrity: HMACS[0]! });
  expect(cipher.nextIv({ bytes: (length) => counting(length, 0xa0) })).toEqual(counting(16, 0xa0));
});

test("key lengths count the salt, and SK_a has none under a combined-mode cipher", () => {
  expect(AEADS.map((encryption) => keyLengths({ encryption }).encryptionKeyLength)).toEqual([20, 28, 36, 36]);
  expect(AEADS.map((encryption) => keyLengths({ encryption }).integrityKeyLength)).toEqual([0, 0, 0, 0]);
  expect(HMACS.map((integrity) => keyLengths({ encryption: encr(ENCR_AES_CBC, 192), integrity }))).toEqual(
    [20, 32, 48, 64].map((integrityKeyLength) => ({ encryptionKeyLength: 24, integrityKeyLength })),
  );
  expect(AEADS.every(isAead)).toBe(true);
  expect(isAead(encr(ENCR_AES_CBC, 128))).toBe(false);
});

test("transforms that this build lacks are refused, as are keys of another length", () => {
  const none = new Uint8Array(0);
  expect(() => keyLengths({ encryption: encr(EncryptionTransform.ENCR_3DES) })).toThrow(RangeError);
  expect(() => keyLengths({ encryption: encr(ENCR_AES_GCM_16) })).toThrow(RangeError);
  expect(() => keyLengths({ encryption: encr(ENCR_AES_GCM_16, 512) })).toThrow(RangeError);
  expect(() => keyLengths({ encryption: encr(ENCR_CHACHA20_POLY1305, 256) })).toThrow(RangeError);
  expect(() => keyLengths({ encryption: encr(ENCR_AES_CBC, 128) })).toThrow(/integrity/);
  expect(() =>
    createMessageCipher({ encryption: AEADS[0]!, encryptionKey: counting(16), integrityKey: none }),
  ).toThrow("encryption key has 16 octets instead of 20");
});
