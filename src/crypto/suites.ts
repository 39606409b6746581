import {
  EncryptionTransform,
  IntegrityTransform,
  KeyExchangeMethod,
  PrfTransform,
} from "../iana/ikev2-parameters.ts";
import type { Transform } from "../wire/payloads/transform.ts";

/** What this build can compute. Policy offers nothing that is missing here. Lengths are octets, key lengths bits as in the Key Length attribute. */

export interface EncryptionSuite {
  readonly id: number;
  /** Values of the Key Length attribute; none means that the transform carries no such attribute. */
  readonly keyLengths: readonly number[];
  /** Key without salt, for a transform without a Key Length attribute. */
  readonly fixedKeyLength: number | undefined;
  readonly saltLength: number;
  readonly ivLength: number;
  readonly blockLength: number;
  /** Length of the tag of a combined-mode cipher, 0 for one that needs an integrity transform beside it. */
  readonly tagLength: number;
  /** Whether the Encrypted payload of IKE can have it too; ESP has them all. */
  readonly ike: boolean;
}

const ENCRYPTION_SUITES: readonly EncryptionSuite[] = [
  {
    id: EncryptionTransform.ENCR_AES_CBC, // RFC 3602
    keyLengths: [128, 192, 256],
    fixedKeyLength: undefined,
    saltLength: 0,
    ivLength: 16,
    blockLength: 16,
    tagLength: 0,
    ike: true,
  },
  {
    id: EncryptionTransform.ENCR_AES_GCM_16, // RFC 4106, RFC 5282
    keyLengths: [128, 192, 256],
    fixedKeyLength: undefined,
    saltLength: 4,
    ivLength: 8,
    blockLength: 1,
    tagLength: 16,
    ike: true,
  },
  {
    id: EncryptionTransform.ENCR_CHACHA20_POLY1305, // RFC 7634
    keyLengths: [],
    fixedKeyLength: 32,
    saltLength: 4,
    ivLength: 8,
    blockLength: 1,
    tagLength: 16,
    ike: true,
  },
  {
    id: EncryptionTransform.ENCR_AES_CTR, // RFC 3686
    keyLengths: [128, 192, 256],
    fixedKeyLength: undefined,
    saltLength: 4,
    ivLength: 8,
    blockLength: 1,
    tagLength: 0,
    ike: false,
  },
  {
    id: EncryptionTransform.ENCR_NULL, // RFC 2410
    keyLengths: [],
    fixedKeyLength: 0,
    saltLength: 0,
    ivLength: 0,
    blockLength: 1,
    tagLength: 0,
    ike: false,
  },
  {
    id: EncryptionTransform.ENCR_NULL_AUTH_AES_GMAC, // RFC 4543
    keyLengths: [128, 192, 256],
    fixedKeyLength: undefined,
    saltLength: 4,
    ivLength: 8,
    blockLength: 1,
    tagLength: 16,
    ike: false,
  },
  {
    id: EncryptionTransform.ENCR_AES_GCM_16_IIV, // RFC 8750, whose section 7 keeps it out of IKE
    keyLengths: [128, 192, 256],
    fixedKeyLength: undefined,
    saltLength: 4,
    ivLength: 0,
    blockLength: 1,
    tagLength: 16,
    ike: false,
  },
  {
    id: EncryptionTransform.ENCR_CHACHA20_POLY1305_IIV, // RFC 8750
    keyLengths: [],
    fixedKeyLength: 32,
    saltLength: 4,
    ivLength: 0,
    blockLength: 1,
    tagLength: 16,
    ike: false,
  },
];

export interface PrfSuite {
  readonly id: number;
  /** Name of the hash under HMAC, as node:crypto spells it. */
  readonly hash: "sha1" | "sha256" | "sha384" | "sha512";
  readonly outputLength: number;
}

const PRF_SUITES: readonly PrfSuite[] = [
  { id: PrfTransform.PRF_HMAC_SHA1, hash: "sha1", outputLength: 20 },
  { id: PrfTransform.PRF_HMAC_SHA2_256, hash: "sha256", outputLength: 32 },
  { id: PrfTransform.PRF_HMAC_SHA2_384, hash: "sha384", outputLength: 48 },
  { id: PrfTransform.PRF_HMAC_SHA2_512, hash: "sha512", outputLength: 64 },
];

export interface IntegritySuite {
  readonly id: number;
  readonly hash: PrfSuite["hash"];
  readonly keyLength: number;
  /** Octets of the HMAC that are sent. */
  readonly icvLength: number;
}

const INTEGRITY_SUITES: readonly IntegritySuite[] = [
  { id: IntegrityTransform.AUTH_HMAC_SHA1_96, hash: "sha1", keyLength: 20, icvLength: 12 },
  { id: IntegrityTransform.AUTH_HMAC_SHA2_256_128, hash: "sha256", keyLength: 32, icvLength: 16 },
  { id: IntegrityTransform.AUTH_HMAC_SHA2_384_192, hash: "sha384", keyLength: 48, icvLength: 24 },
  { id: IntegrityTransform.AUTH_HMAC_SHA2_512_256, hash: "sha512", keyLength: 64, icvLength: 32 },
];

/** Groups that a CryptoProvider of this build runs. */
export const SUPPORTED_GROUPS: readonly number[] = [
  KeyExchangeMethod.MODP_2048,
  KeyExchangeMethod.MODP_3072,
  KeyExchangeMethod.MODP_4096,
  KeyExchangeMethod.MODP_6144,
  KeyExchangeMethod.MODP_8192,
  KeyExchangeMethod.ECP_256,
  KeyExchangeMethod.ECP_384,
  KeyExchangeMethod.ECP_521,
  KeyExchangeMethod.CURVE25519,
  KeyExchangeMethod.CURVE448,
];

/** The cipher behind an ENCR transform, or undefined when this build lacks it or the key length is not one of its own. */
export function findEncryptionSuite(transform: Transform): EncryptionSuite | undefined {
  if (transform.hasUnknownAttribute === true) return undefined;
  const suite = ENCRYPTION_SUITES.find(({ id }) => id === transform.id);
  if (suite === undefined) return undefined;
  const fits =
    transform.keyLength === undefined
      ? suite.keyLengths.length === 0
      : suite.keyLengths.includes(transform.keyLength);
  return fits ? suite : undefined;
}

/** Throws RangeError for an ENCR transform that this build lacks. */
export function encryptionSuite(transform: Transform): EncryptionSuite {
  return found(findEncryptionSuite(transform), `encryption transform ${transform.id}/${transform.keyLength}`);
}

/** Throws RangeError for a PRF that this build lacks. */
export function prfSuite(prfId: number): PrfSuite {
  return found(
    PRF_SUITES.find(({ id }) => id === prfId),
    `PRF ${prfId}`,
  );
}

/** Throws RangeError for an integrity transform that this build lacks. */
export function integritySuite(transform: Transform): IntegritySuite {
  return found(
    INTEGRITY_SUITES.find(({ id }) => id === transform.id),
    `integrity transform ${transform.id}`,
  );
}

/** True for a combined-mode cipher, which protects integrity itself. */
export function isAead(encryption: Transform): boolean {
  return (findEncryptionSuite(encryption)?.tagLength ?? 0) > 0;
}

/** How many octets of keying material a cipher suite takes in one direction; the salt counts as part of the encryption key. */
export interface KeyLengths {
  readonly encryptionKeyLength: number;
  readonly integrityKeyLength: number;
}

/** Lengths for a chosen suite. `integrity` is absent (or NONE) for a combined-mode cipher, whose SK_a keys have no octets (RFC 5282 section 7). */
export function keyLengths(suite: {
  readonly encryption: Transform;
  readonly integrity?: Transform | undefined;
}): KeyLengths {
  const { keyLengths: lengths, fixedKeyLength, saltLength, tagLength } = encryptionSuite(suite.encryption);
  const keyLength = lengths.length > 0 ? (suite.encryption.keyLength ?? 0) / 8 : (fixedKeyLength ?? 0);
  const encryptionKeyLength = keyLength + saltLength;
  if (tagLength > 0) return { encryptionKeyLength, integrityKeyLength: 0 };
  if (suite.integrity === undefined)
    throw new RangeError("a cipher without integrity needs an integrity transform");
  return { encryptionKeyLength, integrityKeyLength: integritySuite(suite.integrity).keyLength };
}

function found<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new RangeError(`this build has no ${name}`);
  return value;
}
