import { type CipherGCMTypes, createCipheriv, createDecipheriv } from "node:crypto";
import { concat } from "../bytes/concat.ts";
import { wipe } from "../bytes/wipe.ts";
import { EncryptionTransform } from "../iana/ikev2-parameters.ts";
import type { Transform } from "../wire/payloads/transform.ts";
import type { MessageCipher } from "./message-cipher.ts";
import { plainOctets } from "./plain-octets.ts";
import { encryptionSuite } from "./suites.ts";

/**
 * AES-GCM with a 16-octet ICV (RFC 5282) and ChaCha20-Poly1305 (RFC 7634 section 3) for the Encrypted payload.
 *
 *   nonce = salt (4, from the keying material) | IV (8, explicit)
 */
export function createAeadCipher(input: {
  readonly encryption: Transform;
  readonly keyAndSalt: Uint8Array;
}): MessageCipher {
  const { saltLength, ivLength, tagLength, blockLength } = encryptionSuite(input.encryption);
  const keyLength = input.keyAndSalt.length - saltLength;
  const key = new Uint8Array(input.keyAndSalt.subarray(0, keyLength));
  const salt = new Uint8Array(input.keyAndSalt.subarray(keyLength));
  const algorithm = nodeAlgorithm(input.encryption, keyLength);
  const options = { authTagLength: tagLength };
  let lastIv = -1n;
  let wiped = false;

  return {
    ivLength,
    icvLength: tagLength,
    blockLength,

    // No padding: the Pad Length octet alone (RFC 5282 section 3).
    bodyLength: (plaintextLength) => ivLength + plaintextLength + PAD_LENGTH_SIZE + tagLength,

    nextIv() {
      const iv = new Uint8Array(ivLength);
      new DataView(iv.buffer).setBigUint64(0, lastIv + 1n);
      return iv;
    },

    seal({ aad, plaintext, iv }) {
      if (wiped) throw new RangeError("the keys of this cipher are wiped");
      const value = ivValue(iv, ivLength);
      if (value <= lastIv) throw new RangeError("an IV must be above all that were used under the same key");
      lastIv = value;
      const cipher = createCipheriv(algorithm, key, concat(salt, iv), options);
      cipher.setAAD(aad, { plaintextLength: plaintext.length + PAD_LENGTH_SIZE });
      const padded = new Uint8Array(plaintext.length + PAD_LENGTH_SIZE);
      padded.set(plaintext);
      const ciphertext = cipher.update(padded);
      wipe(padded);
      cipher.final();
      return concat(iv, ciphertext, cipher.getAuthTag());
    },

    open({ aad, body }) {
      if (wiped || body.length < ivLength + PAD_LENGTH_SIZE + tagLength) return undefined;
      const iv = body.subarray(0, ivLength);
      const ciphertext = body.subarray(ivLength, body.length - tagLength);
      const decipher = createDecipheriv(algorithm, key, concat(salt, iv), options);
      decipher.setAAD(aad, { plaintextLength: ciphertext.length });
      decipher.setAuthTag(body.subarray(body.length - tagLength));
      const padded = plainOctets(decipher.update(ciphertext));
      try {
        decipher.final(); // compares the tag, in constant time
      } catch {
        wipe(padded);
        return undefined;
      }
      return withoutPadding(padded);
    },

    wipe() {
      wiped = true;
      wipe(key, salt);
    },
  };
}

export const PAD_LENGTH_SIZE = 1;

/** Strips Padding and Pad Length from decrypted octets; undefined when the pad claims more than there is. The pad's content is free (RFC 7296 section 3.14). */
export function withoutPadding(padded: Uint8Array): Uint8Array | undefined {
  const padLength = padded.at(-1);
  if (padLength === undefined) return undefined;
  const length = padded.length - PAD_LENGTH_SIZE - padLength;
  return length < 0 ? undefined : padded.subarray(0, length);
}

/** Both kinds take the same calls; the type of GCM stands for them. */
function nodeAlgorithm(encryption: Transform, keyLength: number): CipherGCMTypes {
  const isChaCha = encryption.id === EncryptionTransform.ENCR_CHACHA20_POLY1305;
  return (isChaCha ? "chacha20-poly1305" : `aes-${8 * keyLength}-gcm`) as CipherGCMTypes;
}

function ivValue(iv: Uint8Array, ivLength: number): bigint {
  if (iv.length !== ivLength) throw new RangeError(`an IV of ${iv.length} octets instead of ${ivLength}`);
  return new DataView(iv.buffer, iv.byteOffset, iv.length).getBigUint64(0);
}
