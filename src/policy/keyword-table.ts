import {
  EncryptionTransform,
  EsnTransform,
  IntegrityTransform,
  KeyExchangeMethod,
  PrfTransform,
  TransformType,
} from "../iana/ikev2-parameters.ts";
import type { Transform } from "../wire/payloads/transform.ts";

/** Proposal keywords as strongSwan spells them; it has none for implicit IVs, whose `iiv` is the registry's suffix. Where two mean the same, the first is the one that we print. */

const aes = (id: number): Readonly<Record<128 | 192 | 256, Transform>> => ({
  128: { type: TransformType.ENCR, id, keyLength: 128 },
  192: { type: TransformType.ENCR, id, keyLength: 192 },
  256: { type: TransformType.ENCR, id, keyLength: 256 },
});
const encryption = (id: number): Transform => ({ type: TransformType.ENCR, id });
const prf = (id: number): Transform => ({ type: TransformType.PRF, id });
const integrity = (id: number): Transform => ({ type: TransformType.INTEG, id });
const group = (id: number): Transform => ({ type: TransformType.KE, id });
const esn = (id: number): Transform => ({ type: TransformType.ESN, id });

const CBC = aes(EncryptionTransform.ENCR_AES_CBC);
const GCM = aes(EncryptionTransform.ENCR_AES_GCM_16);
const CTR = aes(EncryptionTransform.ENCR_AES_CTR);
const GCM_IIV = aes(EncryptionTransform.ENCR_AES_GCM_16_IIV);
const GMAC = aes(EncryptionTransform.ENCR_NULL_AUTH_AES_GMAC);

/** What this build negotiates. */
export const KEYWORDS: Readonly<Record<string, Transform>> = {
  aes128: CBC[128],
  aes192: CBC[192],
  aes256: CBC[256],
  aes: CBC[128],
  aes128gcm16: GCM[128],
  aes192gcm16: GCM[192],
  aes256gcm16: GCM[256],
  aes128gcm: GCM[128],
  aes192gcm: GCM[192],
  aes256gcm: GCM[256],
  aes128gcm128: GCM[128], // the same tag, counted in bits
  aes192gcm128: GCM[192],
  aes256gcm128: GCM[256],
  chacha20poly1305: encryption(EncryptionTransform.ENCR_CHACHA20_POLY1305),
  aes128ctr: CTR[128],
  aes192ctr: CTR[192],
  aes256ctr: CTR[256],
  aes128gmac: GMAC[128],
  aes192gmac: GMAC[192],
  aes256gmac: GMAC[256],
  aes128gcm16iiv: GCM_IIV[128],
  aes192gcm16iiv: GCM_IIV[192],
  aes256gcm16iiv: GCM_IIV[256],
  chacha20poly1305iiv: encryption(EncryptionTransform.ENCR_CHACHA20_POLY1305_IIV),
  null: encryption(EncryptionTransform.ENCR_NULL),

  sha1: integrity(IntegrityTransform.AUTH_HMAC_SHA1_96),
  sha: integrity(IntegrityTransform.AUTH_HMAC_SHA1_96),
  sha256: integrity(IntegrityTransform.AUTH_HMAC_SHA2_256_128),
  sha2_256: integrity(IntegrityTransform.AUTH_HMAC_SHA2_256_128),
  sha384: integrity(IntegrityTransform.AUTH_HMAC_SHA2_384_192),
  sha2_384: integrity(IntegrityTransform.AUTH_HMAC_SHA2_384_192),
  sha512: integrity(IntegrityTransform.AUTH_HMAC_SHA2_512_256),
  sha2_512: integrity(IntegrityTransform.AUTH_HMAC_SHA2_512_256),

  prfsha1: prf(PrfTransform.PRF_HMAC_SHA1),
  prfsha256: prf(PrfTransform.PRF_HMAC_SHA2_256),
  prfsha384: prf(PrfTransform.PRF_HMAC_SHA2_384),
  prfsha512: prf(PrfTransform.PRF_HMAC_SHA2_512),

  modp2048: group(KeyExchangeMethod.MODP_2048),
  modp3072: group(KeyExchangeMethod.MODP_3072),
  modp4096: group(KeyExchangeMethod.MODP_4096),
  modp6144: group(KeyExchangeMethod.MODP_6144),
  modp8192: group(KeyExchangeMethod.MODP_8192),
  ecp256: group(KeyExchangeMethod.ECP_256),
  ecp384: group(KeyExchangeMethod.ECP_384),
  ecp521: group(KeyExchangeMethod.ECP_521),
  x25519: group(KeyExchangeMethod.CURVE25519),
  curve25519: group(KeyExchangeMethod.CURVE25519),
  x448: group(KeyExchangeMethod.CURVE448),
  curve448: group(KeyExchangeMethod.CURVE448),

  esn: esn(EsnTransform.ESN),
  noesn: esn(EsnTransform.NO_ESN),

  ...additionalKeyExchanges(),
};

/** ke1_mlkem768 and so on up to ke7 (RFC 9370); ke1_none lets the peer do without. */
function additionalKeyExchanges(): Record<string, Transform> {
  const methods = {
    none: KeyExchangeMethod.NONE,
    mlkem512: KeyExchangeMethod.ML_KEM_512,
    mlkem768: KeyExchangeMethod.ML_KEM_768,
    mlkem1024: KeyExchangeMethod.ML_KEM_1024,
    x25519: KeyExchangeMethod.CURVE25519,
    x448: KeyExchangeMethod.CURVE448,
    ecp256: KeyExchangeMethod.ECP_256,
    ecp384: KeyExchangeMethod.ECP_384,
    ecp521: KeyExchangeMethod.ECP_521,
    modp3072: KeyExchangeMethod.MODP_3072,
    modp4096: KeyExchangeMethod.MODP_4096,
  };
  const types = [1, 2, 3, 4, 5, 6, 7].map((number) => [number, TransformType.ADDKE1 + number - 1] as const);
  return Object.fromEntries(
    types.flatMap(([number, type]) =>
      Object.entries(methods).map(([word, id]) => [`ke${number}_${word}`, { type, id }]),
    ),
  );
}

/** Keywords of strongSwan that this build lacks or declines: for messages, and to print what a peer offers. */
export const FOREIGN_KEYWORDS: Readonly<Record<string, Transform>> = {
  "3des": encryption(EncryptionTransform.ENCR_3DES),
  des: encryption(EncryptionTransform.ENCR_DES),
  blowfish: encryption(EncryptionTransform.ENCR_BLOWFISH),
  cast128: encryption(EncryptionTransform.ENCR_CAST),
  ...aesVariants("ccm8", EncryptionTransform.ENCR_AES_CCM_8),
  ...aesVariants("ccm12", EncryptionTransform.ENCR_AES_CCM_12),
  ...aesVariants("ccm16", EncryptionTransform.ENCR_AES_CCM_16),
  ...aesVariants("gcm8", EncryptionTransform.ENCR_AES_GCM_8),
  ...aesVariants("gcm12", EncryptionTransform.ENCR_AES_GCM_12),
  camellia128: { type: TransformType.ENCR, id: EncryptionTransform.ENCR_CAMELLIA_CBC, keyLength: 128 },
  camellia192: { type: TransformType.ENCR, id: EncryptionTransform.ENCR_CAMELLIA_CBC, keyLength: 192 },
  camellia256: { type: TransformType.ENCR, id: EncryptionTransform.ENCR_CAMELLIA_CBC, keyLength: 256 },

  md5: integrity(IntegrityTransform.AUTH_HMAC_MD5_96),
  md5_128: integrity(IntegrityTransform.AUTH_HMAC_MD5_128),
  sha1_160: integrity(IntegrityTransform.AUTH_HMAC_SHA1_160),
  aesxcbc: integrity(IntegrityTransform.AUTH_AES_XCBC_96),
  aescmac: integrity(IntegrityTransform.AUTH_AES_CMAC_96),

  prfmd5: prf(PrfTransform.PRF_HMAC_MD5),
  prfaesxcbc: prf(PrfTransform.PRF_AES128_XCBC),
  prfaescmac: prf(PrfTransform.PRF_AES128_CMAC),

  modp768: group(KeyExchangeMethod.MODP_768),
  modp1024: group(KeyExchangeMethod.MODP_1024),
  modp1536: group(KeyExchangeMethod.MODP_1536),
  modp1024s160: group(KeyExchangeMethod.MODP_1024_160),
  modp2048s224: group(KeyExchangeMethod.MODP_2048_224),
  modp2048s256: group(KeyExchangeMethod.MODP_2048_256),
  ecp192: group(KeyExchangeMethod.ECP_192),
  ecp224: group(KeyExchangeMethod.ECP_224),
  ecp224bp: group(KeyExchangeMethod.BRAINPOOLP224R1),
  ecp256bp: group(KeyExchangeMethod.BRAINPOOLP256R1),
  ecp384bp: group(KeyExchangeMethod.BRAINPOOLP384R1),
  ecp512bp: group(KeyExchangeMethod.BRAINPOOLP512R1),
  mlkem512: group(KeyExchangeMethod.ML_KEM_512),
  mlkem768: group(KeyExchangeMethod.ML_KEM_768),
  mlkem1024: group(KeyExchangeMethod.ML_KEM_1024),
};

function aesVariants(suffix: string, id: number): Record<string, Transform> {
  const { 128: short, 192: middle, 256: long } = aes(id);
  return { [`aes128${suffix}`]: short, [`aes192${suffix}`]: middle, [`aes256${suffix}`]: long };
}
