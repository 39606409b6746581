import { readFileSync } from "node:fs";
import { CONTROL_BASE, CONTROL_VERSION_OFFSET, LAYOUT_VERSION, MEMORY_SIZE } from "../../assembly/layout.ts";
import type { LentAes, LentChaCha20, LentCiphers } from "../platform/native-ciphers/lent-ciphers.ts";

const PAGE_SIZE = 65536;
const MAXIMUM_PAGES = 32768;

/** The kernel's exports, as assembly/index.ts gives them. Addresses and lengths are octets in the shared memory. */
export interface Kernel {
  configure(worker: number): void;
  /** `slot` is the SA slot that the context is in; of several keys under one number only the last holds. */
  gcmExpandKey(context: number, slot: number, key: number, keyLength: number): void;
  gcmSealBatch(jobs: number, count: number): void;
  gcmOpenBatch(jobs: number, count: number): void;
  chachaExpandKey(context: number, key: number): void;
  chachaSealBatch(jobs: number, count: number): void;
  chachaOpenBatch(jobs: number, count: number): void;
  /** Keys from `gcmExpandKey`. */
  gmacSealBatch(jobs: number, count: number): void;
  gmacOpenBatch(jobs: number, count: number): void;
  /** CIPHER_* and HASH_*; at `key` `keyLength` octets for the cipher, then the integrity key. */
  etmExpandKey(
    context: number,
    slot: number,
    cipher: number,
    hash: number,
    key: number,
    keyLength: number,
  ): void;
  /** 16 octets at `key`: they make the IVs of a CBC context. */
  etmExpandIvKey(context: number, key: number): void;
  /** Writes IVs before the destinations of jobs in CBC, from the sequence numbers in their nonces. */
  etmWriteIvs(jobs: number, count: number): void;
  etmSealBatch(jobs: number, count: number): void;
  etmOpenBatch(jobs: number, count: number): void;
  /** Descriptors of the worker's region; results lie in its send slab. */
  espEncapsulateBatch(first: number, count: number): void;
  /** Dummy packets that are due, at most `limit`; results as those of `espEncapsulateBatch`, from the first descriptor on. Returns their number. */
  espDummyBatch(limit: number): number;
  /** Milliseconds until the next one is due, `Infinity` when none ever is. */
  espNextDummy(): number;
  /** Descriptors of the worker's region; results lie where the packets were. */
  espDecapsulateBatch(first: number, count: number): void;
  /**
   * What a decapsulated batch becomes at the TUN device. `kinds`: COALESCE_*. Returns how many writes there are in the worker's
   * list, which is laid out as layout.ts says.
   */
  espCoalesceBatch(first: number, count: number, kinds: number): number;
  /** As memory.copy does: `length` octets, which may overlap. */
  copyOctets(to: number, from: number, length: number): void;
  /** Takes the super-packet of a write apart again: afterwards each piece is a packet of its own, as it came. */
  espSplitWrite(write: number): void;
  /** Expands a key into a slot that is not active yet. 0 when algorithm and length do not go together. */
  espPrepareSa(slot: number, key: number, keyLength: number): number;
  /** Zeroes a slot and its expanded key, once no worker reads them. */
  espWipeSa(slot: number): void;
  /** Marks a number in a slot's replay window. Returns a STATUS_*. */
  espReplayMark(slot: number, high: number, low: number): number;
  /** Zeroes the jobs and the scratch of this instance's worker, and the tables of SAs that are gone. */
  wipeTraces(): void;
}

/** The memory that the host and every data worker share. Reserved, not filled: pages that nobody touches cost nothing. */
export function createSharedMemory(): WebAssembly.Memory {
  const memory = new WebAssembly.Memory({
    initial: MEMORY_SIZE / PAGE_SIZE,
    maximum: MAXIMUM_PAGES,
    shared: true,
  });
  new DataView(memory.buffer).setUint32(CONTROL_BASE + CONTROL_VERSION_OFFSET, LAYOUT_VERSION, true);
  return memory;
}

/**
 * Instantiates the kernel for one thread: `worker` 0 is the host, 1 and up are data workers. What is not lent the kernel
 * does itself.
 */
export function loadKernel(memory: WebAssembly.Memory, worker: number, lent: LentCiphers = {}): Kernel {
  const version = new DataView(memory.buffer).getUint32(CONTROL_BASE + CONTROL_VERSION_OFFSET, true);
  if (version !== LAYOUT_VERSION) {
    throw new RangeError(`shared memory has layout ${version}, this build has layout ${LAYOUT_VERSION}`);
  }
  const module = new WebAssembly.Module(readFileSync(kernelUrl()));
  const kernel = new WebAssembly.Instance(module, {
    env: { memory, abort },
    "processor-aes": lendAes(lent.aes),
    "lent-chacha20": lendChaCha20(lent.chaCha20),
  }).exports as unknown as Kernel;
  kernel.configure(worker);
  return kernel;
}

/** The module lies in dist/; this file runs from src/esp/ (tests) and from dist/src/esp/. */
function kernelUrl(): URL {
  const here = import.meta.url;
  return new URL(here.includes("/dist/src/") ? "../../kernel.wasm" : "../../dist/kernel.wasm", here);
}

/** As assembly/processor-aes.ts imports it. */
function lendAes(aes: LentAes | undefined): Record<string, unknown> {
  return {
    hasAes: () => aes !== undefined,
    expandKey: (place: number, key: number, keyLength: number, isForDecryption: number) =>
      aes?.expandKey(place, key, keyLength, isForDecryption !== 0) ?? false,
    crypt: (place: number, blocks: number, length: number) => aes?.crypt(place, blocks, length) ?? false,
    forgetKey: (place: number) => aes?.forgetKey(place),
  };
}

/** As assembly/lent-chacha20.ts imports it. */
function lendChaCha20(chaCha20: LentChaCha20 | undefined): Record<string, unknown> {
  return {
    hasChaCha20: () => chaCha20 !== undefined,
    cryptChaCha20: (destination: number, source: number, length: number, key: number, counter: number) =>
      chaCha20?.crypt(destination, source, length, key, counter),
  };
}

function abort(): never {
  throw new Error("the kernel aborted");
}
