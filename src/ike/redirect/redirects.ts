import type { Limits } from "../limits.ts";
import { TokenBucket } from "../token-bucket.ts";

/** How many redirects an endpoint has followed, and how many it may give. */
export class Redirects {
  readonly #limits: Limits;
  readonly #answers: TokenBucket;
  /** When each connection of ours has followed one, the newest last. */
  readonly #followed = new Map<string, readonly number[]>();

  constructor(limits: Limits) {
    this.#limits = limits;
    this.#answers = new TokenBucket(limits.redirectAnswersPerSecond);
  }

  /** Whether the connection may follow one more (RFC 5685 section 7): gateways that send it round in circles, or a forger, get no further. */
  mayFollow(connection: string, now: number): boolean {
    const { redirectCount, redirectPeriodMs } = this.#limits;
    const recent = (this.#followed.get(connection) ?? []).filter((at) => at > now - redirectPeriodMs);
    const isAllowed = recent.length < redirectCount;
    this.#followed.set(connection, isAllowed ? [...recent, now] : recent);
    return isAllowed;
  }

  /** Whether one more first request may be answered with a redirect now. */
  mayAnswer(now: number): boolean {
    return this.#answers.take(now);
  }
}
