import { TICKET_LIFETIME_MAX_MS } from "./ticket-keys.ts";

interface Family {
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly bornAt: number;
}

/** A family of tickets that are good for nothing any more, and until when one of them might live. */
export interface SpentFamily extends Family {
  readonly until: number;
}

/** What outlives us. */
export interface SpentList {
  /** The first to be spent is the first. */
  readonly families: readonly SpentFamily[];
  /** What is born until then is refused without being known. */
  readonly refusedUntil: number;
}

/** How many families are known at most. */
export const SPENT_LIMIT = 65_536;

/**
 * Families of tickets that are good for nothing any more, each for as long as one of its tickets might live. When there are too many, the
 * one that was spent first goes, and with it all that are not younger: they are refused without being known, which costs their clients a
 * full exchange.
 */
export class SpentFamilies {
  readonly #limit: number;
  readonly #save: (spent: SpentFamily) => void;
  /** The first to be spent is the first to go. */
  readonly #families = new Map<string, SpentFamily>();
  #refusedUntil: number;

  /** `kept`: what the former life has saved. `save` is called before `add` returns. */
  constructor({
    limit = SPENT_LIMIT,
    kept = { families: [], refusedUntil: 0 },
    save = () => {},
  }: {
    readonly limit?: number;
    readonly kept?: SpentList;
    readonly save?: (spent: SpentFamily) => void;
  } = {}) {
    this.#limit = limit;
    this.#save = save;
    this.#refusedUntil = kept.refusedUntil;
    for (const family of kept.families) this.#put(family);
  }

  get list(): SpentList {
    return { families: [...this.#families.values()], refusedUntil: this.#refusedUntil };
  }

  has({ id, bornAt }: Family, wallNow: number): boolean {
    this.#forgetOld(wallNow);
    return bornAt <= this.#refusedUntil || this.#families.has(id);
  }

  /** False when it is there already. */
  add({ id, bornAt }: Family, wallNow: number): boolean {
    if (this.has({ id, bornAt }, wallNow)) return false;
    const spent = { id, bornAt, until: wallNow + TICKET_LIFETIME_MAX_MS };
    this.#put(spent);
    this.#save(spent);
    return true;
  }

  #put(spent: SpentFamily): void {
    const [oldest] = this.#families.values();
    if (oldest !== undefined && this.#families.size >= this.#limit) {
      this.#families.delete(oldest.id);
      this.#refusedUntil = Math.max(this.#refusedUntil, oldest.bornAt);
    }
    this.#families.set(spent.id, spent);
  }

  #forgetOld(wallNow: number): void {
    for (const [id, { until }] of this.#families) {
      if (until > wallNow) return;
      this.#families.delete(id);
    }
  }
}
