import { customerPrefix } from "../bytes/ip-address.ts";
import type { Limits } from "./limits.ts";
import { TokenBucket } from "./token-bucket.ts";

export type Admission = "admit" | "demand-cookie" | "refuse";

/**
 * A place in the table, held from IKE_SA_INIT until the peer is authenticated or its SA is forgotten. One that failed takes nobody
 * else's place while its last answer is kept; it goes on counting against its address and prefix, which slows down who guesses.
 */
export interface HalfOpenPlace {
  readonly address: string;
  readonly prefix: string;
  /** The peer showed a cookie, so it receives at its address. */
  readonly isRoutable: boolean;
  /** Makes somebody else's room: the place is left, or has failed, when this returns. */
  readonly giveUp: (now: number) => void;
}

/**
 * Counts the responder's half-open SAs. Whoever has not shown a cookie may have a forged address, so such peers are
 * limited together and never use up the places that an address has for those who did (RFC 8019 section 4). Whoever has failed of late
 * shares some attempts in a second with all others who have, and leaves the rest of our time to those who have not. And where no place
 * is left, the prefix that holds most makes room.
 */
export class HalfOpenTable {
  readonly #limits: Limits;
  #count = 0;
  /** Places in use by prefix, the oldest first. */
  readonly #active = new Map<string, Set<HalfOpenPlace>>();
  /** Places of SAs that failed, the oldest first, with what makes them forgotten. */
  readonly #failed = new Map<HalfOpenPlace, () => void>();
  readonly #failedByPrefix = new Tally();
  readonly #unverified = new Tally();
  readonly #byAddress = new Tally();
  readonly #byPrefix = new Tally();
  readonly #withoutCookie: TokenBucket;
  readonly #suspects: TokenBucket;

  constructor(limits: Limits) {
    this.#limits = limits;
    this.#withoutCookie = new TokenBucket(limits.cookielessPerSecond);
    this.#suspects = new TokenBucket(limits.suspectsPerSecond);
  }

  /** Without those that failed. */
  get size(): number {
    return this.#count;
  }

  admission(address: string, hasCookie: boolean, now: number): Admission {
    const limits = this.#limits;
    if (!hasCookie) {
      // What is refused, or has a bad public value, leaves no half-open SA behind and costs as much.
      const isCalm =
        this.#count < limits.cookieThresholdCount &&
        this.#unverified.of(address) < limits.cookieThresholdPerAddressCount &&
        !this.#isSuspect(address) &&
        this.#withoutCookie.take(now);
      return isCalm ? "admit" : "demand-cookie";
    }
    const prefix = customerPrefix(address);
    const isFull =
      this.#byAddress.of(address) >= limits.halfOpenPerAddressCount ||
      this.#byPrefix.of(prefix) >= limits.halfOpenPerPrefixCount ||
      (this.#count >= limits.halfOpenCount && this.#fullest().size <= this.#activeOf(prefix));
    const mayTry = !isFull && (!this.#isSuspect(address) || this.#suspects.take(now));
    return mayTry ? "admit" : "refuse";
  }

  /** `giveUp` ends the SA when somebody else needs the place more. */
  enter(
    facts: Pick<HalfOpenPlace, "address" | "isRoutable" | "giveUp"> & { readonly now: number },
  ): HalfOpenPlace {
    const { address, isRoutable, giveUp, now } = facts;
    if (this.#count >= this.#limits.halfOpenCount) {
      const [oldest] = this.#fullest();
      oldest?.giveUp(now);
    }
    const place = { address, prefix: customerPrefix(address), isRoutable, giveUp };
    this.#count++;
    this.#active.set(place.prefix, (this.#active.get(place.prefix) ?? new Set()).add(place));
    this.#change(place, 1);
    return place;
  }

  /** `forget` is called when too many have failed since, and makes the place be left. */
  fail(place: HalfOpenPlace, forget: () => void): void {
    this.#rest(place);
    this.#failed.set(place, forget);
    this.#failedByPrefix.change(place.prefix, 1);
    if (this.#failed.size > this.#limits.failedCount) this.#failed.values().next().value?.();
  }

  leave(place: HalfOpenPlace): void {
    if (this.#failed.delete(place)) this.#failedByPrefix.change(place.prefix, -1);
    else this.#rest(place);
    this.#change(place, -1);
  }

  #isSuspect(address: string): boolean {
    return this.#failed.size > 0 && this.#failedByPrefix.of(customerPrefix(address)) > 0;
  }

  #rest(place: HalfOpenPlace): void {
    const places = this.#active.get(place.prefix);
    if (places?.delete(place) !== true) return;
    this.#count--;
    if (places.size === 0) this.#active.delete(place.prefix);
  }

  #activeOf(prefix: string): number {
    return this.#active.get(prefix)?.size ?? 0;
  }

  /** The places of the prefix that holds most of them. */
  #fullest(): ReadonlySet<HalfOpenPlace> {
    let fullest: ReadonlySet<HalfOpenPlace> = NONE;
    for (const places of this.#active.values()) if (places.size > fullest.size) fullest = places;
    return fullest;
  }

  #change({ address, prefix, isRoutable }: HalfOpenPlace, by: number): void {
    if (isRoutable) {
      this.#byAddress.change(address, by);
      this.#byPrefix.change(prefix, by);
    } else {
      this.#unverified.change(address, by);
    }
  }
}

const NONE: ReadonlySet<HalfOpenPlace> = new Set();

/** How many of each; what falls to zero is forgotten. */
class Tally {
  readonly #counts = new Map<string, number>();

  of(key: string): number {
    return this.#counts.get(key) ?? 0;
  }

  change(key: string, by: number): void {
    const count = this.of(key) + by;
    if (count === 0) this.#counts.delete(key);
    else this.#counts.set(key, count);
  }
}
