import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { TAG_LENGTH } from "../../assembly/layout.ts";

export type AeadName = "aes-128-gcm" | "aes-256-gcm" | "chacha20-poly1305";

export const KEY_LENGTHS: Readonly<Record<AeadName, number>> = {
  "aes-128-gcm": 16,
  "aes-256-gcm": 32,
  "chacha20-poly1305": 32,
};

/** SPI and sequence number, as in ESP without ESN. */
const AAD_LENGTH = 8;

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

/** Packets of one SA, sealed by node:crypto. */
export function makePackets(
  aead: AeadName,
  { key, count, length }: { readonly key: Uint8Array; readonly count: number; readonly length: number },
): readonly Packet[] {
  return Array.from({ length: count }, () => {
    const plain = { nonce: randomBytes(12), aad: randomBytes(AAD_LENGTH), plaintext: randomBytes(length) };
    const { ciphertext, tag } = sealWithNode(aead, key, plain);
    return { ...plain, ciphertext, tag, sealed: new Uint8Array(Buffer.concat([ciphertext, tag])) };
  });
}

/** One packet with node:crypto. */
export function sealWithNode(
  aead: AeadName,
  key: Uint8Array,
  { nonce, aad, plaintext }: Pick<Packet, "nonce" | "aad" | "plaintext">,
): { readonly ciphertext: Uint8Array; readonly tag: Uint8Array } {
  const cipher = createCipheriv(aead as "aes-128-gcm", key, nonce, { authTagLength: TAG_LENGTH });
  cipher.setAAD(aad, { plaintextLength: plaintext.length });
  const ciphertext = cipher.update(plaintext);
  cipher.final();
  return { ciphertext, tag: cipher.getAuthTag() };
}

/** One packet with node:crypto. Throws if it is forged. */
export function openWithNode(
  aead: AeadName,
  key: Uint8Array,
  { nonce, aad, ciphertext, tag }: Packet,
): Uint8Array {
  const decipher = createDecipheriv(aead as "aes-128-gcm", key, nonce, { authTagLength: TAG_LENGTH });
  decipher.setAAD(aad, { plaintextLength: ciphertext.length });
  decipher.setAuthTag(tag);
  const plaintext = decipher.update(ciphertext);
  decipher.final();
  return plaintext;
}
