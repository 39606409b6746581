import { equal } from "../bytes/constant-time.ts";
import { wipe } from "../bytes/wipe.ts";
import type { PayloadOf } from "../wire/payloads/payload.ts";
import type { ChildSa } from "./child-sa.ts";
import type { IkeSa } from "./ike-sa.ts";
import type { TimerHandle } from "./timers.ts";

// What the peer has begun in CREATE_CHILD_SA and goes on with in IKE_FOLLOWUP_KE (RFC 9370 section 2.2.4). Until the last of its key
// exchanges nothing of it exists but what is kept here: so many at a time, each for so long between two messages, and its secrets are
// overwritten when it goes.

/** What both sides have agreed on: SK(0), and SK(1) to SK(n) one behind the other, empty without further key exchanges. */
export interface SharedSecrets {
  readonly sharedSecret: Uint8Array;
  readonly furtherSecrets: Uint8Array;
}

export interface PendingExchange {
  /** What the new SA is to take the place of; undefined for one more child SA. */
  readonly replaces: IkeSa | ChildSa | undefined;
  /** The lower nonce of CREATE_CHILD_SA: settles simultaneous rekeying. */
  readonly lowestNonce: Uint8Array;
  /** Methods of the key exchanges that are still to come, in their order. */
  remaining: readonly number[];
  /** SK(0) and what has come since; ours, to be overwritten. */
  readonly secrets: Uint8Array[];
  /** Makes the new SA. What is left to do once the answer is on its way, or what the peer is told instead. */
  readonly conclude: (secrets: SharedSecrets, now: number) => (() => void) | PayloadOf<"notify">;
  /** There will be no new SA: what was taken for it is given back. */
  readonly giveBack: () => void;
}

interface Place {
  /** What the next request has to show. Undefined while one is worked on. */
  link: Uint8Array | undefined;
  timer: TimerHandle | undefined;
}

/** Those of one IKE SA. */
export class PendingExchanges {
  readonly #ikeSa: IkeSa;
  readonly #places = new Map<PendingExchange, Place>();

  constructor(ikeSa: IkeSa) {
    this.#ikeSa = ikeSa;
  }

  get isFull(): boolean {
    return this.#places.size >= this.#ikeSa.machine.limits.pendingExchangeCount;
  }

  has(pending: PendingExchange): boolean {
    return this.#places.has(pending);
  }

  /** The one that is to replace this SA. */
  replacing(replaces: IkeSa | ChildSa): PendingExchange | undefined {
    for (const pending of this.#places.keys()) if (pending.replaces === replaces) return pending;
    return undefined;
  }

  /** Waits for the next request from now on. Returns the link that it has to show, which is another one each time. */
  await(pending: PendingExchange, now: number): Uint8Array {
    const { machine } = this.#ikeSa;
    const link = machine.random.bytes(LINK_LENGTH);
    const timer = machine.timers.set({
      at: now + machine.limits.pendingExchangeMs,
      reason: "follow-up",
      fire: (then) => {
        this.drop(pending);
        this.#ikeSa.outbox.sendNext(then);
      },
    });
    this.#places.set(pending, { link, timer });
    return link;
  }

  /** The one that a request with this link goes on with. The link is good once, and it does not run out while it is worked on. */
  take(link: Uint8Array): PendingExchange | undefined {
    for (const [pending, place] of this.#places) {
      if (place.link === undefined || !equal(place.link, link)) continue;
      this.#ikeSa.machine.timers.cancel(place.timer);
      place.link = undefined;
      place.timer = undefined;
      return pending;
    }
    return undefined;
  }

  /** It is through: its secrets are the caller's. */
  remove(pending: PendingExchange): void {
    this.#ikeSa.machine.timers.cancel(this.#places.get(pending)?.timer);
    this.#places.delete(pending);
  }

  drop(pending: PendingExchange | undefined): void {
    if (pending === undefined || !this.#places.has(pending)) return;
    this.remove(pending);
    wipe(...pending.secrets);
    pending.giveBack();
  }

  clear(): void {
    for (const pending of [...this.#places.keys()]) this.drop(pending);
  }
}

const LINK_LENGTH = 16;
