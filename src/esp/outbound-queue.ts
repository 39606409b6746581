import { VNET_SEGMENT_LENGTH_OFFSET } from "../../assembly/layout.ts";
import { FairQueue, NONE } from "./fair-queue.ts";
import { flowHash } from "./flow-hash.ts";
import { INTAKE_CAPACITY, type TunIntake } from "./tun-intake.ts";

/** Packets of one burst: enough that a system call each for receiving and transmitting weighs little. */
export const BURST_COUNT = 64;
/** Octets after which a burst ends: what comes meanwhile, from either side, waits no longer than these take to seal. */
const BURST_OCTETS = 65_536;
/** The same while somebody sends small packets beside a transfer; a super-packet leaves in pieces of about this then. Costs about a tenth of the throughput. */
const FINE_OCTETS = 24_576;
/** How long that goes on after the last of them. */
const FINE_MS = 250;
/** What is urgent is no longer than a packet on the wire. */
const URGENT_OCTETS = 2_048;
/** Packets taken in before something leaves again. */
const INTAKE_LIMIT = 256;
/** Packets given up at most to make room for others. */
const SHED_LIMIT = 64;

/**
 * What waits to leave, and in which order. As long as all of it fits into one burst, that is the order of arrival, and nothing else is
 * done; where more is waiting, flows get fair shares (fair-queue.ts), so that a ping or a voice waits for one burst at most and not for all
 * that a transfer has sent before.
 */
export class OutboundQueue {
  readonly #intake: TunIntake;
  readonly #fair: FairQueue;
  readonly #headerLength: number;
  readonly #halfWords: Uint16Array;
  readonly #seed: number;
  /** What this round has taken in and not sorted by flow, in order of arrival. */
  readonly #unsorted = new Int32Array(INTAKE_LIMIT);
  /** By packet: what `takeSkipped` gives. */
  readonly #skipped = new Uint16Array(INTAKE_CAPACITY);
  #unsortedCount = 0;
  #unsortedOctets = 0;
  #fineUntil = 0;

  /** `onShed` is told how many packets were given up, the segments of a super-packet each for itself. */
  constructor(facts: {
    readonly memory: WebAssembly.Memory;
    readonly intake: TunIntake;
    readonly headerLength: number;
    readonly seed: number;
    readonly onShed: (count: number) => void;
  }) {
    this.#intake = facts.intake;
    this.#headerLength = facts.headerLength;
    this.#halfWords = new Uint16Array(facts.memory.buffer);
    this.#seed = facts.seed;
    this.#fair = new FairQueue({
      capacity: INTAKE_CAPACITY,
      onShed: (packet, isWhole) => {
        const segmentLength = this.#segmentLengthOf(packet);
        const segments = segmentLength === 0 ? 1 : this.#segmentsOf(packet, segmentLength);
        // One lost packet tells a sender to slow down; all of a super-packet would stop it.
        if (!isWhole && segments > 1) {
          this.#skipped[packet] = segmentLength;
          facts.onShed(1);
          return true;
        }
        facts.onShed(segments);
        this.#intake.release(packet);
        return false;
      },
    });
  }

  /**
   * Reads what the TUN device has, and another worker has read. Returns how many packets that were. `isBusy`: the burst of this round is another
   * one already.
   */
  takeIn(now: number, isBusy: boolean, readsTun: boolean): number {
    for (let shed = 0; shed < SHED_LIMIT && !this.#intake.hasRoom; shed++) this.#fair.shedLongest();
    let count = 0;
    while (count < INTAKE_LIMIT) {
      const packet = this.#intake.read(readsTun);
      if (packet === -1) break;
      if (this.#intake.skipped !== 0) this.#skipped[packet] = this.#intake.skipped;
      this.#unsorted[count++] = packet;
      this.#unsortedOctets += this.#intake.lengthOf(packet);
    }
    this.#unsortedCount = count;
    const fitsInOne = count <= BURST_COUNT && this.#unsortedOctets <= this.#burstLimit(now);
    if (isBusy || this.#fair.count > 0 || !fitsInOne) this.#sort(now);
    return count;
  }

  /** Puts small packets of flows that have just begun to send into `burst`, if others wait as well. Returns how many. */
  chooseUrgent(burst: Int32Array, now: number): number {
    let count = 0;
    while (count < BURST_COUNT) {
      const octets = this.#fair.peekNewcomer();
      if (octets === 0 || octets > URGENT_OCTETS) break;
      const packet = this.#fair.take(now);
      if (packet === NONE) break;
      burst[count++] = packet;
    }
    if (count > 0) this.#fineUntil = now + FINE_MS;
    return count;
  }

  /** Puts the packets of the next burst into `burst`. Returns how many. */
  choose(burst: Int32Array, now: number): number {
    if (this.#unsortedCount > 0) return this.#chooseAll(burst);
    const limit = this.#burstLimit(now);
    let count = 0;
    for (let octets = 0; count < BURST_COUNT && octets < limit; ) {
      const packet = this.#fair.take(now);
      if (packet === NONE) break;
      burst[count++] = packet;
      octets += this.#intake.lengthOf(packet);
    }
    return count;
  }

  /** Octets of a super-packet's payload that are given up, from its front: a segment, or none. Asking ends it: the number may be another packet's next time. */
  takeSkipped(packet: number): number {
    const octets = this.#skipped[packet]!;
    this.#skipped[packet] = 0;
    return octets;
  }

  /** How many segments of a packet should leave in one burst; 0 is all. Of the packets of a burst it concerns the last one alone. */
  segmentLimit(packet: number, now: number): number {
    if (now >= this.#fineUntil || this.#intake.lengthOf(packet) <= FINE_OCTETS) return 0;
    const segmentLength = this.#segmentLengthOf(packet);
    return segmentLength === 0 ? 0 : Math.ceil(FINE_OCTETS / segmentLength);
  }

  #burstLimit(now: number): number {
    return now < this.#fineUntil ? FINE_OCTETS : BURST_OCTETS;
  }

  #chooseAll(burst: Int32Array): number {
    const count = this.#unsortedCount;
    for (let i = 0; i < count; i++) burst[i] = this.#unsorted[i]!;
    this.#unsortedCount = 0;
    this.#unsortedOctets = 0;
    return count;
  }

  #sort(now: number): void {
    for (let i = 0; i < this.#unsortedCount; i++) {
      const packet = this.#unsorted[i]!;
      const inner = this.#intake.addressOf(packet) + this.#headerLength;
      const flow = flowHash(this.#halfWords, inner, this.#seed);
      this.#fair.add(packet, flow, this.#intake.lengthOf(packet), now);
    }
    this.#unsortedCount = 0;
    this.#unsortedOctets = 0;
  }

  /** Headers are short beside what a super-packet carries. */
  #segmentsOf(packet: number, segmentLength: number): number {
    return Math.max(1, Math.floor((this.#intake.lengthOf(packet) - this.#headerLength) / segmentLength));
  }

  /** Octets of payload in each segment of a super-packet; 0 for a packet that is none. */
  #segmentLengthOf(packet: number): number {
    if (this.#headerLength === 0) return 0;
    return this.#halfWords[(this.#intake.addressOf(packet) + VNET_SEGMENT_LENGTH_OFFSET) >>> 1]!;
  }
}
