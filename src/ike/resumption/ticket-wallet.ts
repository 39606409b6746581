import { wipe } from "../../bytes/wipe.ts";
import type { SessionState } from "./session-state.ts";

/** A ticket that a gateway has given us, and what we need beside it: to us it is opaque (RFC 5723 section 5). */
export interface OwnTicket {
  readonly ticket: Uint8Array;
  readonly session: SessionState;
}

/** Our own tickets, one for each connection at most. They outlive us where `save` keeps them. */
export class TicketWallet {
  readonly #tickets = new Map<string, OwnTicket>();
  readonly #wallClock: () => number;
  readonly #save: (tickets: readonly OwnTicket[]) => void;

  /** `kept`: what the former life has saved. What has expired of it is wiped, and is not saved again. `wallClock`: milliseconds since 1970. */
  constructor(facts: {
    readonly kept: readonly OwnTicket[];
    readonly wallClock: () => number;
    readonly save: (tickets: readonly OwnTicket[]) => void;
  }) {
    this.#wallClock = facts.wallClock;
    this.#save = facts.save;
    const { wallNow } = this;
    for (const own of facts.kept) {
      if (isGood(own, wallNow)) this.#tickets.set(own.session.connection, own);
      else wipe(own.session.skD);
    }
    if (this.#tickets.size < facts.kept.length) this.#save([...this.#tickets.values()]);
  }

  /** Milliseconds since 1970. */
  get wallNow(): number {
    return this.#wallClock();
  }

  /** RFC 5723 section 4.3.1: one that has expired is not shown to anybody. */
  find(connection: string): OwnTicket | undefined {
    const own = this.#tickets.get(connection);
    if (own === undefined) return undefined;
    if (isGood(own, this.wallNow)) return own;
    this.drop(connection);
    return undefined;
  }

  /** Whether this very ticket is still here, and its SK_d with it. */
  holds(own: OwnTicket): boolean {
    return this.#tickets.get(own.session.connection) === own;
  }

  put(own: OwnTicket): void {
    const { connection } = own.session;
    wipe(this.#tickets.get(connection)?.session.skD);
    this.#tickets.set(connection, own);
    this.#save([...this.#tickets.values()]);
  }

  drop(connection: string): void {
    const own = this.#tickets.get(connection);
    if (own === undefined) return;
    wipe(own.session.skD);
    this.#tickets.delete(connection);
    this.#save([...this.#tickets.values()]);
  }
}

function isGood({ session }: OwnTicket, wallNow: number): boolean {
  const { expiresAt, authenticUntil = expiresAt } = session;
  return wallNow < Math.min(expiresAt, authenticUntil);
}
