export type DeadlineReason =
  | "retransmit"
  | "half-open"
  | "hint"
  | "liveness"
  | "keepalive"
  /** A TCP connection has broken, and another is to be opened. */
  | "stream"
  /** Whether UDP gets through again is to be asked. */
  | "udp"
  | "reassembly"
  /** The peer is to go on with a key exchange behind CREATE_CHILD_SA. */
  | "follow-up"
  /** The path is to be probed. */
  | "path-mtu"
  | "linger"
  /** A client has been connected for as long as it may. */
  | "session"
  /** It is the client's turn to be told to go elsewhere. */
  | "redirect"
  /** A soft lifetime is over, or an attempt that failed comes again. */
  | "rekey"
  /** The ticket is to be replaced by another. */
  | "ticket"
  /** Who the peer is is to be shown again. */
  | "reauthenticate"
  /** Rekeying has failed so far, and the hard lifetime is near. */
  | "renew"
  /** A hard lifetime is over, or the time for the peer to delete what was replaced. */
  | "expire";

export interface Deadline {
  readonly at: number;
  readonly reason: DeadlineReason;
}

export interface Timer extends Deadline {
  readonly fire: (now: number) => void;
}

/** All that waits for a time, in a binary heap: setting, cancelling and finding the nearest cost little with many SAs. */
export class Timers {
  readonly #heap: Entry[] = [];
  #order = 0;

  set({ at, reason, fire }: Timer): TimerHandle {
    const entry: Entry = { at, reason, fire, order: this.#order++, index: this.#heap.length };
    this.#heap.push(entry);
    this.#up(entry);
    return entry;
  }

  cancel(handle: TimerHandle | undefined): void {
    if (handle === undefined) return;
    const entry = handle as Entry;
    if (entry.index < 0) return;
    const last = this.#heap.pop()!;
    if (last !== entry) {
      last.index = entry.index;
      this.#heap[entry.index] = last;
      this.#up(last);
      this.#down(last);
    }
    entry.index = GONE;
  }

  get nearest(): Deadline | undefined {
    return this.#heap[0];
  }

  /** Fires all that is due. A timer that is set meanwhile waits for the next time, so that this comes to an end. */
  fireDue(now: number): void {
    const end = this.#order;
    for (let first = this.#heap[0]; first !== undefined; first = this.#heap[0]) {
      if (first.at > now || first.order >= end) return;
      this.cancel(first);
      first.fire(now);
    }
  }

  get size(): number {
    return this.#heap.length;
  }

  #up(entry: Entry): void {
    while (entry.index > 0) {
      const parent = this.#heap[(entry.index - 1) >>> 1]!;
      if (!isBefore(entry, parent)) return;
      this.#swap(parent, entry);
    }
  }

  #down(entry: Entry): void {
    for (;;) {
      const left = this.#heap[2 * entry.index + 1];
      const right = this.#heap[2 * entry.index + 2];
      const least = right !== undefined && left !== undefined && isBefore(right, left) ? right : left;
      if (least === undefined || !isBefore(least, entry)) return;
      this.#swap(entry, least);
    }
  }

  #swap(upper: Entry, lower: Entry): void {
    const index = upper.index;
    upper.index = lower.index;
    lower.index = index;
    this.#heap[upper.index] = upper;
    this.#heap[lower.index] = lower;
  }
}

/** The timers of one SA: at most one of each reason. */
export class NamedTimers {
  readonly #timers: Timers;
  readonly #handles = new Map<DeadlineReason, TimerHandle>();

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  has(reason: DeadlineReason): boolean {
    return this.#handles.has(reason);
  }

  /** Replaces the one that was set before. */
  set(reason: DeadlineReason, at: number, fire: (now: number) => void): void {
    this.cancel(reason);
    const handle = this.#timers.set({
      at,
      reason,
      fire: (now) => {
        this.#handles.delete(reason);
        fire(now);
      },
    });
    this.#handles.set(reason, handle);
  }

  cancel(reason: DeadlineReason): void {
    this.#timers.cancel(this.#handles.get(reason));
    this.#handles.delete(reason);
  }

  clear(): void {
    if (this.#handles.size === 0) return;
    for (const handle of this.#handles.values()) this.#timers.cancel(handle);
    this.#handles.clear();
  }
}

declare const timerBrand: unique symbol;
export interface TimerHandle {
  readonly [timerBrand]?: true;
}

interface Entry extends Timer, TimerHandle {
  /** Timers of the same time fire in the order they were set. */
  readonly order: number;
  index: number;
}

const GONE = -1;

function isBefore(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
