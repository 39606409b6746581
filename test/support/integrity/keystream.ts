import { createCipheriv, createHash } from "node:crypto";

/** Octets that a text repeats and nobody mistakes for others: a keystream of AES-CTR. */
export function keystream(seed: string, length: number): Buffer {
  const key = createHash("sha256").update(seed).digest().subarray(0, 16);
  return createCipheriv("aes-128-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(length));
}
