import { parseAddress } from "../bytes/ip-address.ts";
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
}

/**
 * Counts the responder's half-open SAs. Whoever has not shown a cookie may have a forged address, so such peers are
 * limited together and never use up the places that an address has for those who did (RFC 8019 section 4).
 */
export class HalfOpenTable {
  readonly #limits: Limits;
  #count = 0;
  /** Places of SAs that failed, the oldest first, with what makes them forgotten. */
  readonly #failed = new Map<HalfOpenPlace, () => void>();
  readonly #unverified = new Tally();
  readonly #byAddress = new Tally();
  readonly #byPrefix = new Tally();
  readonly #withoutCookie: TokenBucket;

  constructor(limits: Limits) {
    this.#limits = limits;
    this.#withoutCookie = new TokenBucket(limits.cookielessPerSecond);
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
        this.#withoutCookie.take(now);
      return isCalm ? "admit" : "demand-cookie";
    }
    const isFull =
      this.#count >= limits.halfOpenCount ||
      this.#byAddress.of(address) >= limits.halfOpenPerAddressCount ||
      this.#byPrefix.of(prefixOf(address)) >= limits.halfOpenPerPrefixCount;
    return isFull ? "refuse" : "admit";
  }

  enter(address: string, isRoutable: boolean): HalfOpenPlace {
    const place = { address, prefix: prefixOf(address), isRoutable };
    this.#count++;
    this.#change(place, 1);
    return place;
  }

  /** `forget` is called when too many have failed since, and makes the place be left. */
  fail(place: HalfOpenPlace, forget: () => void): void {
    this.#count--;
    this.#failed.set(place, forget);
    if (this.#failed.size > this.#limits.failedCount) this.#failed.values().next().value?.();
  }

  leave(place: HalfOpenPlace): void {
    if (!this.#failed.delete(place)) this.#count--;
    this.#change(place, -1);
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

/** The /24 or /56 around an address: what one customer of a provider holds. */
function prefixOf(address: string): string {
  const octets = parseAddress(address);
  if (octets === undefined) return address;
  return octets.subarray(0, octets.length === 4 ? 3 : 7).join(".");
}
