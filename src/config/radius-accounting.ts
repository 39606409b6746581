import { systemRandom } from "../platform/random.ts";
import { type AccountingLedger, AccountingQueue } from "../radius/accounting-queue.ts";
import { RadiusClient, type RadiusServer } from "../radius/radius-client.ts";

/** How long one server is waited for. There is no hurry: what has not arrived is sent again, and says how late it is. */
const PATIENCE_MS = [3_000];

/** One for each list of servers, for as long as the process lives: a reload forgets nothing that waits. */
const byServers = new Map<string, AccountingLedger>();

/** Accounting by the servers. `name` is how the gateway calls itself towards them. */
export function radiusLedger(servers: readonly RadiusServer[], name: string): AccountingLedger {
  const key = JSON.stringify([name, servers.map((server) => ({ ...server, secret: [...server.secret] }))]);
  const known = byServers.get(key);
  if (known !== undefined) return known;
  const client = new RadiusClient({
    servers,
    random: systemRandom,
    clock: performance,
    patienceMs: PATIENCE_MS,
  });
  const ledger = new AccountingQueue({
    client,
    nasIdentifier: name,
    clock: performance,
    wallClock: Date.now,
  });
  byServers.set(key, ledger);
  return ledger;
}
