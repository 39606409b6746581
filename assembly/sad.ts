// The Security Association Database in the shared memory: slots, their keys and their counters.

import { chachaExpandKey } from "./chacha20-poly1305";
import { etmExpandIvKey, etmExpandKey } from "./encrypt-then-mac";
import { describePackets } from "./esp-header";
import { gcmExpandKey } from "./gcm";
import { digestLength } from "./hashes";
import {
  ALGORITHM_AES_GCM,
  ALGORITHM_AES_GMAC,
  ALGORITHM_CHACHA20_POLY1305,
  ALGORITHM_ENCRYPT_THEN_MAC,
  CIPHER_AES_CBC,
  CIPHER_NULL,
  NO_SLOT,
  SA_ACTIVE,
  SA_AEAD_OFFSET,
  SA_BASE,
  SA_COUNTERS_OFFSET,
  SA_EVENTS_OFFSET,
  SA_FLAG_ESN,
  SA_FLAG_INBOUND,
  SA_INNER_MTU_OFFSET,
  SA_RESERVED,
  SA_SLOT_COUNT,
  SA_SLOT_SIZE,
  SA_SPI_OFFSET,
  SPI_SLOT_BITS,
  SPI_WORKER_BITS,
  WORKER_CLOCK_OFFSET,
  WORKER_COUNTERS_OFFSET,
} from "./layout";
import { Sa } from "./records";
import { replayMark } from "./replay";
import { region, worker } from "./scratch";

export function saAt(slot: u32): Sa {
  return changetype<Sa>(SA_BASE + slot * SA_SLOT_SIZE);
}

export function aeadContextOf(sa: Sa): usize {
  return changetype<usize>(sa) + SA_AEAD_OFFSET;
}

/** The slot of our inbound SA with this SPI, or NO_SLOT. Another worker's SA is none of ours: its window has one writer. */
export function findInboundSlot(spi: u32): u32 {
  const slot = spi & (SA_SLOT_COUNT - 1);
  const sa = saAt(slot);
  if (atomic.load<u32>(changetype<usize>(sa)) != SA_ACTIVE) return <u32>NO_SLOT;
  if (sa.spi != spi || (sa.flags & SA_FLAG_INBOUND) == 0) return <u32>NO_SLOT;
  if (workerOf(spi) != worker()) return <u32>NO_SLOT;
  return slot;
}

/** The outbound SA in `slot`, or null when it is not there, is not the one that `generation` means, or is for another worker to seal with. */
export function findOutboundSa(slot: u32, generation: u32): Sa | null {
  if (slot >= <u32>SA_SLOT_COUNT) return null;
  const sa = saAt(slot);
  if (atomic.load<u32>(changetype<usize>(sa)) != SA_ACTIVE) return null;
  if (sa.generation != generation || (sa.flags & SA_FLAG_INBOUND) != 0) return null;
  return isOurs(sa) ? sa : null;
}

/** Whether an SPI that is not ours is that of an SA of another worker, which may have no keys yet. */
export function isForOtherWorker(spi: u32): bool {
  const sa = saAt(spi & (SA_SLOT_COUNT - 1));
  const state = atomic.load<u32>(changetype<usize>(sa));
  if (state != SA_ACTIVE && state != SA_RESERVED) return false;
  return sa.spi == spi && workerOf(spi) != worker();
}

/** Whether `findOutboundSa` found none only because it is another worker's. */
export function isSealedElsewhere(slot: u32, generation: u32): bool {
  if (slot >= <u32>SA_SLOT_COUNT) return false;
  const sa = saAt(slot);
  if (atomic.load<u32>(changetype<usize>(sa)) != SA_ACTIVE || sa.generation != generation) return false;
  return (sa.flags & SA_FLAG_INBOUND) == 0 && !isOurs(sa);
}

function workerOf(spi: u32): u32 {
  return (spi >> SPI_SLOT_BITS) & ((1 << SPI_WORKER_BITS) - 1);
}

/** Whether this instance's worker is the one that may take the SA's numbers. */
export function isOurs(sa: Sa): bool {
  return sa.worker == worker();
}

/** True when one more packet of `octets` would pass a hard limit of the SA. */
export function wouldExceedLimits(sa: Sa, octets: u32): bool {
  // Dummy packets use the key up as others do.
  if (sa.packets + sa.dummies >= sa.packetLimit) return true;
  return sa.octets >= sa.octetLimit || sa.octetLimit - sa.octets < <u64>octets;
}

/** Notes a packet that was sealed or delivered. */
export function noteUse(sa: Sa, octets: u32): void {
  atomic.add<u64>(changetype<usize>(sa) + offsetof<Sa>("packets"), 1);
  atomic.add<u64>(changetype<usize>(sa) + offsetof<Sa>("octets"), octets);
  sa.lastUsed = load<f64>(region(), WORKER_CLOCK_OFFSET);
}

/** Notes a dummy packet that was sealed. */
export function noteDummy(sa: Sa): void {
  atomic.add<u64>(changetype<usize>(sa) + offsetof<Sa>("dummies"), 1);
  sa.lastDummy = load<f64>(region(), WORKER_CLOCK_OFFSET);
}

/** The longest inner packet for which the SA has room on its path, or 0. */
export function innerMtuOf(sa: Sa): u32 {
  return atomic.load<u32>(changetype<usize>(sa) + SA_INNER_MTU_OFFSET);
}

/** Counts what was done to a packet of the SA that goes on. */
export function countEvent(sa: Sa, event: u32): void {
  const counter = changetype<usize>(sa) + SA_EVENTS_OFFSET + ((<usize>event) << 3);
  store<u64>(counter, load<u64>(counter) + 1);
}

/** Counts what became of a packet: at its SA, or at the worker when it has none. */
export function countStatus(slot: u32, status: u32): void {
  const counters =
    slot == <u32>NO_SLOT
      ? region() + WORKER_COUNTERS_OFFSET
      : changetype<usize>(saAt(slot)) + SA_COUNTERS_OFFSET;
  const counter = counters + ((<usize>status) << 3);
  store<u64>(counter, load<u64>(counter) + 1);
}

/**
 * Expands the keys at `key` into a slot that is not active yet, for the algorithm written there: `keyLength` octets for the cipher,
 * behind them the integrity key where there is one, and for outbound CBC the key for IVs. False when length and cipher do not
 * go together.
 */
export function espPrepareSa(slot: u32, key: usize, keyLength: u32): bool {
  if (slot >= <u32>SA_SLOT_COUNT) return false;
  const sa = saAt(slot);
  const context = aeadContextOf(sa);
  const isAesKey = keyLength == 16 || keyLength == 24 || keyLength == 32;
  if (sa.algorithm == ALGORITHM_AES_GCM || sa.algorithm == ALGORITHM_AES_GMAC) {
    if (!isAesKey) return false;
    gcmExpandKey(context, slot, key, keyLength);
  } else if (sa.algorithm == ALGORITHM_CHACHA20_POLY1305) {
    if (keyLength != 32) return false;
    chachaExpandKey(context, key);
  } else if (sa.algorithm == ALGORITHM_ENCRYPT_THEN_MAC) {
    if (sa.cipher == CIPHER_NULL ? keyLength != 0 : !isAesKey) return false;
    etmExpandKey(context, slot, sa.cipher, sa.hash, key, keyLength);
    if (sa.cipher == CIPHER_AES_CBC && (sa.flags & SA_FLAG_INBOUND) == 0) {
      etmExpandIvKey(context, key + keyLength + digestLength(sa.hash));
    }
  } else {
    return false;
  }
  describePackets(sa);
  return true;
}

/**
 * Takes the next number of the SA, or 0 when it would cycle (RFC 4303 section 3.3.3). The number is also the IV, so it must
 * be taken once, come what may. An SA has one worker that seals; the exchange holds even if two took themselves for it, and keeps the
 * number from passing the end.
 */
export function nextSequence(sa: Sa): u64 {
  const word = changetype<usize>(sa) + offsetof<Sa>("sequence");
  const last: u64 = (sa.flags & SA_FLAG_ESN) != 0 ? u64.MAX_VALUE : <u64>u32.MAX_VALUE;
  let sent = atomic.load<u64>(word);
  while (sent < last) {
    const found = atomic.cmpxchg<u64>(word, sent, sent + 1);
    if (found == sent) return sent + 1;
    sent = found;
  }
  return 0;
}

/** Zeroes everything of a slot that no worker reads any more, except its state and generation. */
export function espWipeSa(slot: u32): void {
  if (slot >= <u32>SA_SLOT_COUNT) return;
  const sa = saAt(slot);
  const generation = sa.generation;
  memory.fill(changetype<usize>(sa) + SA_SPI_OFFSET, 0, SA_SLOT_SIZE - SA_SPI_OFFSET);
  sa.generation = generation;
}

/** Marks the number high * 2^32 + low in a slot's replay window, as an authentic packet would. For tests of the window alone. */
export function espReplayMark(slot: u32, high: u32, low: u32): u32 {
  return replayMark(saAt(slot), ((<u64>high) << 32) | <u64>low);
}
