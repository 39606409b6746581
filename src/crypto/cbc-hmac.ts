import { createCipheriv, createDecipheriv, createHmac } from "node:crypto";
import { concat } from "../bytes/concat.ts";
import { equal } from "../bytes/constant-time.ts";
import { wipe } from "../bytes/wipe.ts";
import type { Transform } from "../wire/payloads/transform.ts";
import { PAD_LENGTH_SIZE, withoutPadding } from "./aead.ts";
import type { MessageCipher } from "./message-cipher.ts";
import { encryptionSuite, integritySuite } from "./suites.ts";

/**
 * AES-CBC (RFC 3602) with a truncated HMAC (RFC 2404, RFC 4868) for the Encrypted payload: encrypt, then authenticate
 * everything from the first octet of the message up to the ICV (RFC 7296 section 3.14).
 */
export function createCbcHmacCipher(input: {
  readonly encryption: Transform;
  readonly integrity: Transform;
  readonly encryptionKey: Uint8Array;
  readonly integrityKey: Uint8Array;
}): MessageCipher {
  const { ivLength, blockLength } = encryptionSuite(input.encryption);
  const { hash, icvLength } = integritySuite(input.integrity);
  const encryptionKey = new Uint8Array(input.encryptionKey);
  const integrityKey = new Uint8Array(input.integrityKey);
  const algorithm = `aes-${8 * encryptionKey.length}-cbc`;
  let wiped = false;

  const checksum = (...parts: readonly Uint8Array[]): Uint8Array => {
    const hmac = createHmac(hash, integrityKey);
    for (const part of parts) hmac.update(part);
    return hmac.digest().subarray(0, icvLength);
  };

  return {
    ivLength,
    icvLength,
    blockLength,

    bodyLength: (plaintextLength) => ivLength + paddedLength(plaintextLength, blockLength) + icvLength,

    nextIv: (random) => random.bytes(ivLength),

    seal({ aad, plaintext, iv }) {
      if (wiped) throw new RangeError("the keys of this cipher are wiped");
      if (iv.length !== ivLength) throw new RangeError(`an IV of ${iv.length} octets instead of ${ivLength}`);
      const padded = pad(plaintext, blockLength);
      const cipher = createCipheriv(algorithm, encryptionKey, iv).setAutoPadding(false);
      const ciphertext = concat(cipher.update(padded), cipher.final());
      wipe(padded);
      return concat(iv, ciphertext, checksum(aad, iv, ciphertext));
    },

    open({ aad, body }) {
      const ciphertextLength = body.length - ivLength - icvLength;
      if (wiped || ciphertextLength < blockLength || ciphertextLength % blockLength !== 0) return undefined;
      const protectedBody = body.subarray(0, body.length - icvLength);
      // The checksum comes first: an attacker learns nothing from padding that is never looked at.
      if (!equal(checksum(aad, protectedBody), body.subarray(body.length - icvLength))) return undefined;
      const iv = protectedBody.subarray(0, ivLength);
      const decipher = createDecipheriv(algorithm, encryptionKey, iv).setAutoPadding(false);
      return withoutPadding(concat(decipher.update(protectedBody.subarray(ivLength)), decipher.final()));
    },

    wipe() {
      wiped = true;
      wipe(encryptionKey, integrityKey);
    },
  };
}

function paddedLength(plaintextLength: number, blockLength: number): number {
  return Math.ceil((plaintextLength + PAD_LENGTH_SIZE) / blockLength) * blockLength;
}

/** payloads | zeros | Pad Length: the shortest padding that fills the block. */
function pad(plaintext: Uint8Array, blockLength: number): Uint8Array {
  const padded = new Uint8Array(paddedLength(plaintext.length, blockLength));
  padded.set(plaintext);
  padded[padded.length - 1] = padded.length - plaintext.length - PAD_LENGTH_SIZE;
  return padded;
}
