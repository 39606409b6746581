import { toHex } from "../bytes/hex.ts";
import { parseAddress } from "../bytes/ip-address.ts";

/** How fast passwords may be guessed at. `burst` tries at once, then one each `everyMs`. */
interface Allowance {
  readonly burst: number;
  readonly everyMs: number;
}

/** One user from one network: a person who mistypes. */
const PAIR: Allowance = { burst: 5, everyMs: 10_000 };
/** One network, whatever names it tries: a house or an office behind a NAT. */
const NETWORK: Allowance = { burst: 20, everyMs: 6_000 };
/** One user from networks that have failed for that user before, all together: 43,200 guesses a day. */
const SUSPECTS: Allowance = { burst: 20, everyMs: 2_000 };
/** One user from networks that have not: what the legitimate user draws on who comes from somewhere new while others guess. */
const NEWCOMERS: Allowance = { burst: 20, everyMs: 1_000 };

/** Entries in each table; the one that was used least recently goes first. What is forgotten begins with a full allowance. */
const MOST_ENTRIES = 8192;
/** Networks that are remembered as a user's own. */
const MOST_NETWORKS_OF_USER = 16;

export interface Attempt {
  readonly user: string;
  /** Where the client's datagrams come from, as text. */
  readonly address: string;
}

/**
 * Limits the guessing of passwords without shutting the legitimate user out. An attempt takes a token from the allowance of its
 * network and of its user from there; and, unless the user has logged in from that network before, one from an allowance that all
 * strange networks share for this user. A login gives the tokens of its network back. So whoever guesses at a name, from however many addresses,
 * never holds up that user where he logged in before, and elsewhere only until the next token. Nothing locks for good.
 */
export class LoginGuard {
  readonly #clock: { now(): number };
  readonly #networks = new Buckets(NETWORK);
  readonly #pairs = new Buckets(PAIR);
  readonly #suspects = new Buckets(SUSPECTS);
  readonly #newcomers = new Buckets(NEWCOMERS);
  /** The networks that a user has logged in from, the latest last. */
  readonly #proven = new RecentlyUsed<Set<string>>();

  constructor(clock: { now(): number }) {
    this.#clock = clock;
  }

  /** Whether the attempt may be looked at. If it may, it is paid for. */
  admits(attempt: Attempt): boolean {
    const now = this.#clock.now();
    const bills = this.#billsOf(attempt, now);
    if (!bills.every(([buckets, key]) => buckets.has(key, now))) return false;
    for (const [buckets, key] of bills) buckets.take(key, now);
    return true;
  }

  /** The attempt, which was admitted, showed the right password. */
  succeeded(attempt: Attempt): void {
    const network = networkOf(attempt.address);
    this.#networks.giveBack(network);
    this.#pairs.giveBack(pairOf(attempt, network));
    const own = this.#proven.get(attempt.user) ?? new Set();
    own.delete(network);
    own.add(network);
    if (own.size > MOST_NETWORKS_OF_USER) own.delete(own.values().next().value!);
    this.#proven.set(attempt.user, own);
  }

  /** Table entries in use, which is bounded. */
  get entryCount(): number {
    const buckets = [this.#networks, this.#pairs, this.#suspects, this.#newcomers];
    return buckets.reduce((sum, { size }) => sum + size, this.#proven.size);
  }

  #billsOf(attempt: Attempt, now: number): readonly (readonly [Buckets, string])[] {
    const network = networkOf(attempt.address);
    const pair = pairOf(attempt, network);
    const own: readonly (readonly [Buckets, string])[] = [
      [this.#networks, network],
      [this.#pairs, pair],
    ];
    if (this.#proven.get(attempt.user)?.has(network)) return own;
    const isNewcomer = this.#pairs.isFull(pair, now);
    return [...own, [isNewcomer ? this.#newcomers : this.#suspects, attempt.user]];
  }
}

function pairOf({ user }: Attempt, network: string): string {
  return `${network} ${user}`;
}

/** An IPv4 address is one place; of IPv6 a place has a /56 (RFC 6177). */
function networkOf(address: string): string {
  const octets = parseAddress(address);
  if (octets === undefined) return address.slice(0, 64);
  return toHex(octets.length === 4 ? octets : octets.subarray(0, 7));
}

interface Bucket {
  tokens: number;
  at: number;
}

/** Token buckets by key. */
class Buckets {
  readonly #allowance: Allowance;
  readonly #buckets = new RecentlyUsed<Bucket>();

  constructor(allowance: Allowance) {
    this.#allowance = allowance;
  }

  get size(): number {
    return this.#buckets.size;
  }

  has(key: string, now: number): boolean {
    return this.#tokens(key, now) >= 1;
  }

  isFull(key: string, now: number): boolean {
    return this.#tokens(key, now) >= this.#allowance.burst;
  }

  take(key: string, now: number): void {
    this.#buckets.set(key, { tokens: this.#tokens(key, now) - 1, at: now });
  }

  giveBack(key: string): void {
    const bucket = this.#buckets.get(key);
    if (bucket !== undefined) bucket.tokens = Math.min(this.#allowance.burst, bucket.tokens + 1);
  }

  #tokens(key: string, now: number): number {
    const { burst, everyMs } = this.#allowance;
    const bucket = this.#buckets.get(key);
    if (bucket === undefined) return burst;
    return Math.min(burst, bucket.tokens + Math.max(0, now - bucket.at) / everyMs);
  }
}

/** A map that forgets what was not written or read for longest. */
class RecentlyUsed<Value> {
  readonly #entries = new Map<string, Value>();

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): Value | undefined {
    const value = this.#entries.get(key);
    if (value === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, value);
    return value;
  }

  set(key: string, value: Value): void {
    this.#entries.delete(key);
    this.#entries.set(key, value);
    if (this.#entries.size > MOST_ENTRIES) this.#entries.delete(this.#entries.keys().next().value!);
  }
}
