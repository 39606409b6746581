import {
  CIPHER_AES_CBC,
  HASH_SHA1,
  HASH_SHA2_256,
  HASH_SHA2_512,
  JOB_AAD_LENGTH_OFFSET,
  JOB_AAD_OFFSET,
  JOB_AUTHENTIC,
  JOB_CONTEXT_OFFSET,
  JOB_DESTINATION_OFFSET,
  JOB_HIGH_HALF_LENGTH_OFFSET,
  JOB_LENGTH_OFFSET,
  JOB_NONCE_OFFSET,
  JOB_SIZE,
  JOB_SOURCE_OFFSET,
  JOB_TAG_OFFSET,
  JOB_VERDICT_OFFSET,
  SA_AEAD_OFFSET,
  SA_BASE,
  SA_SLOT_SIZE,
  WORKER_BASE,
  WORKER_CHACHA_JOBS_OFFSET,
  WORKER_ETM_JOBS_OFFSET,
  WORKER_GCM_JOBS_OFFSET,
  WORKER_SEND_SLAB_OFFSET,
  WORKER_SIZE,
  WORKER_TUN_SLAB_OFFSET,
} from "../../assembly/layout.ts";
import type { Kernel } from "../../src/esp/kernel.ts";
import { type AeadName, type EtmName, type Packet, tagLength } from "./packets.ts";

/** How the kernel does one AEAD, or a cipher and HMAC. */
interface KernelAead {
  readonly jobsOffset: number;
  expandKey(kernel: Kernel, places: { context: number; slot: number; key: number; keyLength: number }): void;
  seal(kernel: Kernel, jobs: number, count: number): void;
  open(kernel: Kernel, jobs: number, count: number): void;
}

const AES_GCM: KernelAead = {
  jobsOffset: WORKER_GCM_JOBS_OFFSET,
  expandKey: (kernel, { context, slot, key, keyLength }) =>
    kernel.gcmExpandKey(context, slot, key, keyLength),
  seal: (kernel, jobs, count) => kernel.gcmSealBatch(jobs, count),
  open: (kernel, jobs, count) => kernel.gcmOpenBatch(jobs, count),
};

const CHACHA20_POLY1305: KernelAead = {
  jobsOffset: WORKER_CHACHA_JOBS_OFFSET,
  expandKey: (kernel, { context, key }) => kernel.chachaExpandKey(context, key),
  seal: (kernel, jobs, count) => kernel.chachaSealBatch(jobs, count),
  open: (kernel, jobs, count) => kernel.chachaOpenBatch(jobs, count),
};

const CBC_KEY_LENGTH = 32;

function cbcWith(hash: number): KernelAead {
  return {
    jobsOffset: WORKER_ETM_JOBS_OFFSET,
    expandKey: (kernel, { context, slot, key }) =>
      kernel.etmExpandKey(context, slot, CIPHER_AES_CBC, hash, key, CBC_KEY_LENGTH),
    seal: (kernel, jobs, count) => kernel.etmSealBatch(jobs, count),
    open: (kernel, jobs, count) => kernel.etmOpenBatch(jobs, count),
  };
}

const AEADS: Readonly<Record<AeadName | EtmName, KernelAead>> = {
  "aes-128-gcm": AES_GCM,
  "aes-256-gcm": AES_GCM,
  "chacha20-poly1305": CHACHA20_POLY1305,
  "aes-256-cbc-sha1": cbcWith(HASH_SHA1),
  "aes-256-cbc-sha256": cbcWith(HASH_SHA2_256),
  "aes-256-cbc-sha512": cbcWith(HASH_SHA2_512),
};

/** A batch of packets in the shared memory, as a worker has it: sources in the TUN slab, results in the send slab. */
export class KernelBatch {
  readonly #kernel: Kernel;
  readonly #octets: Uint8Array;
  readonly #view: DataView;
  readonly #aead: KernelAead;
  readonly #worker: number;
  readonly #tagLength: number;
  readonly #jobs: number;
  #count = 0;

  constructor(
    kernel: Kernel,
    where: { readonly buffer: SharedArrayBuffer; readonly worker: number; readonly aead: AeadName | EtmName },
  ) {
    this.#kernel = kernel;
    this.#octets = new Uint8Array(where.buffer);
    this.#view = new DataView(where.buffer);
    this.#aead = AEADS[where.aead];
    this.#worker = where.worker;
    this.#tagLength = tagLength(where.aead);
    this.#jobs = this.#region + this.#aead.jobsOffset;
  }

  /** Expands `key` into SA slot `slot`. The key passes through the first octets of the TUN slab. */
  expandKey(key: Uint8Array, slot: number): void {
    this.putKey(key);
    this.expandKeyAgain(key.length, slot);
  }

  putKey(key: Uint8Array): void {
    this.#octets.set(key, this.#region + WORKER_TUN_SLAB_OFFSET);
  }

  /** Expands the key that lies in memory already. */
  expandKeyAgain(keyLength: number, slot: number): void {
    this.#aead.expandKey(this.#kernel, {
      context: SA_BASE + slot * SA_SLOT_SIZE + SA_AEAD_OFFSET,
      slot,
      key: this.#region + WORKER_TUN_SLAB_OFFSET,
      keyLength,
    });
  }

  /** Lays the packets out for SA slot `slot`: plaintext to seal, or ciphertext and tag to open. */
  put(packets: readonly Packet[], options: { readonly slot: number; readonly isSealed: boolean }): void {
    let source = this.#region + WORKER_TUN_SLAB_OFFSET;
    let destination = this.#region + WORKER_SEND_SLAB_OFFSET;
    for (const [i, packet] of packets.entries()) {
      const { length } = packet.plaintext;
      // HMAC wants the AAD right before the ciphertext, wherever that is.
      this.#octets.set(packet.aad, destination);
      destination += packet.aad.length;
      const job = this.#jobs + i * JOB_SIZE;
      const words: readonly (readonly [offset: number, value: number])[] = [
        [JOB_CONTEXT_OFFSET, SA_BASE + options.slot * SA_SLOT_SIZE + SA_AEAD_OFFSET],
        [JOB_AAD_OFFSET, source],
        [JOB_AAD_LENGTH_OFFSET, packet.aad.length],
        [JOB_SOURCE_OFFSET, source + packet.aad.length],
        [JOB_DESTINATION_OFFSET, destination],
        [JOB_LENGTH_OFFSET, length],
        [JOB_TAG_OFFSET, destination + length],
        [JOB_HIGH_HALF_LENGTH_OFFSET, 0],
      ];
      for (const [offset, value] of words) this.#view.setUint32(job + offset, value, true);
      this.#octets.set(packet.nonce, job + JOB_NONCE_OFFSET);
      this.#octets.set(packet.aad, source);
      this.#octets.set(options.isSealed ? packet.ciphertext : packet.plaintext, source + packet.aad.length);
      if (options.isSealed) this.#octets.set(packet.tag, destination + length);
      source += packet.aad.length + length;
      destination += length + this.#tagLength;
    }
    this.#count = packets.length;
  }

  seal(): void {
    this.#aead.seal(this.#kernel, this.#jobs, this.#count);
  }

  open(): void {
    this.#aead.open(this.#kernel, this.#jobs, this.#count);
  }

  /** All results behind one another: ciphertext and tag of each packet. */
  sealed(): Uint8Array {
    return this.#results(this.#tagLength);
  }

  /** All results behind one another. Throws if a packet was refused. */
  opened(): Uint8Array {
    for (let i = 0; i < this.#count; i++) {
      const verdict = this.#view.getUint32(this.#jobs + i * JOB_SIZE + JOB_VERDICT_OFFSET, true);
      if (verdict !== JOB_AUTHENTIC) throw new Error(`the kernel refused packet ${i}`);
    }
    return this.#results(0);
  }

  #results(tagLength: number): Uint8Array {
    const parts = Array.from({ length: this.#count }, (_, i) => {
      const job = this.#jobs + i * JOB_SIZE;
      const destination = this.#view.getUint32(job + JOB_DESTINATION_OFFSET, true);
      const length = this.#view.getUint32(job + JOB_LENGTH_OFFSET, true);
      return this.#octets.slice(destination, destination + length + tagLength);
    });
    return Buffer.concat(parts);
  }

  get #region(): number {
    return WORKER_BASE + this.#worker * WORKER_SIZE;
  }
}
