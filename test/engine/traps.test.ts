import { afterEach, describe, expect, test } from "vitest";
import { configOf, type MemoryPeer, pairOfEngines } from "../support/engines.ts";
import { innerPacket } from "../support/inner-packets.ts";
import { until } from "../support/waiting.ts";

let peers: readonly MemoryPeer[] = [];

afterEach(async () => {
  await Promise.all(peers.map(({ engine }) => engine.stop()));
  peers = [];
});

async function start(options: Parameters<typeof pairOfEngines>[0] = {}) {
  const pair = await pairOfEngines({ clientPolicy: { start: "trap" }, ...options });
  peers = [pair.client, pair.gateway];
  return pair;
}

function ping(to = "10.2.0.1", mark = 0): Uint8Array {
  const payload = new Uint8Array(40).fill(mark);
  return innerPacket({ source: "10.1.0.1", destination: to, protocol: 1, payload });
}

const stateOf = ({ engine }: MemoryPeer): string => engine.status().connections[0]!.state;
const attemptsOf = ({ events }: MemoryPeer): number =>
  events.filter(({ name }) => name === "trap-sprung").length;

describe("a connection with a trap", () => {
  test("comes up by the first packet, which arrives, and so do those behind it", async () => {
    const { client, gateway, wire } = await start();
    expect(stateOf(client)).toBe("trap");
    await client.settle();
    expect(client.events).toEqual([]);
    const plain: Uint8Array[] = [];
    wire.onDatagram = ({ octets }) => plain.push(octets.slice());

    const packets = [ping("10.2.0.1", 1), ping("10.2.0.1", 2), ping("10.2.0.2", 3)];
    for (const packet of packets) client.tun.inject(packet);
    const arrived: Uint8Array[] = [];
    while (arrived.length < packets.length) arrived.push(...(await packetsOf(gateway)));
    expect(arrived).toEqual(packets);
    expect(stateOf(client)).toBe("established");
    expect(attemptsOf(client)).toBe(1);
    expect(client.engine.status().dataPlane.drops).toEqual({});
    for (const packet of packets) {
      expect(plain.some((octets) => Buffer.from(octets).includes(Buffer.from(packet)))).toBe(false);
    }
  });

  test("has both families behind one trap, and is not called for what it does not cover", async () => {
    const { client } = await start();
    client.tun.inject(ping("203.0.113.9"));
    await client.settle();
    expect(stateOf(client)).toBe("trap");
    expect(client.engine.status().dataPlane.drops).toEqual({ noPolicy: 1 });
    client.tun.inject(innerPacket({ source: "fd01::1", destination: "fd02::1" }));
    await until("it is up", () => stateOf(client) === "established");
  });

  test("is set again when the peer deletes it, and comes up again", async () => {
    const { client, gateway } = await start();
    client.tun.inject(ping());
    await until("it is up", () => stateOf(client) === "established");
    await gateway.engine.down("site");
    await gateway.engine.reload(gateway.config);
    await until("the trap is set", () => stateOf(client) === "trap");
    await gateway.nextPacket();
    // The next attempt is put off for a second, since the last one ended.
    await until("it is up again", () => {
      client.tun.inject(ping());
      return stateOf(client) === "established";
    });
    expect(attemptsOf(client)).toBe(2);
  });

  test("that was taken down stays down, whatever wants it, until it is brought up", async () => {
    const { client } = await start();
    await client.engine.down("site");
    expect(stateOf(client)).toBe("down");
    client.tun.inject(ping());
    await client.settle();
    expect(stateOf(client)).toBe("down");
    expect(client.engine.status().dataPlane.drops).toEqual({ noSa: 1 });
    expect(await client.engine.up("site")).toMatchObject({ kind: "done" });
    await client.engine.down("site");
    await client.engine.reload(client.config);
    expect(stateOf(client)).toBe("trap");
  });

  test("whose peer refuses is tried again later and later, however many packets want it", async () => {
    const { client } = await start({ gatewayKey: "another secret entirely" });
    client.tun.inject(ping());
    await until("it has failed", () => client.events.some(({ name }) => name === "ike-sa-failed"));
    const { nextAttemptMs } = client.engine.status().connections[0]!;
    expect(nextAttemptMs).toBeGreaterThan(0);
    const end = performance.now() + 3_500;
    await until("three seconds are over", () => {
      for (let i = 0; i < 50; i++) client.tun.inject(ping());
      return performance.now() > end;
    });
    // After one second and two more, each spread by a quarter; the third pause is longer than that.
    expect(attemptsOf(client)).toBeGreaterThan(1);
    expect(attemptsOf(client)).toBeLessThan(5);
    expect(client.engine.status().dataPlane.drops.trapped).toBeGreaterThan(0);
  });

  test("may be taken out of the configuration, and another child may take its place", async () => {
    const { client } = await start();
    const facts = {
      address: "192.0.2.1",
      peer: "192.0.2.2",
      key: "a secret of the test",
      esp: "aes256gcm16",
    };
    const config = configOf({ ...facts, number: 1, policy: { start: "respond" } });
    expect(await client.engine.reload(config)).toMatchObject({ kind: "done" });
    client.tun.inject(ping());
    await client.settle();
    expect(stateOf(client)).toBe("down");
    expect(client.engine.status().dataPlane.drops).toEqual({ noSa: 1 });
    await client.engine.reload(client.config);
    client.tun.inject(ping());
    await until("it is up", () => stateOf(client) === "established");
  });
});

async function packetsOf(peer: MemoryPeer): Promise<readonly Uint8Array[]> {
  await peer.settle();
  return peer.tun.drain();
}
