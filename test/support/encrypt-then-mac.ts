import { createCipheriv, createHmac } from "node:crypto";
import {
  CIPHER_AES_CBC,
  CIPHER_AES_CTR,
  CIPHER_NULL,
  HASH_SHA1,
  HASH_SHA2_256,
  HASH_SHA2_384,
  HASH_SHA2_512,
  WORKER_ETM_JOBS_OFFSET,
  WORKER_GMAC_JOBS_OFFSET,
} from "../../assembly/layout.ts";
import type { Kernel } from "../../src/esp/kernel.ts";
import { AES_GCM, type AeadUnderTest, type Packet, sealWith } from "./kernel.ts";

export interface EtmSuite {
  readonly cipher: "cbc" | "ctr" | "null";
  /** Octets of the cipher's key. */
  readonly keyLength: number;
  readonly hash: "sha1" | "sha256" | "sha384" | "sha512";
}

const HASHES = {
  sha1: { id: HASH_SHA1, keyLength: 20, icvLength: 12 },
  sha256: { id: HASH_SHA2_256, keyLength: 32, icvLength: 16 },
  sha384: { id: HASH_SHA2_384, keyLength: 48, icvLength: 24 },
  sha512: { id: HASH_SHA2_512, keyLength: 64, icvLength: 32 },
} as const;

const CIPHERS = {
  cbc: { id: CIPHER_AES_CBC, ivLength: 16, unit: 16 },
  ctr: { id: CIPHER_AES_CTR, ivLength: 8, unit: 1 },
  null: { id: CIPHER_NULL, ivLength: 0, unit: 1 },
} as const;

/** A cipher with HMAC behind it: key and integrity key are one, as in KEYMAT; the AAD ends with the IV. */
export function encryptThenMac(suite: EtmSuite): AeadUnderTest {
  const { ivLength, unit } = CIPHERS[suite.cipher];
  return {
    ...COMMON,
    keyLengths: [wholeKeyLength(suite)],
    tagLength: () => HASHES[suite.hash].icvLength,
    textUnit: unit,
    leastAad: ivLength,
    reference: (packet) => seal(suite, packet),
    expandKey: (kernel, places) => expand(suite, kernel, places),
  };
}

/** Several suites in one batch: `suiteOf` says which one a key is for. */
export function mixedEncryptThenMac(suiteOf: (key: Uint8Array) => EtmSuite): AeadUnderTest {
  return {
    ...COMMON,
    keyLengths: [],
    tagLength: (key) => HASHES[suiteOf(key).hash].icvLength,
    textUnit: 16,
    leastAad: 16,
    reference: (packet) => seal(suiteOf(packet.key), packet),
    expandKey: (kernel, places) => expand(suiteOf(places.keyOctets), kernel, places),
  };
}

export function wholeKeyLength({ keyLength, hash }: EtmSuite): number {
  return keyLength + HASHES[hash].keyLength;
}

const COMMON = {
  aadApart: 0,
  hasAuthenticNonce: false,
  jobsOffset: WORKER_ETM_JOBS_OFFSET,
  sealBatch: (kernel: Kernel, jobs: number, count: number) => kernel.etmSealBatch(jobs, count),
  openBatch: (kernel: Kernel, jobs: number, count: number) => kernel.etmOpenBatch(jobs, count),
};

function expand(
  { cipher, hash, keyLength }: EtmSuite,
  kernel: Kernel,
  { context, slot, key }: { readonly context: number; readonly slot: number; readonly key: number },
): void {
  kernel.etmExpandKey(context, slot, CIPHERS[cipher].id, HASHES[hash].id, key, keyLength);
}

function seal(suite: EtmSuite, packet: Packet): { ciphertext: Uint8Array; tag: Uint8Array } {
  const ciphertext = encrypt(suite, packet);
  const hmac = createHmac(suite.hash, packet.key.subarray(suite.keyLength));
  for (const piece of [packet.aad, ciphertext, packet.highHalf ?? new Uint8Array(0)]) hmac.update(piece);
  return { ciphertext, tag: new Uint8Array(hmac.digest().subarray(0, HASHES[suite.hash].icvLength)) };
}

function encrypt({ cipher, keyLength }: EtmSuite, { key, nonce, aad, plaintext }: Packet): Uint8Array {
  if (cipher === "null") return plaintext.slice();
  const iv = cipher === "cbc" ? aad.subarray(-16) : Buffer.concat([nonce, Uint8Array.of(0, 0, 0, 1)]);
  const transform = createCipheriv(`aes-${keyLength * 8}-${cipher}`, key.subarray(0, keyLength), iv);
  transform.setAutoPadding(false);
  return new Uint8Array(Buffer.concat([transform.update(plaintext), transform.final()]));
}

/** AES-GMAC as in RFC 4543: the text in clear, all of it AAD to GCM. */
export const AES_GMAC: AeadUnderTest = {
  ...AES_GCM,
  leastAad: 16,
  aadApart: 16,
  jobsOffset: WORKER_GMAC_JOBS_OFFSET,
  reference: (packet) => {
    const all = Buffer.concat([packet.aad, packet.plaintext]);
    const { tag } = sealWith(`aes-${packet.key.length * 8}-gcm`, {
      ...packet,
      aad: all,
      plaintext: new Uint8Array(0),
    });
    return { ciphertext: packet.plaintext.slice(), tag };
  },
  sealBatch: (kernel, jobs, count) => kernel.gmacSealBatch(jobs, count),
  openBatch: (kernel, jobs, count) => kernel.gmacOpenBatch(jobs, count),
};
