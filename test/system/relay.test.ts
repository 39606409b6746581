import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FaultPlan, type Faults } from "../support/faults.ts";
import { LineProcess } from "../support/line-process.ts";
import { requireRoot } from "../support/namespace.ts";
import type { WayCounts } from "../support/relay/counts.ts";
import { createRelayedHosts, type RelayedHosts } from "../support/relay/relayed-hosts.ts";
import { openStreams, type Streams } from "../support/stream/streams.ts";

const LEFT = ["192.0.2.1/24", "2001:db8::1/64"];
const RIGHT = ["192.0.2.2/24", "2001:db8::2/64"];
const SEED = 4711;
const PER_SECOND = 3000;
const SECONDS = 0.5;
const COUNT = PER_SECOND * SECONDS;

describe.skipIf(!requireRoot("a relay with faults"))("through the relay", () => {
  let hosts: RelayedHosts;
  let streams: Streams;

  beforeAll(async () => {
    hosts = await createRelayedHosts({ left: LEFT, right: RIGHT });
    streams = await openStreams(hosts, [
      { from: "left", source: "192.0.2.1", destination: "192.0.2.2", port: 4500 },
      { from: "right", source: "2001:db8::2", destination: "2001:db8::1", port: 500 },
    ]);
  });

  afterAll(async () => {
    await streams?.close();
    await hosts?.close();
  });

  /** A stream each way under the faults, what came of it, and what the plan says about each of its packets. */
  async function impaired(faults: Faults, seed = SEED) {
    await hosts.relay.impair(seed, faults);
    const before = await hosts.relay.counts();
    const results = await streams.run({ rates: [PER_SECOND, PER_SECOND], seconds: SECONDS });
    const after = await hosts.relay.counts();
    return ([0, 1] as const).map((way) => {
      const plan = new FaultPlan(seed, way, faults);
      return {
        result: results[way]!,
        counts: difference(after[way], before[way]),
        fates: Array.from({ length: COUNT }, (_, index) => plan.fateOf(index)),
      };
    });
  }

  test("everything passes when there are no faults, in both families, on both ports, unchanged and in order", async () => {
    for (const { result, counts } of await impaired({})) {
      expect(result).toMatchObject({ sent: COUNT, received: COUNT, duplicates: 0, damaged: 0, overtaken: 0 });
      expect(counts).toMatchObject({ received: COUNT, delivered: COUNT, lost: 0, overflowed: 0, waiting: 0 });
    }
  });

  test.each([0.01, 0.05, 0.1])(
    "at a loss of %d those packets are lost that the seed says, and no other",
    async (loss) => {
      for (const { result, counts, fates } of await impaired({ loss })) {
        const lost = fates.flatMap((fate, index) => (fate.length === 0 ? [index] : []));
        expect(result.lost).toBe(lost.length);
        expect(counts.lost).toBe(lost.length);
        const told = result.lostRuns.flatMap(({ first, count }) =>
          Array.from({ length: count }, (_, i) => first + i),
        );
        expect(told).toEqual(lost.slice(0, told.length));
        expect(told.length).toBeGreaterThan(0);
      }
    },
  );

  test("one seed loses the same packets again, another one others", async () => {
    const runs = [];
    for (const seed of [1, 1, 2]) {
      const [there] = await impaired({ loss: 0.05 }, seed);
      runs.push(there!.result.lostRuns.map(({ first, count }) => ({ first, count })));
    }
    expect(runs[1]).toEqual(runs[0]);
    expect(runs[2]).not.toEqual(runs[0]);
  });

  test("duplicates come twice, as many as the seed says", async () => {
    for (const { result, counts, fates } of await impaired({ duplication: 0.02 })) {
      const twice = fates.filter((fate) => fate.length === 2).length;
      expect(twice).toBeGreaterThan(0);
      expect(result).toMatchObject({ received: COUNT, duplicates: twice, damaged: 0, overtaken: 0 });
      expect(counts).toMatchObject({ duplicated: twice, delivered: COUNT + twice });
    }
  });

  test("what is held back is overtaken, and nothing is lost", async () => {
    for (const { result, fates } of await impaired({ reordering: 0.05 })) {
      const heldBack = fates.filter(([delay]) => delay! > 0).length;
      expect(result).toMatchObject({ received: COUNT, duplicates: 0, damaged: 0 });
      expect(result.overtaken).toBeGreaterThan(0);
      expect(result.overtaken).toBeLessThanOrEqual(heldBack);
    }
  });

  test("a delay is kept, and keeps the order", async () => {
    for (const { result } of await impaired({ delayMs: [20, 20] })) {
      expect(result).toMatchObject({ received: COUNT, duplicates: 0, damaged: 0, overtaken: 0 });
      expect(result.leastMs).toBeGreaterThanOrEqual(20);
    }
  });

  test("a delay with jitter is kept, and does not keep the order", async () => {
    for (const { result } of await impaired({ delayMs: [20, 60] })) {
      expect(result).toMatchObject({ received: COUNT, duplicates: 0, damaged: 0 });
      expect(result.leastMs).toBeGreaterThanOrEqual(20);
      expect(result.mostMs).toBeGreaterThan(result.leastMs + 30);
      expect(result.overtaken).toBeGreaterThan(COUNT / 2);
    }
  });

  test("a NAT rebinds before those packets that the seed says", async () => {
    const faults = { rebinding: 0.002 };
    const [there] = await impaired(faults);
    const plan = new FaultPlan(SEED, 0, faults);
    const times = Array.from({ length: COUNT }, (_, index) => plan.rebindsBefore(index)).filter(
      Boolean,
    ).length;
    expect(times).toBeGreaterThan(0);
    expect(there!.counts.rebindings).toBe(times);
    expect(there!.result).toMatchObject({ received: COUNT, duplicates: 0, damaged: 0 });
  });
});

test.skipIf(!requireRoot("a NAT that rebinds"))(
  "after a rebinding the right host sees another port; its answers there arrive, and those to the old port do not",
  async () => {
    const hosts = await createRelayedHosts({ left: LEFT, right: RIGHT });
    try {
      const run = (host: typeof hosts.left, address: string): LineProcess =>
        new LineProcess(host, [process.execPath, "-e", CORRESPONDENT, address]);
      const left = run(hosts.left, "192.0.2.1");
      const right = run(hosts.right, "192.0.2.2");
      await Promise.all([left.read(), right.read()]);

      left.write({ text: "one", port: 4500, address: "192.0.2.2" });
      const before = JSON.parse(await right.read());
      expect(before).toMatchObject({ text: "one", address: "192.0.2.1", port: 4500 });
      await hosts.relay.rebind();
      left.write({ text: "two", port: 4500, address: "192.0.2.2" });
      const after = JSON.parse(await right.read());
      expect(after).toMatchObject({ text: "two", address: "192.0.2.1" });
      expect(after.port).not.toBe(4500);

      right.write({ ...before, text: "to the old port" });
      right.write({ ...after, text: "to the new port" });
      expect(JSON.parse(await left.read())).toEqual({
        text: "to the new port",
        address: "192.0.2.2",
        port: 4500,
      });
    } finally {
      await hosts.close();
    }
  },
);

/** Sends what it is told on standard input and prints what arrives. */
const CORRESPONDENT = `
  const socket = require("node:dgram").createSocket("udp4");
  const lines = require("node:readline").createInterface({ input: process.stdin });
  socket.on("message", (text, { address, port }) =>
    console.log(JSON.stringify({ text: String(text), address, port })));
  socket.bind(4500, process.argv[1], () => console.log("ready"));
  lines.on("line", (line) => {
    const { text, address, port } = JSON.parse(line);
    socket.send(text, port, address);
  });`;

function difference(after: WayCounts, before: WayCounts): WayCounts {
  const names = Object.keys(after) as (keyof WayCounts)[];
  return Object.fromEntries(names.map((name) => [name, after[name] - before[name]])) as unknown as WayCounts;
}
