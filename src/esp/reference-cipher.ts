// What protects an ESP packet, with node:crypto: each suite in the words of its RFC, beside reference.ts.

import { createCipheriv, createDecipheriv, createHmac } from "node:crypto";
import { equal } from "../bytes/constant-time.ts";
import { EncryptionTransform, IntegrityTransform } from "../iana/ikev2-parameters.ts";
import type { EspTransforms } from "./suites.ts";

export interface ReferenceCipher {
  readonly ivLength: number;
  readonly icvLength: number;
  /** Texts are padded to a multiple of so many octets. */
  readonly unit: number;
  /** Whether the cipher can do nothing with other lengths. */
  readonly takesWholeBlocks: boolean;
  ivOf(sequence: bigint): Uint8Array;
  /** Ciphertext and ICV. */
  seal(packet: Numbered & { readonly plaintext: Uint8Array }): Uint8Array;
  /** The plaintext, or undefined for a forgery. */
  open(packet: Numbered & { readonly sealed: Uint8Array }): Uint8Array | undefined;
}

interface Numbered {
  readonly spi: number;
  readonly sequence: bigint;
  readonly iv: Uint8Array;
}

interface Keying extends EspTransforms {
  readonly key: Uint8Array;
  readonly ivKey?: Uint8Array | undefined;
  readonly esn: boolean;
}

export function referenceCipher(keying: Keying): ReferenceCipher {
  switch (keying.encryption.id) {
    case EncryptionTransform.ENCR_AES_GCM_16:
      return combined(keying, `aes-${keying.encryption.keyLength}-gcm`);
    case EncryptionTransform.ENCR_CHACHA20_POLY1305:
      return combined(keying, "chacha20-poly1305");
    case EncryptionTransform.ENCR_AES_GCM_16_IIV:
      return withImplicitIv(combined(keying, `aes-${keying.encryption.keyLength}-gcm`));
    case EncryptionTransform.ENCR_CHACHA20_POLY1305_IIV:
      return withImplicitIv(combined(keying, "chacha20-poly1305"));
    case EncryptionTransform.ENCR_NULL_AUTH_AES_GMAC:
      return gmac(keying);
    default:
      return separate(keying);
  }
}

/** RFC 4106, RFC 7634: the AAD is SPI and sequence number, with ESN all 64 bits of it. */
function combined({ key, esn }: Keying, algorithm: string): ReferenceCipher {
  return aead(key, algorithm, ({ spi, sequence }, text) => ({
    aad: header(spi, sequence, esn),
    text,
    clear: new Uint8Array(0),
  }));
}

/** RFC 8750 section 4: the IV is the number, 64 bits of it with and without ESN, and no packet carries it. */
function withImplicitIv(cipher: ReferenceCipher): ReferenceCipher {
  return {
    ...cipher,
    ivLength: 0,
    ivOf: () => new Uint8Array(0),
    seal: (packet) => cipher.seal({ ...packet, iv: numberOctets(packet.sequence) }),
    open: (packet) => cipher.open({ ...packet, iv: numberOctets(packet.sequence) }),
  };
}

/** RFC 4543 section 3.3: the IV and the text are AAD too, and nothing is encrypted. */
function gmac({ key, esn, encryption }: Keying): ReferenceCipher {
  return aead(key, `aes-${encryption.keyLength}-gcm`, ({ spi, sequence, iv }, text) => ({
    aad: Buffer.concat([header(spi, sequence, esn), iv, text]),
    text: new Uint8Array(0),
    clear: text,
  }));
}

interface Division {
  readonly aad: Uint8Array;
  readonly text: Uint8Array;
  readonly clear: Uint8Array;
}

function aead(
  key: Uint8Array,
  algorithm: string,
  divide: (packet: Numbered, text: Uint8Array) => Division,
): ReferenceCipher {
  // One type for all, since the calls are the same.
  const name = algorithm as "aes-128-gcm";
  const [cipherKey, salt] = [key.subarray(0, -4), key.subarray(-4)];
  const options = { authTagLength: 16 };
  return {
    ivLength: 8,
    icvLength: 16,
    unit: 4,
    takesWholeBlocks: false,
    ivOf: numberOctets,
    seal: (packet) => {
      const { aad, text, clear } = divide(packet, packet.plaintext);
      const cipher = createCipheriv(name, cipherKey, Buffer.concat([salt, packet.iv]), options);
      cipher.setAAD(aad, { plaintextLength: text.length });
      return Buffer.concat([cipher.update(text), cipher.final(), clear, cipher.getAuthTag()]);
    },
    open: (packet) => {
      const { aad, text, clear } = divide(packet, packet.sealed.subarray(0, -16));
      const decipher = createDecipheriv(name, cipherKey, Buffer.concat([salt, packet.iv]), options);
      decipher.setAAD(aad, { plaintextLength: text.length });
      decipher.setAuthTag(packet.sealed.subarray(-16));
      const plaintext = Buffer.concat([decipher.update(text), clear]);
      try {
        decipher.final();
        return plaintext;
      } catch {
        return undefined;
      }
    },
  };
}

const HMACS = new Map<
  number,
  { readonly hash: string; readonly keyLength: number; readonly icvLength: number }
>([
  [IntegrityTransform.AUTH_HMAC_SHA1_96, { hash: "sha1", keyLength: 20, icvLength: 12 }],
  [IntegrityTransform.AUTH_HMAC_SHA2_256_128, { hash: "sha256", keyLength: 32, icvLength: 16 }],
  [IntegrityTransform.AUTH_HMAC_SHA2_384_192, { hash: "sha384", keyLength: 48, icvLength: 24 }],
  [IntegrityTransform.AUTH_HMAC_SHA2_512_256, { hash: "sha512", keyLength: 64, icvLength: 32 }],
]);

/** RFC 4303 section 3.3.2.1: encrypt, then authenticate everything from the SPI on, and with ESN the high half behind it. */
function separate(keying: Keying): ReferenceCipher {
  const { hash, keyLength, icvLength } = HMACS.get(keying.integrity!.id)!;
  const integrityKey = keying.key.subarray(keying.key.length - keyLength);
  const icv = ({ spi, sequence, iv }: Numbered, ciphertext: Uint8Array): Uint8Array => {
    const hmac = createHmac(hash, integrityKey)
      .update(header(spi, sequence, false))
      .update(iv)
      .update(ciphertext);
    if (keying.esn) hmac.update(numberOctets(sequence).subarray(0, 4));
    return hmac.digest().subarray(0, icvLength);
  };
  const { transform, ...shape } = streamOrBlocks(
    keying,
    keying.key.subarray(0, keying.key.length - keyLength),
  );
  return {
    ...shape,
    icvLength,
    seal: (packet) => {
      const ciphertext = transform(packet.plaintext, packet.iv, "seal");
      return Buffer.concat([ciphertext, icv(packet, ciphertext)]);
    },
    open: (packet) => {
      const ciphertext = packet.sealed.subarray(0, packet.sealed.length - icvLength);
      if (!equal(icv(packet, ciphertext), packet.sealed.subarray(ciphertext.length))) return undefined;
      return transform(ciphertext, packet.iv, "open");
    },
  };
}

interface Shape extends Pick<ReferenceCipher, "ivLength" | "unit" | "takesWholeBlocks" | "ivOf"> {
  transform(text: Uint8Array, iv: Uint8Array, direction: "seal" | "open"): Uint8Array;
}

function streamOrBlocks({ encryption, ivKey }: Keying, key: Uint8Array): Shape {
  const bits = encryption.keyLength;
  switch (encryption.id) {
    case EncryptionTransform.ENCR_AES_CBC: // RFC 3602
      return {
        ivLength: 16,
        unit: 16,
        takesWholeBlocks: true,
        ivOf: (sequence) => {
          if (ivKey === undefined) throw new RangeError("a sender with AES-CBC needs a key for its IVs");
          const block = Buffer.concat([numberOctets(sequence), Buffer.alloc(8)]);
          return createCipheriv("aes-128-ecb", ivKey, null).update(block);
        },
        transform: (text, iv, direction) => {
          const cipher = (direction === "seal" ? createCipheriv : createDecipheriv)(
            `aes-${bits}-cbc`,
            key,
            iv,
          );
          cipher.setAutoPadding(false);
          return Buffer.concat([cipher.update(text), cipher.final()]);
        },
      };
    case EncryptionTransform.ENCR_AES_CTR: // RFC 3686: nonce of the SA | IV | counter from 1
      return {
        ivLength: 8,
        unit: 4,
        takesWholeBlocks: false,
        ivOf: numberOctets,
        transform: (text, iv) => {
          const counterBlock = Buffer.concat([key.subarray(-4), iv, Uint8Array.of(0, 0, 0, 1)]);
          return createCipheriv(`aes-${bits}-ctr`, key.subarray(0, -4), counterBlock).update(text);
        },
      };
    case EncryptionTransform.ENCR_NULL: // RFC 2410
      return {
        ivLength: 0,
        unit: 4,
        takesWholeBlocks: false,
        ivOf: () => new Uint8Array(0),
        transform: (text) => Buffer.from(text),
      };
    default:
      throw new RangeError(`the reference has no ESP cipher for transform ${encryption.id}`);
  }
}

function header(spi: number, sequence: bigint, esn: boolean): Buffer {
  const octets = Buffer.alloc(esn ? 12 : 8);
  octets.writeUInt32BE(spi, 0);
  if (esn) octets.writeBigUInt64BE(sequence, 4);
  else octets.writeUInt32BE(Number(sequence & 0xffff_ffffn), 4);
  return octets;
}

function numberOctets(sequence: bigint): Buffer {
  const octets = Buffer.alloc(8);
  octets.writeBigUInt64BE(sequence);
  return octets;
}
