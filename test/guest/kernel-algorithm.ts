import { EncryptionTransform, IntegrityTransform } from "../../src/iana/ikev2-parameters.ts";
import type { EspCipher } from "../esp/esp-bed.ts";

const COMBINED: ReadonlyMap<number, string> = new Map([
  [EncryptionTransform.ENCR_AES_GCM_16, "rfc4106(gcm(aes))"],
  [EncryptionTransform.ENCR_NULL_AUTH_AES_GMAC, "rfc4543(gcm(aes))"],
  [EncryptionTransform.ENCR_CHACHA20_POLY1305, "rfc7539esp(chacha20,poly1305)"],
]);
const SEPARATE: ReadonlyMap<number, string> = new Map([
  [EncryptionTransform.ENCR_AES_CBC, "cbc(aes)"],
  [EncryptionTransform.ENCR_AES_CTR, "rfc3686(ctr(aes))"],
  [EncryptionTransform.ENCR_NULL, "ecb(cipher_null)"],
]);
/** Name, octets of key, bits of ICV. */
const INTEGRITY: ReadonlyMap<number, readonly [string, number, number]> = new Map([
  [IntegrityTransform.AUTH_HMAC_SHA1_96, ["hmac(sha1)", 20, 96]],
  [IntegrityTransform.AUTH_HMAC_SHA2_256_128, ["hmac(sha256)", 32, 128]],
  [IntegrityTransform.AUTH_HMAC_SHA2_384_192, ["hmac(sha384)", 48, 192]],
  [IntegrityTransform.AUTH_HMAC_SHA2_512_256, ["hmac(sha512)", 64, 256]],
]);

/** Whether the Linux kernel has a name for it: it has no implicit IV. */
export function isOfKernel({ transform }: EspCipher): boolean {
  return COMBINED.has(transform.id) || SEPARATE.has(transform.id);
}

/** A suite with its keys in the words of `ip xfrm state`. `keymat`: key, salt where there is one, integrity key. */
export function kernelAlgorithm({ transform, integrity }: EspCipher, keymat: Uint8Array): string {
  if (integrity === undefined) return `aead '${COMBINED.get(transform.id)}' ${word(keymat)} 128`;
  const [name, keyLength, icvBits] = INTEGRITY.get(integrity.id)!;
  const split = keymat.length - keyLength;
  const encryption = `enc '${SEPARATE.get(transform.id)}' ${word(keymat.subarray(0, split))}`;
  return `${encryption} auth-trunc '${name}' ${word(keymat.subarray(split))} ${icvBits}`;
}

function word(key: Uint8Array): string {
  return key.length === 0 ? "''" : `0x${Buffer.from(key).toString("hex")}`;
}
