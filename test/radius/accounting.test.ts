import { createHash } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { afterEach, describe, expect, test } from "vitest";
import { equal } from "../../src/bytes/constant-time.ts";
import { AcctTerminateCause, RadiusAttribute, RadiusCode } from "../../src/iana/radius.ts";
import { AccountingQueue } from "../../src/radius/accounting-queue.ts";
import { type AccountingRecord, accountingAttributes } from "../../src/radius/accounting-record.ts";
import { decodeRadius, encodeRadius, integerOf, valuesOf } from "../../src/radius/packet.ts";
import { RadiusClient } from "../../src/radius/radius-client.ts";
import { countedRandom } from "../eap/conversation.ts";

const SECRET = Buffer.from("between us");
const A = RadiusAttribute;
const STATUS = { 1: "start", 2: "stop", 3: "interim" } as Record<number, string>;

const open: { close(): void }[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

const session = {
  id: "0011223344556677",
  multiId: "8899aabbccddeeff",
  user: "anna",
  class: [Uint8Array.of(1, 2, 3), Uint8Array.of(0)],
  addresses: ["10.77.0.7", "fd77::7"],
  remoteAddress: "192.0.2.7",
};

function record(status: AccountingRecord["status"], more: Partial<AccountingRecord> = {}): AccountingRecord {
  const nothing = { packets: 0, octets: 0 };
  return { status, session, seconds: 0, input: nothing, output: nothing, ...more };
}

interface Heard {
  readonly identifier: number;
  readonly status: string;
  readonly user: string;
  readonly delay: number;
  readonly octets: number | undefined;
}

type Reply = "answer" | "silence" | "forged" | "other request";

/** An accounting server that takes what is signed only, by the words of RFC 2866 section 3. */
async function accountingServer(reply: (count: number) => Reply) {
  const socket = createSocket("udp4");
  const heard: Heard[] = [];
  socket.on("message", (octets, from) => {
    const unsigned = Buffer.from(octets).fill(0, 4, 20);
    const expected = createHash("md5").update(unsigned).update(SECRET).digest();
    const request = decodeRadius(octets)!;
    if (request.code !== 4 || !equal(expected, octets.subarray(4, 20))) return;
    const number = (type: number) => integerOf(valuesOf(request.attributes, type)[0]);
    heard.push({
      identifier: request.identifier,
      status: STATUS[number(A.ACCT_STATUS_TYPE)!]!,
      user: Buffer.from(valuesOf(request.attributes, A.USER_NAME)[0]!).toString(),
      delay: number(A.ACCT_DELAY_TIME)!,
      octets: number(A.ACCT_INPUT_OCTETS),
    });
    const what = reply(heard.length);
    if (what === "silence") return;
    const authenticator = what === "other request" ? new Uint8Array(16) : request.authenticator;
    const answer = encodeRadius({
      code: RadiusCode.ACCOUNTING_RESPONSE,
      identifier: request.identifier,
      authenticator,
      attributes: [],
    });
    const key = what === "forged" ? "another secret" : SECRET;
    answer.set(createHash("md5").update(answer).update(key).digest(), 4);
    socket.send(answer, from.port, from.address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  open.push(socket);
  return { server: { address: "127.0.0.1", port: socket.address().port, secret: SECRET }, heard };
}

async function queueTo(
  reply: (count: number) => Reply,
  {
    most = 100,
    patienceMs = [200],
    pausesMs = [5],
  }: {
    readonly most?: number;
    readonly patienceMs?: readonly number[];
    readonly pausesMs?: readonly number[];
  } = {},
) {
  const { server, heard } = await accountingServer(reply);
  let now = 0;
  const clock = { now: () => now };
  const client = new RadiusClient({ servers: [server], random: countedRandom(), clock, patienceMs });
  open.push(client);
  const facts = { client, nasIdentifier: "gw.example.org", clock, wallClock: () => 1_700_000_000_000 };
  const queue = new AccountingQueue({ ...facts, most, pausesMs });
  const warnings: string[] = [];
  queue.observe((message) => warnings.push(message));
  return {
    queue,
    heard,
    warnings,
    pass: (ms: number) => {
      now += ms;
    },
  };
}

describe("a record on the wire", () => {
  const attributesOf = (of: AccountingRecord) => {
    const facts = { nasIdentifier: "gw.example.org", delaySeconds: 7, unixSeconds: 1_700_000_000 };
    const attributes = accountingAttributes(of, facts);
    // It has to survive the way through a packet.
    const packet = { code: 4, identifier: 0, authenticator: new Uint8Array(16), attributes };
    return decodeRadius(encodeRadius(packet))!.attributes;
  };
  const number = (of: AccountingRecord, type: number) => integerOf(valuesOf(attributesOf(of), type)[0]);

  test("says whose session it is, with Class as it came, and how old the news is", () => {
    const attributes = attributesOf(record("start"));
    expect(valuesOf(attributes, A.CLASS)).toEqual(session.class);
    expect(valuesOf(attributes, A.FRAMED_IP_ADDRESS)).toEqual([Uint8Array.of(10, 77, 0, 7)]);
    expect(valuesOf(attributes, A.FRAMED_IPV6_ADDRESS)[0]).toHaveLength(16);
    expect(Buffer.from(valuesOf(attributes, A.ACCT_SESSION_ID)[0]!).toString()).toBe(session.id);
    expect(Buffer.from(valuesOf(attributes, A.ACCT_MULTI_SESSION_ID)[0]!).toString()).toBe(session.multiId);
    expect(number(record("start"), A.ACCT_DELAY_TIME)).toBe(7);
    expect(number(record("start"), A.EVENT_TIMESTAMP)).toBe(1_700_000_000);
    expect(valuesOf(attributes, A.ACCT_INPUT_OCTETS)).toEqual([]);
  });

  test("tells octets beyond 32 bits in gigawords", () => {
    const stop = record("stop", {
      seconds: 59.9,
      input: { packets: 2 ** 32 + 5, octets: 3 * 2 ** 32 + 17 },
      output: { packets: 9, octets: 2 ** 32 - 1 },
      cause: AcctTerminateCause.USER_REQUEST,
    });
    expect(number(stop, A.ACCT_SESSION_TIME)).toBe(59);
    expect(number(stop, A.ACCT_INPUT_OCTETS)).toBe(17);
    expect(number(stop, A.ACCT_INPUT_GIGAWORDS)).toBe(3);
    expect(number(stop, A.ACCT_INPUT_PACKETS)).toBe(5);
    expect(number(stop, A.ACCT_OUTPUT_OCTETS)).toBe(2 ** 32 - 1);
    expect(number(stop, A.ACCT_OUTPUT_GIGAWORDS)).toBe(0);
    expect(number(stop, A.ACCT_TERMINATE_CAUSE)).toBe(1);
  });

  test("fits into a packet, however long names and classes are", () => {
    const long = { ...session, user: "x".repeat(5000), class: Array(40).fill(new Uint8Array(253)) };
    expect(valuesOf(attributesOf(record("start", { session: long })), A.USER_NAME)[0]).toHaveLength(253);
  });
});

describe("the queue", () => {
  test("brings records in order, each once where the server answers", async () => {
    const { queue, heard, warnings } = await queueTo(() => "answer");
    for (const status of ["start", "interim", "stop"] as const) queue.write(record(status));
    expect(await queue.flush(5_000)).toBe(0);
    expect(heard.map(({ status }) => status)).toEqual(["start", "interim", "stop"]);
    expect(warnings).toEqual([]);
  });

  test.each(["silence", "forged", "other request"] as const)(
    "after %s sends a packet of its own, which says how late it is",
    async (fault) => {
      const { queue, heard, warnings, pass } = await queueTo((count) => {
        if (count === 1) pass(12_500);
        return count < 3 ? fault : "answer";
      });
      queue.write(record("start"));
      expect(await queue.flush(5_000)).toBe(0);
      expect(heard.map(({ delay }) => delay)).toEqual([0, 12, 12]);
      expect(new Set(heard.map(({ identifier }) => identifier)).size).toBe(3);
      expect(warnings).toEqual([
        expect.stringContaining("accounting records wait: no answer"),
        "accounting records go out again; none was lost",
      ]);
    },
  );

  test("waits for the end of no pause when it has to be empty", async () => {
    const { queue, heard, warnings } = await queueTo((count) => (count === 1 ? "silence" : "answer"), {
      pausesMs: [3_600_000],
    });
    queue.write(record("start"));
    while (warnings.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(heard).toHaveLength(1);
    expect(await queue.flush(60_000)).toBe(0);
    expect(heard).toHaveLength(2);
  });

  test("is bounded: a newer update replaces an older one, and updates go before what cannot be replaced", async () => {
    let isDead = true;
    const { queue, heard, warnings } = await queueTo(() => (isDead ? "silence" : "answer"), { most: 4 });
    const other = (id: string) => ({ session: { ...session, id, user: id } });
    const octets = (count: number) => ({ input: { packets: 1, octets: count } });
    queue.write(record("start", other("a")));
    for (const count of [1, 2, 3]) queue.write(record("interim", { ...other("a"), ...octets(count) }));
    queue.write(record("start", other("b")));
    queue.write(record("start", other("c")));
    queue.write(record("stop", other("b")));
    expect(await queue.flush(1)).toBe(4);
    queue.write(record("stop", other("c")));
    expect(await queue.flush(1)).toBe(4);
    isDead = false;
    expect(await queue.flush(5_000)).toBe(0);
    const arrived = heard.slice(-4).map(({ status, user }) => `${status} ${user}`);
    expect(arrived.slice(-3)).toEqual(["start c", "stop b", "stop c"]);
    expect(arrived).not.toContain("interim a");
    expect(warnings.at(-1)).toBe("accounting records go out again; 2 were lost");
  });
});
