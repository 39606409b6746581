/** What a bad network does. Chances are from 0 to 1; what is left out does not happen. */
export interface Faults {
  readonly loss?: number;
  readonly duplication?: number;
  /** Chance that a packet is held back for HELD_BACK_MS more, so that those behind it overtake. */
  readonly reordering?: number;
  /** Least and most; each packet takes a time of its own between them, so a wide range reorders too. */
  readonly delayMs?: readonly [number, number];
  /** Chance that a NAT gives the sender another port before this packet. */
  readonly rebinding?: number;
}

/** What becomes of a packet: one delay in milliseconds for each copy that arrives; none when it is lost. */
export type Fate = readonly number[];

export const HELD_BACK_MS = 10;

/**
 * Faults with a seed. What happens to packet `index` of a direction depends on these three numbers alone, not on the packets
 * before it or on the clock: two runs with one seed hurt the same packets.
 */
export class FaultPlan {
  /** Whether every packet of this plan passes at once, untouched. */
  readonly isQuiet: boolean;
  readonly #faults: Required<Faults>;
  readonly #key: number;

  constructor(seed: number, direction: number, faults: Faults) {
    this.#faults = { loss: 0, duplication: 0, reordering: 0, delayMs: [0, 0], rebinding: 0, ...faults };
    const { loss, duplication, reordering, delayMs, rebinding } = this.#faults;
    this.isQuiet = loss + duplication + reordering + rebinding === 0 && delayMs[1] === 0;
    this.#key = scramble(scramble(seed ^ 0x5bd1_e995) + direction);
  }

  fateOf(index: number): Fate {
    const { loss, duplication } = this.#faults;
    if (this.#chance(index, LOSS) < loss) return LOST;
    const first = this.#delay(index, DELAY, REORDERING);
    if (this.#chance(index, DUPLICATION) >= duplication) return first === 0 ? AT_ONCE : [first];
    return [first, this.#delay(index, SECOND_DELAY, SECOND_REORDERING)];
  }

  rebindsBefore(index: number): boolean {
    return this.#chance(index, REBINDING) < this.#faults.rebinding;
  }

  #delay(index: number, delay: number, reordering: number): number {
    const [least, most] = this.#faults.delayMs;
    const heldBack = this.#chance(index, reordering) < this.#faults.reordering ? HELD_BACK_MS : 0;
    return least + this.#chance(index, delay) * (most - least) + heldBack;
  }

  /** From 0 up to, not including, 1. */
  #chance(index: number, question: number): number {
    return scramble(scramble(index ^ this.#key) + question) / 0x1_0000_0000;
  }
}

const LOST: Fate = [];
const AT_ONCE: Fate = [0];

// The questions that are asked about each packet.
const LOSS = 1;
const DUPLICATION = 2;
const DELAY = 3;
const REORDERING = 4;
const SECOND_DELAY = 5;
const SECOND_REORDERING = 6;
const REBINDING = 7;

/** A 32-bit number for a 32-bit number, one to one and without a pattern: two rounds of multiplication and shift. */
function scramble(value: number): number {
  let x = Math.imul(value + 0x9e37_79b9, 1);
  x = Math.imul(x ^ (x >>> 16), 0x21f0_aaad);
  x = Math.imul(x ^ (x >>> 15), 0x735a_2d97);
  return (x ^ (x >>> 15)) >>> 0;
}
