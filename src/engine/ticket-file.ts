import { join } from "node:path";
import { fromHex, toHex } from "../bytes/hex.ts";
import { decodeSessionState, encodeSessionState } from "../ike/resumption/session-state.ts";
import { type OwnTicket, TicketWallet } from "../ike/resumption/ticket-wallet.ts";
import { StateFile } from "../platform/state-file.ts";

/** Changes that come together become one. */
const SAVE_AFTER_MS = 100;

/** Our own tickets, and where they outlive us: in a file that we alone can read, beside what makes use of them (RFC 5723 section 9.3). */
export class TicketFile {
  readonly wallet: TicketWallet;
  readonly #file: StateFile<readonly KeptTicket[]> | undefined;
  readonly #onWarning: (message: string) => void;
  #unsaved: readonly OwnTicket[] | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** `stateDirectory` undefined keeps none. */
  constructor(stateDirectory: string | undefined, onWarning: (message: string) => void) {
    this.#onWarning = onWarning;
    this.#file =
      stateDirectory === undefined
        ? undefined
        : new StateFile(join(stateDirectory, "tickets.json"), areTickets);
    this.wallet = new TicketWallet({
      kept: (this.#file?.read() ?? []).flatMap(read),
      wallClock: Date.now,
      save: (tickets) => this.#saveSoon(tickets),
    });
  }

  /** What is not on the disk yet is, when this returns. */
  close(): void {
    clearTimeout(this.#timer);
    this.#save();
  }

  #saveSoon(tickets: readonly OwnTicket[]): void {
    if (this.#file === undefined) return;
    if (this.#unsaved === undefined) this.#timer = setTimeout(() => this.#save(), SAVE_AFTER_MS);
    this.#unsaved = tickets;
  }

  #save(): void {
    const tickets = this.#unsaved;
    this.#unsaved = undefined;
    if (tickets === undefined) return;
    try {
      this.#file?.write(
        tickets.map(({ ticket, session }) => ({
          ticket: toHex(ticket),
          session: toHex(encodeSessionState(session)),
        })),
      );
    } catch (error) {
      this.#onWarning(`tickets are kept in memory alone: ${(error as Error).message}`);
    }
  }
}

interface KeptTicket {
  /** Hex. */
  readonly ticket: string;
  readonly session: string;
}

function areTickets(value: unknown): value is readonly KeptTicket[] {
  return (
    Array.isArray(value) &&
    value.every((each: Partial<KeptTicket> | null) => isHex(each?.ticket) && isHex(each?.session))
  );
}

function isHex(value: unknown): boolean {
  return typeof value === "string" && value.length % 2 === 0 && /^[0-9a-f]*$/.test(value);
}

/** What another version has written counts as none. */
function read({ ticket, session }: KeptTicket): OwnTicket[] {
  try {
    return [{ ticket: fromHex(ticket), session: decodeSessionState(fromHex(session)) }];
  } catch {
    return [];
  }
}
