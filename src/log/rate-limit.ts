/**
 * Keeps a hostile sender from filling the log: a burst of lines for each event name and source, then one a second; and for each
 * event name over all sources ten times that, since a source address costs nothing to forge. What strangers cause has less: all of them
 * together as much as two sources, so that the log can be read while thousands guess at passwords. What is left out is counted and told.
 */
interface RateLimitSettings {
  /** Lines at once from one source. */
  readonly sourceBurst: number;
  /** Lines a second from one source, afterwards. */
  readonly sourcePerSecond: number;
  /** The same over all sources of an event name. */
  readonly nameBurst: number;
  readonly namePerSecond: number;
  /** The same where nobody knows who causes it. */
  readonly strangerBurst: number;
  readonly strangerPerSecond: number;
  /** How many sources are remembered; the oldest goes first. */
  readonly sourceCount: number;
}

const DEFAULT_RATE_LIMIT: RateLimitSettings = {
  sourceBurst: 10,
  sourcePerSecond: 1,
  nameBurst: 100,
  namePerSecond: 10,
  strangerBurst: 20,
  strangerPerSecond: 1,
  sourceCount: 1024,
};

interface Bucket {
  tokens: number;
  at: number;
}

export class RateLimit {
  readonly #settings: RateLimitSettings;
  readonly #sources = new Map<string, Bucket>();
  readonly #names = new Map<string, Bucket>();
  readonly #strangers = new Map<string, Bucket>();
  readonly #suppressed = new Map<string, number>();

  constructor(settings: RateLimitSettings = DEFAULT_RATE_LIMIT) {
    this.#settings = settings;
  }

  /** Whether a line may be written now; `now` is monotonic milliseconds. */
  admits(
    event: { readonly name: string; readonly source: string; readonly isUnverified?: boolean },
    now: number,
  ): boolean {
    const { sourceBurst, sourcePerSecond } = this.#settings;
    const source = refill(this.#sourceBucket(event, now), {
      burst: sourceBurst,
      perSecond: sourcePerSecond,
      now,
    });
    const name = this.#nameBucket(event, now);
    if (source.tokens < 1 || name.tokens < 1) {
      this.#suppressed.set(event.name, (this.#suppressed.get(event.name) ?? 0) + 1);
      return false;
    }
    source.tokens -= 1;
    name.tokens -= 1;
    return true;
  }

  /** How many lines were left out since the last call, by event name. */
  takeSuppressed(): ReadonlyMap<string, number> {
    const taken = new Map(this.#suppressed);
    this.#suppressed.clear();
    return taken;
  }

  /** Lines about strangers take nothing from those about peers that are known. */
  #nameBucket(event: { readonly name: string; readonly isUnverified?: boolean }, now: number): Bucket {
    const { nameBurst, namePerSecond, strangerBurst, strangerPerSecond } = this.#settings;
    const [buckets, burst, perSecond] = event.isUnverified
      ? [this.#strangers, strangerBurst, strangerPerSecond]
      : [this.#names, nameBurst, namePerSecond];
    return refill(bucketOf(buckets, event.name, { tokens: burst, at: now }), { burst, perSecond, now });
  }

  #sourceBucket(event: { readonly name: string; readonly source: string }, now: number): Bucket {
    const bucket = bucketOf(this.#sources, `${event.name} ${event.source}`, {
      tokens: this.#settings.sourceBurst,
      at: now,
    });
    if (this.#sources.size > this.#settings.sourceCount) {
      const oldest = this.#sources.keys().next().value;
      if (oldest !== undefined) this.#sources.delete(oldest);
    }
    return bucket;
  }
}

function bucketOf(buckets: Map<string, Bucket>, key: string, fresh: Bucket): Bucket {
  const known = buckets.get(key);
  if (known !== undefined) return known;
  buckets.set(key, fresh);
  return fresh;
}

function refill(
  bucket: Bucket,
  { burst, perSecond, now }: { readonly burst: number; readonly perSecond: number; readonly now: number },
): Bucket {
  bucket.tokens = Math.min(burst, bucket.tokens + (Math.max(0, now - bucket.at) / 1000) * perSecond);
  bucket.at = now;
  return bucket;
}
