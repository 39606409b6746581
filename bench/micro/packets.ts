import { createCipheriv, createDecipheriv, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { TAG_LENGTH } from "../../assembly/layout.ts";

export type AeadName = "aes-128-gcm" | "aes-256-gcm" | "chacha20-poly1305";
/** AES-CBC, then HMAC over it. */
export type EtmName = "aes-256-cbc-sha1" | "aes-256-cbc-sha256" | "aes-256-cbc-sha512";

/** Octets of all keys together. */
export const KEY_LENGTHS: Readonly<Record<AeadName | EtmName, number>> = {
  "aes-128-gcm": 16,
  "aes-256-gcm": 32,
  "chacha20-poly1305": 32,
  "aes-256-cbc-sha1": 32 + 20,
  "aes-256-cbc-sha256": 32 + 32,
  "aes-256-cbc-sha512": 32 + 64,
};

const ETM: Readonly<Record<EtmName, { readonly hash: string; readonly icvLength: number }>> = {
  "aes-256-cbc-sha1": { hash: "sha1", icvLength: 12 },
  "aes-256-cbc-sha256": { hash: "sha256", icvLength: 16 },
  "aes-256-cbc-sha512": { hash: "sha512", icvLength: 32 },
};

/** SPI and sequence number, as in ESP without ESN; with CBC the IV as well. */
const AAD_LENGTH = 8;
const CBC_IV_LENGTH = 16;
const CBC_KEY_LENGTH = 32;

/** A packet in both states. */
export interface Packet {
  readonly nonce: Uint8Array;
  readonly aad: Uint8Array;
  readonly plaintext: Uint8Array;
  readonly ciphertext: Uint8Array;
  readonly tag: Uint8Array;
  /** Ciphertext and tag. */
  readonly sealed: Uint8Array;
}

export function isEtm(name: AeadName | EtmName): name is EtmName {
  return Object.hasOwn(ETM, name);
}

export function tagLength(name: AeadName | EtmName): number {
  return isEtm(name) ? ETM[name].icvLength : TAG_LENGTH;
}

/** Packets of one SA, sealed by node:crypto. */
export function makePackets(
  name: AeadName | EtmName,
  { key, count, length }: { readonly key: Uint8Array; readonly count: number; readonly length: number },
): readonly Packet[] {
  const aadLength = AAD_LENGTH + (isEtm(name) ? CBC_IV_LENGTH : 0);
  return Array.from({ length: count }, () => {
    const plain = { nonce: randomBytes(12), aad: randomBytes(aadLength), plaintext: randomBytes(length) };
    const { ciphertext, tag } = sealWithNode(name, key, plain);
    return { ...plain, ciphertext, tag, sealed: new Uint8Array(Buffer.concat([ciphertext, tag])) };
  });
}

/** One packet with node:crypto. */
export function sealWithNode(
  name: AeadName | EtmName,
  key: Uint8Array,
  { nonce, aad, plaintext }: Pick<Packet, "nonce" | "aad" | "plaintext">,
): { readonly ciphertext: Uint8Array; readonly tag: Uint8Array } {
  if (isEtm(name)) {
    const cipher = createCipheriv("aes-256-cbc", key.subarray(0, CBC_KEY_LENGTH), aad.subarray(AAD_LENGTH));
    cipher.setAutoPadding(false);
    const ciphertext = cipher.update(plaintext);
    cipher.final();
    return { ciphertext, tag: icvWithNode(name, key, { aad, ciphertext }) };
  }
  const cipher = createCipheriv(name as "aes-128-gcm", key, nonce, { authTagLength: TAG_LENGTH });
  cipher.setAAD(aad, { plaintextLength: plaintext.length });
  const ciphertext = cipher.update(plaintext);
  cipher.final();
  return { ciphertext, tag: cipher.getAuthTag() };
}

/** One packet with node:crypto. Throws if it is forged. */
export function openWithNode(
  name: AeadName | EtmName,
  key: Uint8Array,
  { nonce, aad, ciphertext, tag }: Packet,
): Uint8Array {
  if (isEtm(name)) {
    if (!timingSafeEqual(icvWithNode(name, key, { aad, ciphertext }), tag))
      throw new Error("a forged packet");
    const decipher = createDecipheriv(
      "aes-256-cbc",
      key.subarray(0, CBC_KEY_LENGTH),
      aad.subarray(AAD_LENGTH),
    );
    decipher.setAutoPadding(false);
    const plaintext = decipher.update(ciphertext);
    decipher.final();
    return plaintext;
  }
  const decipher = createDecipheriv(name as "aes-128-gcm", key, nonce, { authTagLength: TAG_LENGTH });
  decipher.setAAD(aad, { plaintextLength: ciphertext.length });
  decipher.setAuthTag(tag);
  const plaintext = decipher.update(ciphertext);
  decipher.final();
  return plaintext;
}

function icvWithNode(
  name: EtmName,
  key: Uint8Array,
  { aad, ciphertext }: Pick<Packet, "aad" | "ciphertext">,
): Uint8Array {
  const { hash, icvLength } = ETM[name];
  const hmac = createHmac(hash, key.subarray(CBC_KEY_LENGTH)).update(aad).update(ciphertext);
  return hmac.digest().subarray(0, icvLength);
}
