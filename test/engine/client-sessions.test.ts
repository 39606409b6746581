import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ClientSessions } from "../../src/engine/client-sessions.ts";
import { SessionVolumes } from "../../src/engine/session-volumes.ts";
import { AcctTerminateCause } from "../../src/iana/radius.ts";
import type { ClientSession } from "../../src/ike/client-session.ts";
import type { ChildPolicy } from "../../src/policy/connection.ts";
import { parseEspProposal } from "../../src/policy/keywords.ts";
import { selectorsFromPrefixes } from "../../src/policy/traffic-selectors.ts";
import type { AccountingLedger } from "../../src/radius/accounting-queue.ts";
import type { AccountingRecord } from "../../src/radius/accounting-record.ts";
import { type MemoryPeer, pairOfEngines } from "../support/engines.ts";
import { innerPacket } from "../support/inner-packets.ts";

const POOLS = ["10.77.0.0/24"];

/** Keeps what it is told. */
class Book implements AccountingLedger {
  readonly records: AccountingRecord[] = [];
  write(record: AccountingRecord): void {
    this.records.push(record);
  }
  flush(): Promise<number> {
    return Promise.resolve(0);
  }
  observe(): void {}
}

let directory: string;
let client: MemoryPeer;
let gateway: MemoryPeer;
let book: Book;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "ikebana-sessions-"));
  book = new Book();
  ({ client, gateway } = await pairOfEngines({
    stateDirectory: directory,
    clientPolicy: { asks: { ipv4: true, ipv6: false }, children: [child(["0.0.0.0/0"], ["0.0.0.0/0"])] },
    gatewayPolicy: {
      gives: { dns: [], subnets: [], domains: [] },
      children: [child(["10.2.0.0/24"], POOLS)],
    },
    inside: { pools: POOLS, masquerades: false, reachEachOther: false },
    accounting: { ledger: book, interimMs: Number.POSITIVE_INFINITY },
  }));
  expect(await client.engine.up("site")).toMatchObject({ kind: "done" });
  await client.settle();
});

afterEach(async () => {
  await Promise.all([client, gateway].map(({ engine }) => engine.stop()));
  rmSync(directory, { recursive: true });
});

function child(local: readonly string[], remote: readonly string[]): ChildPolicy {
  return {
    name: "all",
    local: selectorsFromPrefixes(local),
    remote: selectorsFromPrefixes(remote),
    espProposals: [parseEspProposal("aes256gcm16")],
    replayWindowPackets: 1024,
  };
}

const sent = { input: 0, output: 0, packets: 0 };

/** One packet each way. */
async function exchange(): Promise<void> {
  const request = innerPacket({ source: "10.77.0.2", destination: "10.2.0.1" });
  client.tun.inject(request);
  expect(await gateway.nextPacket()).toEqual(request);
  const reply = innerPacket({ source: "10.2.0.1", destination: "10.77.0.2" });
  gateway.tun.inject(reply);
  expect(await client.nextPacket()).toEqual(reply);
  sent.input += request.length;
  sent.output += reply.length;
  sent.packets++;
}

const statuses = () => book.records.map(({ status }) => status);

describe("the account of a client's session", () => {
  beforeEach(() => Object.assign(sent, { input: 0, output: 0, packets: 0 }));

  test("adds up over child SAs and IKE SAs that take each other's place", async () => {
    await exchange();
    for (const what of ["children", "ike", "children"] as const) {
      expect(await client.engine.rekey("site", what)).toMatchObject({ kind: "done" });
      await client.settle();
      await exchange();
      await exchange();
    }
    expect(await gateway.engine.rekey("site", "ike")).toMatchObject({ kind: "done" });
    await exchange();
    expect(statuses()).toEqual(["start"]);
    await client.engine.down("site");
    await client.settle();
    expect(statuses()).toEqual(["start", "stop"]);
    const [start, stop] = book.records;
    expect(stop!.session).toEqual(start!.session);
    expect(start!.session).toMatchObject({ user: "host1.example.org", addresses: ["10.77.0.2"] });
    expect(stop).toMatchObject({
      cause: AcctTerminateCause.USER_REQUEST,
      input: { packets: sent.packets, octets: sent.input },
      output: { packets: sent.packets, octets: sent.output },
    });
    expect(sent.packets).toBe(8);
  });

  test("is another one after each login, and says that we have ended it", async () => {
    await exchange();
    await gateway.engine.down("site");
    await client.engine.down("site");
    await gateway.engine.up("site");
    await client.engine.up("site");
    await client.settle();
    expect(statuses()).toEqual(["start", "stop", "start"]);
    const [first, stop, second] = book.records;
    expect(stop).toMatchObject({ cause: AcctTerminateCause.ADMIN_RESET, input: { packets: 1 } });
    expect(second!.session.id).not.toBe(first!.session.id);
    await gateway.engine.stop();
    expect(book.records.at(-1)).toMatchObject({
      status: "stop",
      cause: AcctTerminateCause.ADMIN_REBOOT,
      input: { packets: 0 },
      session: second!.session,
    });
  });
});

test("a client that shows again who it is has another session, which is told to belong to the first, and each has what it carried", async () => {
  const kept = new Book();
  const either = (octets: number) => ({ packets: 1, octets });
  const carried = (session: number) => ({ inbound: either(session), outbound: either(10 * session) });
  let drawn = 0;
  const sessions = new ClientSessions({
    counters: { carriedBy: carried, finish: async (session) => carried(session) },
    clock: { now: () => 0 },
    random: { bytes: (length) => new Uint8Array(length).fill(++drawn) },
    onWarning: () => {},
  });
  sessions.configure({ ledger: kept, interimMs: Number.POSITIVE_INFINITY });
  const session = (number: number, continues: number | undefined): ClientSession => ({
    number,
    continues,
    connection: "gateway",
    user: "anna",
    addresses: ["10.77.0.2"],
    remoteAddress: "192.0.2.7",
    grants: undefined,
    endsAt: Number.POSITIVE_INFINITY,
  });
  const chain = [session(1, undefined), session(2, 1), session(3, 2)] as const;
  sessions.began(chain[0]);
  sessions.began(chain[1]);
  sessions.ended(chain[0], "peer-deleted");
  sessions.began(chain[2]);
  sessions.ended(chain[1], "replaced");
  sessions.ended(chain[2], "peer-deleted");
  sessions.began(session(4, undefined));
  await sessions.close();

  const starts = kept.records.filter(({ status }) => status === "start").map((record) => record.session);
  const first = starts[0]!.id;
  expect(starts.map(({ multiId }) => multiId)).toEqual([first, first, first, starts[3]!.id]);
  expect(new Set(starts.map(({ id }) => id)).size).toBe(4);
  const stops = kept.records.filter(({ status }) => status === "stop");
  expect(stops.map(({ session: { id }, cause, input }) => [id, cause, input.octets])).toEqual([
    [starts[0]!.id, AcctTerminateCause.NAS_REQUEST, 1],
    [starts[1]!.id, AcctTerminateCause.NAS_REQUEST, 2],
    [starts[2]!.id, AcctTerminateCause.USER_REQUEST, 3],
  ]);
});

describe("the sum of a session", () => {
  const volume = (octets: number) => {
    const either = { packets: 1, octets };
    return { inbound: either, outbound: either };
  };

  test("never falls while an SA is removed, and has its last packets", () => {
    const live = new Map([[7, volume(100)]]);
    const volumes = new SessionVolumes((spi) => live.get(spi));
    volumes.open(1, 7);
    expect(volumes.carriedBy(1)).toEqual(volume(100));
    volumes.hold(7);
    live.delete(7);
    expect(volumes.carriedBy(1)).toEqual(volume(100));
    volumes.close(7, volume(150));
    expect(volumes.carriedBy(1)).toEqual(volume(150));
    expect(volumes.finish(1)).toEqual(volume(150));
    expect(volumes.carriedBy(1).inbound.octets).toBe(0);
  });
});
