import { join } from "node:path";
import { fromHex, toHex } from "../bytes/hex.ts";
import { type TicketKey, TicketKeys } from "../ike/resumption/ticket-keys.ts";
import type { Random } from "../platform/random.ts";
import { StateFile } from "../platform/state-file.ts";

/**
 * The keys that tickets are sealed with (RFC 5723): kept for our next life in a file that we alone can read. Where they cannot be kept, that
 * is told of, and tickets are good for this life. `stateDirectory` undefined keeps none.
 */
export function ticketKeysIn(
  stateDirectory: string | undefined,
  { random, onWarning }: { readonly random: Random; readonly onWarning: (message: string) => void },
): TicketKeys {
  const file =
    stateDirectory === undefined
      ? undefined
      : new StateFile(join(stateDirectory, "ticket-keys.json"), areKeys);
  const kept = file?.read() ?? [];
  const save = (keys: readonly TicketKey[]): void => {
    try {
      file?.write(keys.map(({ id, key, madeAt }) => ({ id: toHex(id), key: toHex(key), madeAt })));
    } catch (error) {
      onWarning(`sessions will not be resumed once we were started again: ${(error as Error).message}`);
    }
  };
  const keys = kept.map(({ id, key, madeAt }) => ({ id: fromHex(id), key: fromHex(key), madeAt }));
  return new TicketKeys({ kept: keys, wallNow: Date.now(), random, save });
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
