import { wipe } from "../../bytes/wipe.ts";
import type { Random } from "../../platform/random.ts";

/** What tickets are sealed with. */
export interface TicketKey {
  /** 8 octets: a ticket names its key by them. */
  readonly id: Uint8Array;
  /** 32 octets, for AES-256-GCM. */
  readonly key: Uint8Array;
  /** Milliseconds since 1970. */
  readonly madeAt: number;
}

/** No ticket lives longer, and no key seals for longer. */
export const TICKET_LIFETIME_MAX_MS = 24 * 3_600_000;
const SEALS_FOR_MS = 24 * 3_600_000;
const OPENS_FOR_MS = SEALS_FOR_MS + TICKET_LIFETIME_MAX_MS;
const KEY_LENGTH = 32;
export const KEY_ID_LENGTH = 8;

/**
 * The ticket keys of a gateway, the newest first: the newest seals for a day, and each opens for as long as a ticket that it has sealed may
 * live (RFC 5723 section 7.4 wants them to change). They outlive us where `save` keeps them.
 */
export class TicketKeys {
  readonly #random: Random;
  readonly #save: (keys: readonly TicketKey[]) => void;
  #keys: readonly TicketKey[];

  /** `kept`: what the former life has saved. What has expired of it is wiped, and is not saved again. `wallNow`: milliseconds since 1970. */
  constructor(facts: {
    readonly kept: readonly TicketKey[];
    readonly wallNow: number;
    readonly random: Random;
    readonly save: (keys: readonly TicketKey[]) => void;
  }) {
    const { kept, wallNow } = facts;
    // One from a time that is yet to come may be good once the date has been set.
    const hasExpired = ({ madeAt }: TicketKey): boolean => madeAt + OPENS_FOR_MS <= wallNow;
    const good = kept.filter((key) => !hasExpired(key));
    this.#keys = good.sort((a, b) => b.madeAt - a.madeAt);
    this.#random = facts.random;
    this.#save = facts.save;
    if (good.length === kept.length) return;
    for (const key of kept) if (hasExpired(key)) wipe(key.key);
    this.#save(this.#keys);
  }

  /** What seals now. A key from a time that is yet to come was made under a wrong date, and seals no more. */
  current(wallNow: number): TicketKey {
    const [newest] = this.#keys;
    if (newest !== undefined && isWithin(newest, SEALS_FOR_MS, wallNow)) return newest;
    const fresh = {
      id: this.#random.bytes(KEY_ID_LENGTH),
      key: this.#random.bytes(KEY_LENGTH),
      madeAt: wallNow,
    };
    const isOfUse = (key: TicketKey): boolean => isWithin(key, OPENS_FOR_MS, wallNow);
    for (const old of this.#keys) if (!isOfUse(old)) wipe(old.key);
    this.#keys = [fresh, ...this.#keys.filter(isOfUse)];
    this.#save(this.#keys);
    return fresh;
  }

  /** What has sealed a ticket that names its key so. */
  find(id: Uint8Array): TicketKey | undefined {
    return this.#keys.find((key) => Buffer.compare(key.id, id) === 0);
  }
}

function isWithin({ madeAt }: TicketKey, ms: number, wallNow: number): boolean {
  return madeAt <= wallNow && wallNow < madeAt + ms;
}
