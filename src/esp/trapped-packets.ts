import {
  DESCRIPTOR_LENGTH_OFFSET,
  DESCRIPTOR_SEQUENCE_OFFSET,
  DESCRIPTOR_SOURCE_OFFSET,
  TRAILER_ROOM,
} from "../../assembly/layout.ts";

/** For all traps together, and for one: a few packets of each conversation that waits. */
const HELD_COUNT = 64;
const HELD_PER_TRAP_COUNT = 8;
/** Longer ones are dropped: what begins a conversation is short. */
const HELD_LENGTH = 2048;
/** As long as the kernel waits for a neighbour's address. What is older has been sent again, or is not wanted any more. */
const HOLD_MS = 3_000;

/** A trap calls at most once in this time, and all traps together at most so often in it. */
const CALL_MS = 1_000;
const CALL_COUNT = 64;
/** Traps whose numbers agree in the low bits share a turn. */
const TURN_COUNT = 4_096;

/** A packet met a policy that has no SA yet. */
export interface TrapCall {
  /** The number of the policy. */
  readonly trap: number;
  /** A copy of the packet. */
  readonly packet: Uint8Array;
}

/**
 * Packets that met a trap. The host is called to bring the SA up, and a few packets wait meanwhile, so that the first of a
 * conversation is not lost: a dropped SYN costs a second, a dropped ping looks like a fault. All of it is bounded: a packet that
 * finds no room, or waits too long, is dropped.
 */
export class TrappedPackets {
  readonly #octets: Uint8Array;
  readonly #words: Uint32Array;
  readonly #headerLength: number;
  readonly #onTrap: (call: TrapCall) => void;
  /** Packet i, behind the header of its TUN device, lies at HELD_LENGTH * i. */
  readonly #store = new Uint8Array(HELD_COUNT * HELD_LENGTH);
  readonly #lengths = new Uint32Array(HELD_COUNT);
  readonly #traps = new Uint32Array(HELD_COUNT);
  readonly #arrivals = new Float64Array(HELD_COUNT);
  /** Arrivals of those that were taken out last, in their order. */
  readonly #taken = new Float64Array(HELD_COUNT);
  #count = 0;
  #takenCount = 0;
  readonly #calledAt = new Float64Array(TURN_COUNT).fill(Number.NEGATIVE_INFINITY);
  #callsSince = Number.NEGATIVE_INFINITY;
  #calls = 0;

  /** `headerLength`: octets before each packet that the device gives and takes. */
  constructor(facts: {
    readonly memory: WebAssembly.Memory;
    readonly headerLength: number;
    readonly onTrap: (call: TrapCall) => void;
  }) {
    this.#octets = new Uint8Array(facts.memory.buffer);
    this.#words = new Uint32Array(facts.memory.buffer);
    this.#headerLength = facts.headerLength;
    this.#onTrap = facts.onTrap;
  }

  /** Packets that wait. */
  get count(): number {
    return this.#count;
  }

  /** Octets that `takeOut` may need. */
  get octets(): number {
    return this.#count * (HELD_LENGTH + TRAILER_ROOM + 16);
  }

  /** Puts the packets that are not too old from `at` on into the memory, each handed to `put`, and waits for none any more. Returns where the memory is free. */
  takeOut(at: number, now: number, put: (at: number, length: number) => number): number {
    this.#takenCount = 0;
    for (let index = 0; index < this.#count; index++) {
      if (now - this.#arrivals[index]! > HOLD_MS) continue;
      const from = index * HELD_LENGTH;
      const length = this.#lengths[index]!;
      this.#octets.set(this.#store.subarray(from, from + length), at);
      this.#taken[this.#takenCount++] = this.#arrivals[index]!;
      at = put(at, length);
    }
    this.#count = 0;
    return at;
  }

  /**
   * The packet of a descriptor (index of its first word), `place` of its batch, met a trap. Those that were taken out lead the
   * batch, and may meet it again.
   */
  meet(descriptor: number, place: number, now: number): void {
    const trap = this.#words[descriptor + DESCRIPTOR_SEQUENCE_OFFSET / 4]!;
    const source = this.#words[descriptor + DESCRIPTOR_SOURCE_OFFSET / 4]!;
    const length = this.#words[descriptor + DESCRIPTOR_LENGTH_OFFSET / 4]!;
    this.#hold(trap, {
      at: source - this.#headerLength,
      length: length + this.#headerLength,
      arrival: place < this.#takenCount ? this.#taken[place]! : now,
      now,
    });
    if (this.#mayCall(trap, now)) {
      this.#onTrap({ trap, packet: this.#octets.slice(source, source + length) });
    }
  }

  /** The batch is through. */
  endBatch(): void {
    this.#takenCount = 0;
  }

  #hold(
    trap: number,
    packet: { readonly at: number; readonly length: number; readonly arrival: number; readonly now: number },
  ): void {
    const { at, length, arrival, now } = packet;
    if (length > HELD_LENGTH) return;
    if (this.#count > 0 && now - this.#arrivals[0]! > HOLD_MS) this.#dropOld(now);
    let companions = 0;
    for (let index = 0; index < this.#count; index++) if (this.#traps[index] === trap) companions++;
    if (this.#count === HELD_COUNT || companions === HELD_PER_TRAP_COUNT) return;
    const index = this.#count++;
    this.#store.set(this.#octets.subarray(at, at + length), index * HELD_LENGTH);
    this.#lengths[index] = length;
    this.#traps[index] = trap;
    this.#arrivals[index] = arrival;
  }

  #dropOld(now: number): void {
    let kept = 0;
    for (let index = 0; index < this.#count; index++) {
      if (now - this.#arrivals[index]! > HOLD_MS) continue;
      this.#store.copyWithin(kept * HELD_LENGTH, index * HELD_LENGTH, (index + 1) * HELD_LENGTH);
      this.#lengths[kept] = this.#lengths[index]!;
      this.#traps[kept] = this.#traps[index]!;
      this.#arrivals[kept] = this.#arrivals[index]!;
      kept++;
    }
    this.#count = kept;
  }

  #mayCall(trap: number, now: number): boolean {
    const turn = trap & (TURN_COUNT - 1);
    if (now - this.#calledAt[turn]! < CALL_MS) return false;
    if (now - this.#callsSince >= CALL_MS) {
      this.#callsSince = now;
      this.#calls = 0;
    }
    if (this.#calls === CALL_COUNT) return false;
    this.#calls++;
    this.#calledAt[turn] = now;
    return true;
  }
}
