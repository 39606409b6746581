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

  /** `kept`: what the former life has saved. `wallClock`: milliseconds since 1970. */
  constructor(facts: {
    readonly kept: readonly OwnTicket[];
    readonly wallClock: () => number;
    readonly save: (tickets: readonly OwnTicket[]) => void;
  }) {
    this.#wallClock = facts.wallClock;
    this.#save = facts.save;
    for (const own of facts.kept) this.#tickets.set(own.session.connection, own);
  }

  /** Milliseconds since 1970. */
  get wallNow(): number {
    return this.#wallClock();
  }

  /** RFC 5723 section 4.3.1: one that has expired is not shown to anybody. */
  find(connection: string): OwnTicket | undefined {
    const own = this.#tickets.get(connection);
    if (own === undefined) return undefined;
    const { expiresAt, authenticUntil = expiresAt } = own.session;
    if (this.wallNow < Math.min(expiresAt, authenticUntil)) return own;
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
