import { RadiusCode } from "../iana/radius.ts";
import { type AccountingRecord, accountingAttributes } from "./accounting-record.ts";
import type { RadiusClient } from "./radius-client.ts";

/** Where accounting records go. */
export interface AccountingLedger {
  write(record: AccountingRecord): void;
  /** Settles when all that was written has arrived, or when `graceMs` are over; with the number of records that have not. */
  flush(graceMs: number): Promise<number>;
  /** Who hears of what somebody should look at, from now on. */
  observe(onWarning: (message: string) => void): void;
}

interface Entry {
  readonly record: AccountingRecord;
  readonly writtenAt: number;
  readonly unixSeconds: number;
}

/** Records that wait for a server at most: a day's logins of a busy gateway, in a few megabytes. */
const MOST_RECORDS = 10_000;
/** How long after an attempt in vain the next one comes; the last for all further ones. */
const PAUSES_MS = [1_000, 2_000, 5_000, 10_000, 30_000, 60_000];

/**
 * Brings accounting records to RADIUS servers, one after another and in order, and each as often as it takes until one has answered (RFC
 * 2866 section 2). Every attempt says how old the record is by then, which makes it another packet with an identifier of its own (section
 * 5.2). What waits is bounded: a newer interim update takes the place of an older one, and when nothing else helps the oldest goes.
 */
export class AccountingQueue implements AccountingLedger {
  readonly #client: RadiusClient;
  readonly #nasIdentifier: string;
  readonly #clock: { now(): number };
  readonly #wallClock: () => number;
  readonly #most: number;
  readonly #pausesMs: readonly number[];
  readonly #waiting: Entry[] = [];
  #onWarning: (message: string) => void = () => {};
  #onEmpty: (() => void)[] = [];
  /** Ends the pause between two attempts. */
  #resume: () => void = () => {};
  #isSending = false;
  #failures = 0;
  #lostCount = 0;

  constructor(settings: {
    readonly client: RadiusClient;
    /** What the gateway calls itself, NAS-Identifier. */
    readonly nasIdentifier: string;
    readonly clock: { now(): number };
    /** Milliseconds since 1970. */
    readonly wallClock: () => number;
    readonly most?: number;
    readonly pausesMs?: readonly number[];
  }) {
    this.#client = settings.client;
    this.#nasIdentifier = settings.nasIdentifier;
    this.#clock = settings.clock;
    this.#wallClock = settings.wallClock;
    this.#most = settings.most ?? MOST_RECORDS;
    this.#pausesMs = settings.pausesMs ?? PAUSES_MS;
  }

  observe(onWarning: (message: string) => void): void {
    this.#onWarning = onWarning;
  }

  write(record: AccountingRecord): void {
    const unixSeconds = Math.floor(this.#wallClock() / 1000);
    const entry = { record, writtenAt: this.#clock.now(), unixSeconds };
    const older = record.status === "interim" ? this.#interimOf(record.session.id) : -1;
    if (older >= 0) this.#waiting.splice(older, 1);
    if (this.#waiting.length >= this.#most) this.#drop();
    this.#waiting.push(entry);
    if (!this.#isSending) void this.#send();
  }

  async flush(graceMs: number): Promise<number> {
    if (this.#waiting.length > 0) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#onEmpty.push(resolve);
        timer = setTimeout(resolve, graceMs);
        this.#resume();
      });
      clearTimeout(timer);
    }
    return this.#waiting.length;
  }

  async #send(): Promise<void> {
    this.#isSending = true;
    for (let entry = this.#waiting[0]; entry !== undefined; entry = this.#waiting[0]) {
      const isThere = await this.#attempt(entry);
      if (isThere === undefined) {
        this.#recover();
        const index = this.#waiting.indexOf(entry);
        if (index >= 0) this.#waiting.splice(index, 1);
      } else {
        if (this.#failures++ === 0) this.#onWarning(`accounting records wait: ${isThere}`);
        await this.#pause();
      }
    }
    this.#isSending = false;
    for (const resolve of this.#onEmpty.splice(0)) resolve();
  }

  /** Why no server has it, or undefined. */
  async #attempt({ record, writtenAt, unixSeconds }: Entry): Promise<string | undefined> {
    const attributes = accountingAttributes(record, {
      nasIdentifier: this.#nasIdentifier,
      delaySeconds: Math.max(0, Math.floor((this.#clock.now() - writtenAt) / 1000)),
      unixSeconds,
    });
    const answer = await this.#client.ask({ code: RadiusCode.ACCOUNTING_REQUEST, attributes });
    if (answer.kind === "silence") return answer.reason;
    const { code } = answer.packet;
    return code === RadiusCode.ACCOUNTING_RESPONSE
      ? undefined
      : `a RADIUS server answers accounting with code ${code}`;
  }

  #recover(): void {
    if (this.#failures === 0) return;
    const lost = this.#lostCount === 0 ? "none was lost" : `${this.#lostCount} were lost`;
    this.#onWarning(`accounting records go out again; ${lost}`);
    this.#failures = 0;
    this.#lostCount = 0;
  }

  #pause(): Promise<void> {
    const ms = this.#pausesMs[Math.min(this.#failures, this.#pausesMs.length) - 1] ?? 0;
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms).unref();
      this.#resume = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** What is under way is the first, and stays. */
  #interimOf(id: string): number {
    return this.#waiting.findIndex(
      ({ record }, index) => index > 0 && record.status === "interim" && record.session.id === id,
    );
  }

  #drop(): void {
    const interim = this.#waiting.findIndex(({ record }, index) => index > 0 && record.status === "interim");
    this.#waiting.splice(Math.max(interim, 0), 1);
    this.#lostCount++;
  }
}
