import fs, {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { SpentTicketFile } from "../../src/engine/spent-ticket-file.ts";
import { TicketOfficeFiles } from "../../src/engine/ticket-office-files.ts";
import type { SessionState } from "../../src/ike/resumption/session-state.ts";
import { SPENT_LIMIT } from "../../src/ike/resumption/spent-families.ts";
import { TICKET_LIFETIME_MAX_MS } from "../../src/ike/resumption/ticket-keys.ts";
import { systemRandom } from "../../src/platform/random.ts";
import { initiatorPolicy, responderPolicy } from "../support/simulator/index.ts";

const NOW = 1_700_000_000_000;
const HOUR_MS = 3_600_000;
const USED = "the ticket was used before, or its IKE SA was ended";
const FOREIGN = "the ticket is not ours";

let directory: string;
let wallNow: number;
let warnings: string[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "ikebana-tickets-"));
  wallNow = NOW;
  warnings = [];
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Another life of the gateway. The one before was killed, unless it was closed. */
function start(boot: string | null = "first"): TicketOfficeFiles {
  return new TicketOfficeFiles({
    stateDirectory: directory,
    boot: boot ?? undefined,
    random: systemRandom,
    wallClock: () => wallNow,
    onWarning: (message) => warnings.push(message),
  });
}

const spentFile = (): string => join(directory, "spent-tickets");
const keyFile = (): string => join(directory, "ticket-keys.json");

function seal({ office }: TicketOfficeFiles): Uint8Array {
  const { id: family, bornAt } = office.newFamily();
  const session: SessionState = {
    family,
    bornAt,
    expiresAt: wallNow + TICKET_LIFETIME_MAX_MS,
    initiator: initiatorPolicy().local.identity,
    responder: responderPolicy().local.identity,
    initiatorSpi: 1n,
    responderSpi: 2n,
    proposal: initiatorPolicy().ikeProposals[0]!,
    skD: new Uint8Array(32).fill(1),
    hasPpk: false,
    connection: "tunnel",
    stamp: new Uint8Array(32),
    user: undefined,
    account: undefined,
    client: undefined,
    authenticUntil: undefined,
    grants: undefined,
  };
  return office.seal(session)!;
}

/** "fresh", or why it is refused. */
function look({ office }: TicketOfficeFiles, ticket: Uint8Array): string {
  const session = office.open(ticket);
  return typeof session === "string" ? session : "fresh";
}

function use({ office }: TicketOfficeFiles, ticket: Uint8Array): void {
  const session = office.open(ticket);
  if (typeof session === "string") throw new Error(session);
  expect(office.spend({ id: session.family, bornAt: session.bornAt })).toBe(true);
}

/** One ticket that was used and one that was not. */
function pair(files: TicketOfficeFiles): { readonly used: Uint8Array; readonly unused: Uint8Array } {
  const tickets = { used: seal(files), unused: seal(files) };
  use(files, tickets.used);
  return tickets;
}

describe("a gateway that was started again", () => {
  test.each(["killed", "stopped"])(
    "knows which tickets are spent after it was %s, life after life",
    (how) => {
      const first = start();
      const { used, unused } = pair(first);
      if (how === "stopped") first.close();
      const second = start();
      expect([look(second, used), look(second, unused)]).toEqual([USED, "fresh"]);
      use(second, unused);
      if (how === "stopped") second.close();
      const third = start();
      expect([look(third, used), look(third, unused)]).toEqual([USED, USED]);
      expect(warnings).toEqual([]);
    },
  );

  test("has files that it alone can read, and nothing else beside them", () => {
    pair(start());
    expect(readdirSync(directory).sort()).toEqual(["spent-tickets", "ticket-keys.json"]);
    for (const file of [spentFile(), keyFile()]) expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test("that has never sealed a ticket has no file", () => {
    start().close();
    start();
    expect(readdirSync(directory)).toEqual([]);
  });

  test("forgets what is over, and writes it down no more", () => {
    pair(start());
    wallNow += TICKET_LIFETIME_MAX_MS;
    start();
    expect(readFileSync(spentFile(), "latin1").split("\n")).toHaveLength(2);
  });

  test("does not believe that it knows all when the machine went down meanwhile, unless it was closed before", () => {
    for (const boot of ["second", null]) {
      const killed = pair(start());
      const next = start(boot);
      expect([look(next, killed.used), look(next, killed.unused)]).toEqual([FOREIGN, FOREIGN]);
      const before = start(boot);
      const closed = pair(before);
      before.close();
      const again = start("third");
      expect([look(again, closed.used), look(again, closed.unused)]).toEqual([USED, "fresh"]);
      again.close();
    }
    expect(warnings).toEqual([]);
  });

  test("takes a line that was not finished for none: nothing came of it", () => {
    const { used, unused } = pair(start());
    appendFileSync(spentFile(), "0123456789abcdef 17000");
    const next = start();
    expect([look(next, used), look(next, unused)]).toEqual([USED, "fresh"]);
    use(next, unused);
    expect(look(start(), unused)).toBe(USED);
  });

  const corruptions: readonly (readonly [string, () => void])[] = [
    ["is gone", () => rmSync(spentFile())],
    ["is empty", () => truncateSync(spentFile())],
    ["has a line that makes no sense", () => replaceInFile(/^[0-9a-f]{32} /m, "garbage ")],
    ["has octets of zero", () => replaceInFile(/ [0-9]+\n/g, (text) => "\0".repeat(text.length))],
    ["is of another version", () => replaceInFile(/^1/, "2")],
  ];
  test.each(corruptions)(
    "refuses all former tickets when its file %s, and knows the new ones",
    (_, corrupt) => {
      const former = pair(start());
      corrupt();
      const next = start();
      expect([look(next, former.used), look(next, former.unused)]).toEqual([FOREIGN, FOREIGN]);
      // Killed before it has sealed anything: the keys do not come back.
      const after = start();
      expect(look(after, former.used)).toBe(FOREIGN);
      const { used, unused } = pair(after);
      const last = start();
      expect([look(last, used), look(last, unused)]).toEqual([USED, "fresh"]);
      expect(look(last, former.used)).toBe(FOREIGN);
    },
  );

  test("refuses all tickets of a life that could not write down what it has spent, and says so once", () => {
    const first = start();
    const { used, unused } = pair(first);
    const more = [seal(first), seal(first)];
    const { writeSync } = fs;
    fs.writeSync = () => {
      throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
    };
    syncBuiltinESMExports();
    try {
      for (const ticket of more) use(first, ticket);
    } finally {
      fs.writeSync = writeSync;
      syncBuiltinESMExports();
    }
    expect(more.map((ticket) => look(first, ticket))).toEqual([USED, USED]);
    expect(look(first, unused)).toBe("fresh");
    expect(warnings).toEqual([
      expect.stringContaining("will not be resumed once we were started again: ENOSPC"),
    ]);
    const next = start();
    expect([used, unused, ...more].map((ticket) => look(next, ticket))).toEqual(Array(4).fill(FOREIGN));
  });
});

describe("the file of spent tickets", () => {
  test("begins again before it grows without end, and still knows them all", () => {
    const file = new SpentTicketFile(spentFile(), "first");
    file.begin({ families: [], refusedUntil: 7 });
    const spent = (i: number) => ({
      id: i.toString(16).padStart(32, "0"),
      bornAt: NOW,
      until: NOW + HOUR_MS,
    });
    let count = 0;
    while (file.append(spent(count))) count++;
    expect(count).toBeLessThanOrEqual(2 * SPENT_LIMIT);
    const kept = file.read(NOW)!;
    expect(kept.families).toHaveLength(count + 1);
    expect(kept.families.at(-1)).toEqual(spent(count));
    expect(kept.refusedUntil).toBe(7);
    const families = kept.families.slice(-2);
    file.begin({ families, refusedUntil: 8 });
    expect(file.append(spent(count + 1))).toBe(true);
    file.close();
    expect(new SpentTicketFile(spentFile(), "second").read(NOW)).toEqual({
      families: [...families, spent(count + 1)],
      refusedUntil: 8,
    });
  });
});

function replaceInFile(pattern: RegExp, replacement: string | ((text: string) => string)): void {
  const before = readFileSync(spentFile(), "latin1");
  const after = before.replace(pattern, replacement as string);
  expect(after).not.toBe(before);
  writeFileSync(spentFile(), after, "latin1");
}
