import { TICKET_LIFETIME_MAX_MS } from "./ticket-keys.ts";

interface Family {
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly bornAt: number;
}

/**
 * Families of tickets that are good for nothing any more, each for as long as one of its tickets might live. When there are too many, the
 * one that was spent first goes, and with it all that are not younger: they are refused without being known, which costs their clients a
 * full exchange.
 */
export class SpentFamilies {
  readonly #limit: number;
  /** The first to be spent is the first to go. */
  readonly #families = new Map<string, { readonly bornAt: number; readonly until: number }>();
  #refusedUntil = Number.NEGATIVE_INFINITY;

  constructor(limit = 65_536) {
    this.#limit = limit;
  }

  has({ id, bornAt }: Family, wallNow: number): boolean {
    this.#forgetOld(wallNow);
    return bornAt <= this.#refusedUntil || this.#families.has(id);
  }

  /** False when it is there already. */
  add({ id, bornAt }: Family, wallNow: number): boolean {
    if (this.has({ id, bornAt }, wallNow)) return false;
    const [oldest] = this.#families;
    if (oldest !== undefined && this.#families.size >= this.#limit) {
      const [oldestId, { bornAt: oldestBornAt }] = oldest;
      this.#families.delete(oldestId);
      this.#refusedUntil = Math.max(this.#refusedUntil, oldestBornAt);
    }
    this.#families.set(id, { bornAt, until: wallNow + TICKET_LIFETIME_MAX_MS });
    return true;
  }

  #forgetOld(wallNow: number): void {
    for (const [id, { until }] of this.#families) {
      if (until > wallNow) return;
      this.#families.delete(id);
    }
  }
}
