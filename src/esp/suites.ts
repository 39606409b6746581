import {
  ALGORITHM_AES_GCM,
  ALGORITHM_AES_GMAC,
  ALGORITHM_CHACHA20_POLY1305,
  ALGORITHM_ENCRYPT_THEN_MAC,
  CIPHER_AES_CBC,
  CIPHER_AES_CTR,
  CIPHER_NULL,
  HASH_SHA1,
  HASH_SHA2_256,
  HASH_SHA2_384,
  HASH_SHA2_512,
} from "../../assembly/layout.ts";
import {
  encryptionSuite,
  findEncryptionSuite,
  integritySuite,
  isAead,
  keyLengths,
} from "../crypto/suites.ts";
import { PolicyError } from "../errors/index.ts";
import { EncryptionTransform } from "../iana/ikev2-parameters.ts";
import type { Transform } from "../wire/payloads/transform.ts";

/** The transforms that protect ESP: a combined-mode cipher alone, or a cipher and an integrity transform. */
export interface EspTransforms {
  readonly encryption: Transform;
  readonly integrity?: Transform | undefined;
}

/** How the kernel does an ESP suite, and how KEYMAT is divided for it: key, salt, integrity key (RFC 7296 section 2.17). */
export interface EspSuite {
  /** ALGORITHM_*. */
  readonly algorithm: number;
  /** The sequence number stands in for the IV (RFC 8750). */
  readonly hasImplicitIv: boolean;
  /** CIPHER_* and HASH_*, for ALGORITHM_ENCRYPT_THEN_MAC. */
  readonly cipher: number;
  readonly hash: number;
  readonly keyLength: number;
  readonly saltLength: number;
  readonly integrityKeyLength: number;
  /** Octets of the key that makes IVs where they must not be foreseen (assembly/cbc-iv.ts), or 0. */
  readonly ivKeyLength: number;
}

const IV_KEY_LENGTH = 16;

const COMBINED: ReadonlyMap<number, number> = new Map<number, number>([
  [EncryptionTransform.ENCR_AES_GCM_16, ALGORITHM_AES_GCM],
  [EncryptionTransform.ENCR_CHACHA20_POLY1305, ALGORITHM_CHACHA20_POLY1305],
  [EncryptionTransform.ENCR_NULL_AUTH_AES_GMAC, ALGORITHM_AES_GMAC],
  [EncryptionTransform.ENCR_AES_GCM_16_IIV, ALGORITHM_AES_GCM],
  [EncryptionTransform.ENCR_CHACHA20_POLY1305_IIV, ALGORITHM_CHACHA20_POLY1305],
]);

const IMPLICIT_IV: readonly number[] = [
  EncryptionTransform.ENCR_AES_GCM_16_IIV,
  EncryptionTransform.ENCR_CHACHA20_POLY1305_IIV,
];

const CIPHERS: ReadonlyMap<number, number> = new Map<number, number>([
  [EncryptionTransform.ENCR_AES_CBC, CIPHER_AES_CBC],
  [EncryptionTransform.ENCR_AES_CTR, CIPHER_AES_CTR],
  [EncryptionTransform.ENCR_NULL, CIPHER_NULL],
]);

const HASHES = {
  sha1: HASH_SHA1,
  sha256: HASH_SHA2_256,
  sha384: HASH_SHA2_384,
  sha512: HASH_SHA2_512,
} as const;

/**
 * Throws PolicyError for a cipher that the data plane lacks, RangeError for a cipher without integrity and no integrity transform
 * that this build has.
 */
export function espSuite(transforms: EspTransforms): EspSuite {
  const { encryption, integrity } = transforms;
  if (findEncryptionSuite(encryption) === undefined) {
    const { id, keyLength } = encryption;
    throw new PolicyError(
      `the data plane has no ESP cipher for transform ${id} with ${keyLength ?? "no"} key bits`,
      { code: "CIPHER" },
    );
  }
  const { saltLength } = encryptionSuite(encryption);
  const lengths = keyLengths(transforms);
  const common = {
    keyLength: lengths.encryptionKeyLength - saltLength,
    saltLength,
    hasImplicitIv: IMPLICIT_IV.includes(encryption.id),
    integrityKeyLength: lengths.integrityKeyLength,
  };
  if (isAead(encryption)) {
    return { ...common, algorithm: COMBINED.get(encryption.id)!, cipher: 0, hash: 0, ivKeyLength: 0 };
  }
  const cipher = CIPHERS.get(encryption.id)!;
  return {
    ...common,
    algorithm: ALGORITHM_ENCRYPT_THEN_MAC,
    cipher,
    ivKeyLength: cipher === CIPHER_AES_CBC ? IV_KEY_LENGTH : 0,
    // keyLengths has refused a cipher without integrity.
    hash: HASHES[integritySuite(integrity!).hash],
  };
}
