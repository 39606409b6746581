import { toHex } from "../bytes/hex.ts";
import type { ChildSaVolume } from "../esp/index.ts";
import { AcctTerminateCause } from "../iana/radius.ts";
import type { ClientSession } from "../ike/client-session.ts";
import type { Random } from "../platform/random.ts";
import type { AccountingLedger } from "../radius/accounting-queue.ts";
import type { AccountedSession, AccountingRecord } from "../radius/accounting-record.ts";

/** Who is told what clients use. */
export interface AccountingPolicy {
  readonly ledger: AccountingLedger;
  /** Between two interim updates, where the RADIUS server does not say otherwise; Infinity for none. */
  readonly interimMs: number;
}

/** Who knows how much a session has carried. */
export interface SessionCounters {
  carriedBy(session: number): ChildSaVolume;
  finish(session: number): Promise<ChildSaVolume>;
}

interface Accounted {
  readonly number: number;
  readonly connection: string;
  readonly session: AccountedSession;
  /** Undefined: nobody is told of it. */
  readonly ledger: AccountingLedger | undefined;
  readonly beganAt: number;
  readonly timer: NodeJS.Timeout | undefined;
  /** The client has another one already, which goes on from here. */
  isContinued: boolean;
}

/** RFC 2869 section 5.16: a server must not ask for less. */
const SHORTEST_ASKED_INTERIM_S = 60;
const LONGEST_TIMER_MS = 2 ** 31 - 1;
const SESSION_ID_LENGTH = 8;
/** How long a stop waits for the accounting servers. */
const FLUSH_MS = 2_000;

/**
 * Knows a gateway's clients by the names that RADIUS has for them, and keeps account where somebody is to be told: a start, updates, and a
 * stop, with what went each way from the first packet to the last.
 */
export class ClientSessions {
  readonly #counters: SessionCounters;
  readonly #clock: { now(): number };
  readonly #random: Random;
  readonly #onWarning: (message: string) => void;
  readonly #accounted = new Map<number, Accounted>();
  readonly #endings = new Set<Promise<void>>();
  readonly #ledgers = new Set<AccountingLedger>();
  #policy: AccountingPolicy | undefined;
  #isStopping = false;

  constructor(facts: {
    readonly counters: SessionCounters;
    readonly clock: { now(): number };
    readonly random: Random;
    readonly onWarning: (message: string) => void;
  }) {
    this.#counters = facts.counters;
    this.#clock = facts.clock;
    this.#random = facts.random;
    this.#onWarning = facts.onWarning;
  }

  /** For sessions that begin from now on; those that are there go on as they began. */
  configure(policy: AccountingPolicy | undefined): void {
    this.#policy = policy;
    if (policy === undefined) return;
    this.#ledgers.add(policy.ledger);
    policy.ledger.observe(this.#onWarning);
  }

  /** A client that shows again who it is has another session from then on: each counts what its own child SAs carry. */
  began({ number, connection, continues, user, addresses, remoteAddress, grants }: ClientSession): void {
    const id = toHex(this.#random.bytes(SESSION_ID_LENGTH));
    const before = continues === undefined ? undefined : this.#accounted.get(continues);
    if (before !== undefined) before.isContinued = true;
    const multiId = before?.session.multiId ?? id;
    const session = { id, multiId, user, addresses, remoteAddress, class: grants?.class ?? [] };
    const accounted = {
      number,
      connection,
      session,
      ledger: this.#policy?.ledger,
      beganAt: this.#clock.now(),
      isContinued: false,
      timer: this.#policy && this.#updateEvery(intervalMs(this.#policy, grants?.interimSeconds), number),
    };
    this.#accounted.set(number, accounted);
    this.#write(accounted, { status: "start" }, this.#counters.carriedBy(number));
  }

  /** Those that `isMeant` says yes to. */
  find(
    isMeant: (session: AccountedSession) => boolean,
  ): readonly { readonly number: number; readonly connection: string; readonly user: string }[] {
    return [...this.#accounted.values()]
      .filter(({ session }) => isMeant(session))
      .map(({ number, connection, session }) => ({ number, connection, user: session.user }));
  }

  /** `reason` is that of the IKE SA's end. */
  ended({ number }: ClientSession, reason: string): void {
    const accounted = this.#accounted.get(number);
    this.#accounted.delete(number);
    clearInterval(accounted?.timer);
    const cause = this.#isStopping
      ? AcctTerminateCause.ADMIN_REBOOT
      : causeOf(reason, accounted?.isContinued === true);
    const seconds = accounted && this.#secondsOf(accounted);
    const ending = this.#counters
      .finish(number)
      .then((carried) => {
        if (accounted !== undefined) this.#write(accounted, { status: "stop", cause, seconds }, carried);
      })
      .finally(() => this.#endings.delete(ending));
    this.#endings.add(ending);
  }

  /** Sessions that end from now on do so because we stop. */
  stopping(): void {
    this.#isStopping = true;
  }

  /** Settles when the servers have all records, or have had time enough. */
  async close(): Promise<void> {
    await Promise.all(this.#endings);
    for (const { timer } of this.#accounted.values()) clearInterval(timer);
    this.#accounted.clear();
    const left = await Promise.all([...this.#ledgers].map((ledger) => ledger.flush(FLUSH_MS)));
    const lost = left.reduce((sum, count) => sum + count, 0);
    if (lost > 0) this.#onWarning(`${lost} accounting records have reached no server, and are lost`);
  }

  #updateEvery(ms: number, number: number): NodeJS.Timeout | undefined {
    return ms <= LONGEST_TIMER_MS ? setInterval(() => this.#update(number), ms).unref() : undefined;
  }

  #update(number: number): void {
    const accounted = this.#accounted.get(number);
    if (accounted === undefined) return;
    this.#write(accounted, { status: "interim" }, this.#counters.carriedBy(number));
  }

  #write(
    accounted: Accounted,
    facts: Pick<AccountingRecord, "status"> & {
      readonly cause?: number;
      readonly seconds?: number | undefined;
    },
    { inbound, outbound }: ChildSaVolume,
  ): void {
    const { session, ledger } = accounted;
    const { seconds = this.#secondsOf(accounted), ...rest } = facts;
    ledger?.write({ ...rest, session, seconds, input: inbound, output: outbound });
  }

  #secondsOf({ beganAt }: Accounted): number {
    return (this.#clock.now() - beganAt) / 1000;
  }
}

function intervalMs({ interimMs }: AccountingPolicy, asked: number | undefined): number {
  return asked === undefined ? interimMs : Math.max(asked, SHORTEST_ASKED_INTERIM_S) * 1000;
}

/** Acct-Terminate-Cause (RFC 2866 section 5.10). */
function causeOf(reason: string, isContinued: boolean): number {
  // Nobody has gone: it was we who wanted to know again who that is.
  if (isContinued && (reason === "peer-deleted" || reason === "replaced"))
    return AcctTerminateCause.NAS_REQUEST;
  switch (reason) {
    case "peer-deleted":
      return AcctTerminateCause.USER_REQUEST;
    // The client has come back without a goodbye.
    case "replaced":
    case "timeout":
      return AcctTerminateCause.LOST_CARRIER;
    case "session-timeout":
      return AcctTerminateCause.SESSION_TIMEOUT;
    case "terminated":
      return AcctTerminateCause.ADMIN_RESET;
    case "expired":
      return AcctTerminateCause.NAS_REQUEST;
    default:
      return AcctTerminateCause.NAS_ERROR;
  }
}
