import { join } from "node:path";
import { fromHex, toHex } from "../bytes/hex.ts";
import { SpentFamilies, type SpentFamily } from "../ike/resumption/spent-families.ts";
import { type TicketKey, TicketKeys } from "../ike/resumption/ticket-keys.ts";
import { TicketOffice } from "../ike/resumption/ticket-office.ts";
import type { Random } from "../platform/random.ts";
import { StateFile } from "../platform/state-file.ts";
import { SpentTicketFile } from "./spent-ticket-file.ts";

/**
 * A gateway's tickets over its lives (RFC 5723): the keys that they are sealed with, and which of them are spent, each in a file that we alone
 * can read. Keys hold only as long as all that is spent is known: otherwise they go, and their tickets with them. Where something cannot be
 * kept, that is told of, and tickets are good for this life.
 */
export class TicketOfficeFiles {
  readonly office: TicketOffice;
  readonly #keyFile: StateFile<readonly KeptKey[]> | undefined;
  readonly #spentFile: SpentTicketFile | undefined;
  readonly #spent: SpentFamilies;
  readonly #onWarning: (message: string) => void;

  /** `stateDirectory` undefined keeps nothing. `boot`: another one with each boot of the machine; undefined where that cannot be told. */
  constructor(facts: {
    readonly stateDirectory: string | undefined;
    readonly boot: string | undefined;
    readonly random: Random;
    readonly wallClock: () => number;
    readonly onWarning: (message: string) => void;
  }) {
    const { stateDirectory, boot, random, wallClock } = facts;
    this.#onWarning = facts.onWarning;
    if (stateDirectory !== undefined) {
      this.#keyFile = new StateFile(join(stateDirectory, "ticket-keys.json"), areKeys);
      this.#spentFile = new SpentTicketFile(join(stateDirectory, "spent-tickets"), boot);
    }
    const wallNow = wallClock();
    const kept = this.#spentFile?.read(wallNow);
    const keys = kept === undefined ? [] : (this.#keyFile?.read() ?? []);
    // Before there is a file that looks as if it knew all.
    if (kept === undefined) this.#keyFile?.remove();
    this.#spent = new SpentFamilies({ ...(kept && { kept }), save: (spent) => this.#keepSpent(spent) });
    if (keys.length > 0) this.#beginSpent();
    this.office = new TicketOffice({
      keys: new TicketKeys({
        kept: keys.map(({ id, key, madeAt }) => ({ id: fromHex(id), key: fromHex(key), madeAt })),
        wallNow,
        random,
        save: (fresh) => this.#keepKeys(fresh),
      }),
      spent: this.#spent,
      random,
      wallClock,
    });
  }

  /** What is spent is on the disk when this returns. Nothing is spent any more. */
  close(): void {
    try {
      this.#spentFile?.close();
    } catch (error) {
      this.#forget(error);
    }
  }

  #keepKeys(keys: readonly TicketKey[]): void {
    if (this.#keyFile === undefined) return;
    if (this.#spentFile?.hasBegun === false && !this.#beginSpent()) return;
    try {
      this.#keyFile.write(keys.map(({ id, key, madeAt }) => ({ id: toHex(id), key: toHex(key), madeAt })));
    } catch (error) {
      this.#warn(error);
    }
  }

  #keepSpent(spent: SpentFamily): void {
    // What was sealed by keys that nobody keeps is forgotten with them.
    if (this.#spentFile?.hasBegun !== true) return;
    try {
      if (!this.#spentFile.append(spent)) this.#beginSpent();
    } catch (error) {
      this.#forget(error);
    }
  }

  #beginSpent(): boolean {
    try {
      this.#spentFile?.begin(this.#spent.list);
      return true;
    } catch (error) {
      this.#forget(error);
      return false;
    }
  }

  /** The next life finds no keys that it might believe in. */
  #forget(error: unknown): void {
    this.#warn(error);
    try {
      this.#spentFile?.remove();
      this.#keyFile?.remove();
    } catch (cause) {
      this.#warn(cause);
    }
  }

  #warn(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    this.#onWarning(`sessions will not be resumed once we were started again: ${reason}`);
  }
}

interface KeptKey {
  /** Hex. */
  readonly id: string;
  readonly key: string;
  readonly madeAt: number;
}

function areKeys(value: unknown): value is readonly KeptKey[] {
  return Array.isArray(value) && value.every(isKey);
}

function isKey(value: unknown): value is KeptKey {
  const { id, key, madeAt } = (value ?? {}) as Partial<KeptKey>;
  return isHex(id, 16) && isHex(key, 64) && typeof madeAt === "number";
}

function isHex(value: unknown, digits: number): value is string {
  return typeof value === "string" && value.length === digits && /^[0-9a-f]*$/.test(value);
}
