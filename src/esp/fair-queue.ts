// Fair queueing with controlled delay, RFC 8290 and RFC 8289: each flow has a queue of its own, served in turn by octets; a flow
// that has just begun to send goes first; and a flow whose packets wait too long loses one now and then, so that its sender slows down.

/** What take() answers when there is nothing. */
export const NONE = -1;

/** Flows are told apart by this many numbers (a power of two). */
const FLOW_COUNT = 1024;
/** Octets that a flow may send before it is another's turn: what keeps a flow among the new ones. */
const QUANTUM_OCTETS = 16_384;
/** RFC 8289 sections 4.2 and 4.3: a delay of more than the target that lasts for an interval is a queue that stands. */
const TARGET_MS = 5;
const INTERVAL_MS = 100;
/** Nor is a queue of one packet, and packets may be super-packets. */
const STANDING_OCTETS = 65_536;

const IDLE = 0;
const NEW = 1;
const OLD = 2;

/** Packets are numbers below `capacity`, chosen by the caller. Allocates nothing after construction. */
export class FairQueue {
  readonly #onShed: (packet: number, isWhole: boolean) => boolean;
  // By packet.
  readonly #next: Int32Array;
  readonly #octets: Int32Array;
  readonly #arrivedAt: Float64Array;
  // By flow: the queue, its place in the list of new or of old flows, what it may still send in its turn.
  readonly #head = new Int32Array(FLOW_COUNT).fill(NONE);
  readonly #tail = new Int32Array(FLOW_COUNT);
  readonly #backlog = new Int32Array(FLOW_COUNT);
  readonly #list = new Uint8Array(FLOW_COUNT);
  readonly #follower = new Int32Array(FLOW_COUNT);
  readonly #credit = new Int32Array(FLOW_COUNT);
  // By flow, of RFC 8289 section 5: when the delay will have been too long for an interval (0: it is not), and the state of shedding.
  readonly #firstAboveAt = new Float64Array(FLOW_COUNT);
  readonly #shedNextAt = new Float64Array(FLOW_COUNT);
  readonly #shedCount = new Int32Array(FLOW_COUNT);
  readonly #isShedding = new Uint8Array(FLOW_COUNT);
  // The two lists of flows, by NEW and OLD.
  readonly #firstFlow = new Int32Array(3).fill(NONE);
  readonly #lastFlow = new Int32Array(3).fill(NONE);
  #count = 0;
  #isTooLong = false;

  /**
   * `onShed` is handed each packet that is given up, and answers whether something of it is to leave all the same: of a super-packet
   * it may give up a segment, unless it is to go as a whole.
   */
  constructor(facts: {
    readonly capacity: number;
    readonly onShed: (packet: number, isWhole: boolean) => boolean;
  }) {
    this.#onShed = facts.onShed;
    this.#next = new Int32Array(facts.capacity);
    this.#octets = new Int32Array(facts.capacity);
    this.#arrivedAt = new Float64Array(facts.capacity);
  }

  /** Packets in it. */
  get count(): number {
    return this.#count;
  }

  /** Octets of the packet that take() would give of the flows that have just begun to send; 0 when there is none of those. */
  peekNewcomer(): number {
    for (let queue = this.#firstFlow[NEW]!; queue !== NONE; queue = this.#firstFlow[NEW]!) {
      if (this.#head[queue] !== NONE && this.#credit[queue]! > 0) return this.#octets[this.#head[queue]!]!;
      if (this.#credit[queue]! <= 0) this.#credit[queue]! += QUANTUM_OCTETS;
      this.#removeFirst(NEW);
      this.#append(queue, OLD);
    }
    return 0;
  }

  /** Puts a packet of `octets` into the queue of its flow: any number, of which the low bits count. */
  add(packet: number, flow: number, octets: number, now: number): void {
    const queue = flow & (FLOW_COUNT - 1);
    this.#next[packet] = NONE;
    this.#octets[packet] = octets;
    this.#arrivedAt[packet] = now;
    if (this.#head[queue] === NONE) this.#head[queue] = packet;
    else this.#next[this.#tail[queue]!] = packet;
    this.#tail[queue] = packet;
    this.#backlog[queue]! += octets;
    this.#count++;
    if (this.#list[queue] !== IDLE) return;
    this.#credit[queue] = QUANTUM_OCTETS;
    this.#append(queue, NEW);
  }

  /** The packet whose turn it is at the time `now`, in milliseconds, or NONE. */
  take(now: number): number {
    for (;;) {
      const list = this.#firstFlow[NEW] === NONE ? OLD : NEW;
      const queue = this.#firstFlow[list]!;
      if (queue === NONE) return NONE;
      if (this.#credit[queue]! <= 0) {
        this.#credit[queue]! += QUANTUM_OCTETS;
        this.#removeFirst(list);
        this.#append(queue, OLD);
        continue;
      }
      const packet = this.#takeFrom(queue, now);
      if (packet !== NONE) {
        this.#credit[queue]! -= this.#octets[packet]!;
        return packet;
      }
      this.#removeFirst(list);
      // Or a flow of single packets would always be a new one, and starve the others (RFC 8290 section 4.2).
      if (list === NEW && this.#firstFlow[OLD] !== NONE) this.#append(queue, OLD);
      else this.#list[queue] = IDLE;
    }
  }

  /** Gives up the first packet of the longest queue: there is no room for all that come (RFC 8290 section 4.1). */
  shedLongest(): void {
    let longest = 0;
    for (let queue = 1; queue < FLOW_COUNT; queue++) {
      if (this.#backlog[queue]! > this.#backlog[longest]!) longest = queue;
    }
    const packet = this.#pop(longest);
    if (packet !== NONE) this.#onShed(packet, true);
  }

  /** RFC 8289 section 5.5. */
  #takeFrom(queue: number, now: number): number {
    let packet = this.#takeJudged(queue, now);
    if (packet === NONE || !this.#isTooLong) {
      this.#isShedding[queue] = 0;
      return packet;
    }
    if (this.#isShedding[queue] === 0) {
      this.#isShedding[queue] = 1;
      // Not long after the last time it goes on about as often as it did then.
      const isRecent = now - this.#shedNextAt[queue]! < 16 * INTERVAL_MS;
      this.#shedCount[queue] = isRecent ? Math.max(1, this.#shedCount[queue]! - 2) : 1;
      this.#scheduleShed(queue, now);
      return this.#onShed(packet, false) ? packet : this.#takeJudged(queue, now);
    }
    while (now >= this.#shedNextAt[queue]!) {
      this.#shedCount[queue]!++;
      this.#scheduleShed(queue, this.#shedNextAt[queue]!);
      if (this.#onShed(packet, false)) break;
      packet = this.#takeJudged(queue, now);
      if (packet === NONE || !this.#isTooLong) {
        this.#isShedding[queue] = 0;
        break;
      }
    }
    return packet;
  }

  #scheduleShed(queue: number, from: number): void {
    this.#shedNextAt[queue] = from + INTERVAL_MS / Math.sqrt(this.#shedCount[queue]!);
  }

  /** Takes the first packet, and says in #isTooLong whether the queue has been too long for a whole interval. */
  #takeJudged(queue: number, now: number): number {
    this.#isTooLong = false;
    const packet = this.#pop(queue);
    if (packet === NONE) {
      this.#firstAboveAt[queue] = 0;
    } else if (now - this.#arrivedAt[packet]! < TARGET_MS || this.#backlog[queue]! <= STANDING_OCTETS) {
      this.#firstAboveAt[queue] = 0;
    } else if (this.#firstAboveAt[queue] === 0) {
      this.#firstAboveAt[queue] = now + INTERVAL_MS;
    } else {
      this.#isTooLong = now >= this.#firstAboveAt[queue]!;
    }
    return packet;
  }

  #pop(queue: number): number {
    const packet = this.#head[queue]!;
    if (packet === NONE) return NONE;
    this.#head[queue] = this.#next[packet]!;
    this.#backlog[queue]! -= this.#octets[packet]!;
    this.#count--;
    return packet;
  }

  #append(queue: number, list: number): void {
    this.#list[queue] = list;
    this.#follower[queue] = NONE;
    if (this.#firstFlow[list] === NONE) this.#firstFlow[list] = queue;
    else this.#follower[this.#lastFlow[list]!] = queue;
    this.#lastFlow[list] = queue;
  }

  #removeFirst(list: number): void {
    this.#firstFlow[list] = this.#follower[this.#firstFlow[list]!]!;
  }
}
