import type { Transform } from "../wire/payloads/transform.ts";
import { createAeadCipher } from "./aead.ts";
import { createCbcHmacCipher } from "./cbc-hmac.ts";
import { encryptionSuite, isAead, keyLengths } from "./suites.ts";

/**
 * Protection of the Encrypted payload in one direction, RFC 7296 section 3.14. What it makes and takes is the payload's body:
 *
 *   Initialization Vector | encrypted (payloads | Padding | Pad Length) | Integrity Checksum Data
 *
 * `aad` is everything before the body: IKE header, unencrypted payloads and the generic header of SK (and the fragment
 * numbers of SKF), with the final lengths already in place (RFC 5282 section 5.1).
 */
export interface MessageCipher {
  readonly ivLength: number;
  readonly icvLength: number;
  /** Ciphertext comes in multiples of this; 1 for combined-mode ciphers. */
  readonly blockLength: number;
  /** Length of the body that `plaintextLength` octets of payloads become. */
  bodyLength(plaintextLength: number): number;
  /**
   * An IV fit for the next `seal`: a counter for combined-mode ciphers, whose IV must never repeat under a key, and random
   * octets for CBC, whose IV must not be foreseen.
   */
  nextIv(random: { bytes(length: number): Uint8Array }): Uint8Array;
  /**
   * Pads, encrypts and authenticates. A combined-mode cipher throws RangeError for an IV that is not above all IVs before
   * it, so that no nonce is used twice.
   */
  seal(input: {
    readonly aad: Uint8Array;
    readonly plaintext: Uint8Array;
    readonly iv: Uint8Array;
  }): Uint8Array;
  /** The payloads without padding, or undefined for a body that is forged, damaged or of impossible length. */
  open(input: { readonly aad: Uint8Array; readonly body: Uint8Array }): Uint8Array | undefined;
  /** Overwrites the keys. The cipher is of no use afterwards: `open` answers undefined and `seal` throws. */
  wipe(): void;
}

/**
 * The cipher for one direction of an IKE SA. Takes its own copies of the keys, whose lengths are those of `keyLengths`
 * (salt at the end of the encryption key). Throws RangeError for transforms that this build lacks or keys of another length.
 */
export function createMessageCipher(input: {
  readonly encryption: Transform;
  readonly integrity?: Transform | undefined;
  readonly encryptionKey: Uint8Array;
  readonly integrityKey: Uint8Array;
}): MessageCipher {
  const { encryption, integrity, encryptionKey, integrityKey } = input;
  if (!encryptionSuite(encryption).ike)
    throw new RangeError(`IKE has no encryption transform ${encryption.id}`);
  const lengths = keyLengths({ encryption, integrity });
  checkLength("encryption key", encryptionKey, lengths.encryptionKeyLength);
  checkLength("integrity key", integrityKey, lengths.integrityKeyLength);
  if (isAead(encryption)) return createAeadCipher({ encryption, keyAndSalt: encryptionKey });
  // keyLengths has refused a cipher without integrity.
  return createCbcHmacCipher({ encryption, integrity: integrity!, encryptionKey, integrityKey });
}

function checkLength(name: string, key: Uint8Array, expected: number): void {
  if (key.length !== expected)
    throw new RangeError(`${name} has ${key.length} octets instead of ${expected}`);
}
