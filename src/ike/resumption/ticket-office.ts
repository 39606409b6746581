import { createCipheriv, createDecipheriv } from "node:crypto";
import { concat } from "../../bytes/concat.ts";
import { toHex } from "../../bytes/hex.ts";
import { wipe } from "../../bytes/wipe.ts";
import type { Random } from "../../platform/random.ts";
import { decodeSessionState, encodeSessionState, type SessionState } from "./session-state.ts";
import { SpentFamilies } from "./spent-families.ts";
import { KEY_ID_LENGTH, TICKET_LIFETIME_MAX_MS, type TicketKeys } from "./ticket-keys.ts";

/**
 * Makes tickets and takes them back. A ticket holds the session itself (RFC 5723 section 5.1, "by value"), sealed by AES-256-GCM, so that
 * nothing is kept for it, and another life of the gateway with the same keys can open it. As in appendix A.1:
 *
 *   format version (1) | reserved (3) | key ID (8) | IV (12) | sealed session | ICV (16)
 *
 * What is in front of the sealed session is authenticated with it. The IV is random: a key seals for a day, which is far from the 2^32 tickets
 * that random IVs are good for (NIST SP 800-38D section 8.3), and no counter has to outlive us.
 */
export class TicketOffice {
  readonly #keys: TicketKeys;
  readonly #random: Random;
  readonly #wallClock: () => number;
  readonly #spent: SpentFamilies;

  /** `spent`: what the former lives have used, as long as `keys` are theirs. `wallClock`: milliseconds since 1970. */
  constructor(facts: {
    readonly keys: TicketKeys;
    readonly spent?: SpentFamilies;
    readonly random: Random;
    readonly wallClock: () => number;
  }) {
    this.#keys = facts.keys;
    this.#spent = facts.spent ?? new SpentFamilies();
    this.#random = facts.random;
    this.#wallClock = facts.wallClock;
  }

  /** Milliseconds since 1970. */
  get wallNow(): number {
    return this.#wallClock();
  }

  newFamily(): TicketFamily {
    return { id: this.#random.bytes(FAMILY_LENGTH), bornAt: this.wallNow };
  }

  /** Undefined for a session that no ticket can hold. */
  seal(session: SessionState): Uint8Array | undefined {
    const { id, key } = this.#keys.current(this.wallNow);
    const head = concat(Uint8Array.of(FORMAT_VERSION, 0, 0, 0), id, this.#random.bytes(IV_LENGTH));
    const plaintext = encodeSessionState(session);
    const cipher = createCipheriv("aes-256-gcm", key, head.subarray(IV_OFFSET));
    cipher.setAAD(head);
    const sealed = cipher.update(plaintext);
    cipher.final();
    wipe(plaintext);
    const ticket = concat(head, sealed, cipher.getAuthTag());
    return ticket.length > TICKET_LENGTH_MAX ? undefined : ticket;
  }

  /**
   * The session of a ticket that is ours, has not expired, and whose family nobody has used. Otherwise why not. Whoever asks wipes its SK_d.
   */
  open(ticket: Uint8Array): SessionState | string {
    const session = this.#unseal(ticket);
    if (session === undefined) return "the ticket is not ours";
    const now = this.wallNow;
    const isInTime =
      session.bornAt <= now && now < Math.min(session.expiresAt, session.authenticUntil ?? now + 1);
    const fault = isInTime ? this.#faultOf(session, now) : "the ticket has expired";
    if (fault === undefined) return session;
    wipe(session.skD);
    return fault;
  }

  /** The family is good for nothing any more: one of its tickets was used, or its IKE SA was ended. False when it was so before. */
  spend({ id, bornAt }: TicketFamily): boolean {
    return this.#spent.add({ id: toHex(id), bornAt }, this.wallNow);
  }

  #faultOf({ family, bornAt }: SessionState, now: number): string | undefined {
    return this.#spent.has({ id: toHex(family), bornAt }, now)
      ? "the ticket was used before, or its IKE SA was ended"
      : undefined;
  }

  #unseal(ticket: Uint8Array): SessionState | undefined {
    const isFit = ticket.length > SEALED_OFFSET + ICV_LENGTH && ticket.length <= TICKET_LENGTH_MAX;
    if (!isFit || ticket[0] !== FORMAT_VERSION) return undefined;
    const key = this.#keys.find(ticket.subarray(KEY_ID_OFFSET, IV_OFFSET));
    if (key === undefined) return undefined;
    const decipher = createDecipheriv("aes-256-gcm", key.key, ticket.subarray(IV_OFFSET, SEALED_OFFSET));
    decipher.setAAD(ticket.subarray(0, SEALED_OFFSET));
    decipher.setAuthTag(ticket.subarray(ticket.length - ICV_LENGTH));
    const plaintext = decipher.update(ticket.subarray(SEALED_OFFSET, ticket.length - ICV_LENGTH));
    try {
      decipher.final();
      return decodeSessionState(plaintext);
    } catch {
      // Forged, or from a life of ours that wrote another version.
      return undefined;
    } finally {
      wipe(plaintext);
    }
  }
}

/** What the tickets of one IKE SA have in common. */
export interface TicketFamily {
  readonly id: Uint8Array;
  /** Milliseconds since 1970. */
  readonly bornAt: number;
}

/** Until when a ticket is good that is made now: `ends` say until when what it stands for is. Milliseconds since 1970. */
export function expiryOf(wallNow: number, ends: readonly (number | undefined)[]): number {
  return Math.min(wallNow + TICKET_LIFETIME_MAX_MS, ...ends.map((end) => end ?? Number.POSITIVE_INFINITY));
}

const FORMAT_VERSION = 1;
const FAMILY_LENGTH = 16;
const KEY_ID_OFFSET = 4;
const IV_OFFSET = KEY_ID_OFFSET + KEY_ID_LENGTH;
const IV_LENGTH = 12;
const SEALED_OFFSET = IV_OFFSET + IV_LENGTH;
const ICV_LENGTH = 16;
/** IKE_SESSION_RESUME is not protected, so it cannot be cut into IKE fragments: with a cookie it has to fit into 1280 octets of IPv6. */
const TICKET_LENGTH_MAX = 960;
