// ChaCha20 in the widest vectors that the processor has; WebAssembly's are 128 bits wide. The host lends it where it can, one call for a
// packet. Short packets, and the blocks that key Poly1305, are made here (chacha20-stream.ts), several packets side by side.

import {
  JOB_CONTEXT_OFFSET,
  JOB_DESTINATION_OFFSET,
  JOB_LENGTH_OFFSET,
  JOB_NONCE_OFFSET,
  JOB_SOURCE_OFFSET,
  WORKER_CHACHA_LENT_OFFSET,
} from "./layout";
import { region } from "./scratch";

// Imports of the module, under the name of this file (src/esp/kernel.ts).

/** Whether the host lends ChaCha20 at all. */
declare function hasChaCha20(): bool;
/** Destination = source ^ key stream under the key of 32 octets, from the block on that `counter` names: counter | nonce, 16 octets. */
declare function cryptChaCha20(
  destination: usize,
  source: usize,
  length: u32,
  key: usize,
  counter: usize,
): void;

/** Octets from which on a call costs less than what it saves. */
const LEAST_LENGTH: u32 = 448;

let isLent: bool = false;

/** Asks the host, once for each instance. */
export function borrowChaCha20(): void {
  isLent = hasChaCha20();
  store<u32>(region() + WORKER_CHACHA_LENT_OFFSET, isLent ? 1 : 0);
}

/** Whether a packet's text goes to the host. */
export function isLentFor(job: usize): bool {
  return isLent && load<u32>(job, JOB_LENGTH_OFFSET) >= LEAST_LENGTH;
}

/** Encrypts or decrypts a packet's text, key stream from counter 1 on. `counter` has room for 16 octets. */
export function cryptLentPacket(job: usize, counter: usize): void {
  store<u32>(counter, 1);
  store<u64>(counter, load<u64>(job, JOB_NONCE_OFFSET), 4);
  store<u32>(counter, load<u32>(job, JOB_NONCE_OFFSET + 8), 12);
  cryptChaCha20(
    load<u32>(job, JOB_DESTINATION_OFFSET),
    load<u32>(job, JOB_SOURCE_OFFSET),
    load<u32>(job, JOB_LENGTH_OFFSET),
    load<u32>(job, JOB_CONTEXT_OFFSET),
    counter,
  );
}
