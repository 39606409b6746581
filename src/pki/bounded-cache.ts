interface Entry<Value> {
  readonly value: Value;
  readonly sinceMs: number;
  readonly untilMs: number;
  readonly size: number;
}

/** Remembers values until they are out of date, and never more than fits: what was asked for least recently goes first. */
export class BoundedCache<Value> {
  readonly #maximumSize: number;
  readonly #entries = new Map<string, Entry<Value>>();
  #size = 0;

  /** `maximumSize` in whatever unit `set` counts. */
  constructor(maximumSize: number) {
    this.#maximumSize = maximumSize;
  }

  get size(): number {
    return this.#size;
  }

  /** A value that is still good, in milliseconds of a clock that somebody may set back. */
  get(key: string, nowMs: number): Value | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#delete(key, entry);
    if (nowMs >= entry.untilMs || nowMs < entry.sinceMs) return undefined;
    this.#insert(key, entry);
    return entry.value;
  }

  /** A value larger than the cache is not kept. */
  set(
    key: string,
    value: Value,
    { nowMs, untilMs, size }: { readonly nowMs: number; readonly untilMs: number; readonly size: number },
  ): void {
    const old = this.#entries.get(key);
    if (old !== undefined) this.#delete(key, old);
    if (size > this.#maximumSize) return;
    this.#insert(key, { value, sinceMs: nowMs, untilMs, size });
    for (const [oldest, entry] of this.#entries) {
      if (this.#size <= this.#maximumSize) return;
      this.#delete(oldest, entry);
    }
  }

  #insert(key: string, entry: Entry<Value>): void {
    this.#entries.set(key, entry);
    this.#size += entry.size;
  }

  #delete(key: string, { size }: Entry<Value>): void {
    this.#entries.delete(key);
    this.#size -= size;
  }
}
