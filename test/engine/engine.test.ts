import { afterEach, describe, expect, test } from "vitest";
import { Engine } from "../../src/engine/engine.ts";
import { createMemoryHost } from "../../src/engine/memory-host.ts";
import { PlatformError } from "../../src/errors/index.ts";
import { ExchangeType } from "../../src/iana/ikev2-parameters.ts";
import { MemoryWire } from "../../src/platform/udp/memory-udp.ts";
import { selectorsFromPrefixes } from "../../src/policy/traffic-selectors.ts";
import { NON_ESP_MARKER_LENGTH } from "../../src/wire/udp-encapsulation.ts";
import { configOf, type MemoryPeer, pairOfEngines } from "../support/engines.ts";
import { ikeShaped } from "../support/ike-shaped.ts";
import { innerPacket } from "../support/inner-packets.ts";

let peers: readonly MemoryPeer[] = [];

afterEach(async () => {
  await Promise.all(peers.map(({ engine }) => engine.stop()));
  peers = [];
});

describe("two engines over devices in memory", () => {
  test.each([1, 2, 3, 4])("negotiate and carry packets both ways, with %i data workers", async (workers) => {
    const { client, gateway } = await start({ workers });
    expect(client.engine.status().dataPlane.workers).toBe(workers);
    expect(await client.engine.up("site")).toMatchObject({ kind: "done" });

    const there = packet({ from: "10.1.0.1", to: "10.2.0.1", length: 64 });
    client.tun.inject(there);
    expect(await gateway.nextPacket()).toEqual(there);
    const back = packet({ from: "10.2.0.1", to: "10.1.0.1", length: 1300 });
    gateway.tun.inject(back);
    expect(await client.nextPacket()).toEqual(back);

    const child = client.engine.status().connections[0]!.ikeSa!.children[0]!;
    expect(child.outbound).toEqual({ packets: 1, octets: there.length, drops: {}, events: {} });
    expect(child.inbound).toEqual({ packets: 1, octets: back.length, drops: {}, events: {} });
  });

  test("drop what their selectors cover while there is no SA, and never send it in clear", async () => {
    const { client, wire } = await start();
    const seen: Uint8Array[] = [];
    wire.onDatagram = ({ octets }) => seen.push(octets.slice());
    client.tun.inject(packet({ from: "10.1.0.1", to: "10.2.0.1", length: 64 }));
    client.tun.inject(packet({ from: "10.1.0.1", to: "203.0.113.9", length: 64 }));
    await client.settle();
    expect(client.engine.status().dataPlane.drops).toEqual({ noSa: 1, noPolicy: 1 });
    expect(seen).toEqual([]);
  });

  test("a deleted connection takes its SAs from both sides", async () => {
    const { client, gateway } = await start();
    await client.engine.up("site");
    expect(gateway.engine.status().connections[0]!.state).toBe("established");
    expect(await client.engine.down("site")).toMatchObject({ kind: "done" });
    expect(client.engine.status().connections[0]!.state).toBe("down");
    expect(gateway.engine.status().connections[0]!.state).toBe("down");
    client.tun.inject(packet({ from: "10.1.0.1", to: "10.2.0.1", length: 64 }));
    await client.settle();
    expect(client.engine.status().dataPlane.drops).toEqual({ noSa: 1 });
  });

  test("a connection that was taken down is refused to the peer until it is brought up again", async () => {
    const { client, gateway } = await start();
    await gateway.engine.down("site");
    expect(await client.engine.up("site")).toMatchObject({ kind: "failed" });
    await client.engine.down("site");
    expect(await gateway.engine.up("site")).toMatchObject({ kind: "failed" });
    await gateway.engine.reload(gateway.config);
    expect(await client.engine.up("site")).toMatchObject({ kind: "done" });
  });

  test("a start that the machine refuses leaves no device and no thread behind", async () => {
    const host = createMemoryHost(new MemoryWire().host(["192.0.2.1"]));
    const ended: string[] = [];
    const facts = { address: "192.0.2.1", peer: "192.0.2.2", key: "a secret of the test" };
    const started = Engine.start({
      config: configOf({ ...facts, esp: "aes256gcm16", number: 1 }),
      host: {
        ...host,
        open: async (...facts) => {
          const open = await host.open(...facts);
          host.network.rules = () => {
            throw new PlatformError("list rules: EOPNOTSUPP", { code: "EOPNOTSUPP" });
          };
          return { ...open, close: () => open.close().then(() => void ended.push("devices")) };
        },
        close: () => host.close().then(() => void ended.push("host")),
      },
      onEvent: () => {},
    });
    await expect(started).rejects.toThrow("list rules: EOPNOTSUPP");
    expect(ended).toEqual(["devices", "host"]);
  });

  test("a reload while it stops brings nothing up any more", async () => {
    const { client } = await start();
    await client.engine.up("site");
    const [policy] = client.config.connections;
    const next = { ...policy!, name: "next", start: "start" } as const;
    const reloading = client.engine.reload({ ...client.config, connections: [next] });
    await client.engine.stop();
    expect(await reloading).toMatchObject({ kind: "failed" });
    expect(client.events.some(({ connection }) => connection === "next")).toBe(false);
  });

  test("a reload that is refused a route changes nothing", async () => {
    const { client } = await start();
    await client.engine.up("site");
    client.network.addLink("eth9");
    client.network.setLinkUp("eth9");
    client.network.addRoute({ destination: "10.3.0.0/24", link: "eth9" });
    const before = client.network.routes();
    const [policy] = client.config.connections;
    const [child] = policy!.children;
    const remote = selectorsFromPrefixes(["10.3.0.0/24"]);
    const changed = {
      ...client.config,
      connections: [{ ...policy!, children: [{ ...child!, remote }] }],
    };
    expect(await client.engine.reload(changed)).toMatchObject({ kind: "failed", reason: "configuration" });
    expect(client.network.routes()).toEqual(before);
    expect(client.engine.status().connections[0]!.state).toBe("established");
    expect(await client.engine.reload(client.config)).toMatchObject({ kind: "done" });
  });

  test("a reload that would need sockets for raw ESP, of a process that has opened none, changes nothing", async () => {
    const raw = ({ config }: MemoryPeer) => ({
      ...config,
      connections: config.connections.map((policy) => ({ ...policy, encapsulation: "raw" as const })),
    });
    const { client, gateway } = await start({ clientPolicy: { encapsulation: "udp" } });
    await client.engine.up("site");
    expect(await client.engine.reload(raw(client))).toMatchObject({
      kind: "failed",
      reason: "configuration",
      message: expect.stringContaining("site wants raw ESP"),
    });
    expect(client.engine.status().connections[0]!.state).toBe("established");
    expect(await gateway.engine.reload(raw(gateway))).toMatchObject({ kind: "done" });
  });

  test("a connection without a child SA is not up, however its IKE SA stands", async () => {
    const { client } = await start({ clientEsp: "chacha20poly1305", gatewayEsp: "aes256gcm16" });
    for (let attempt = 0; attempt < 2; attempt++) {
      expect(await client.engine.up("site")).toMatchObject({ kind: "failed", reason: "no-proposal-chosen" });
      expect(client.engine.status().connections[0]!.state).toBe("established");
    }
  });

  test("a wrong key fails on both sides with the reason", async () => {
    const { client, gateway } = await start({ gatewayKey: "another secret entirely" });
    expect(await client.engine.up("site")).toMatchObject({ kind: "failed", reason: "authentication-failed" });
    expect(gateway.events.at(-1)).toMatchObject({
      name: "ike-sa-failed",
      facts: { reason: "AUTHENTICATION_FAILED" },
    });
    await client.engine.down("site");
    expect(gateway.engine.status().connections[0]!.state).toBe("down");
  });

  test("no common ESP cipher is reported with what was offered and allowed", async () => {
    const { client } = await start({ clientEsp: "chacha20poly1305", gatewayEsp: "aes256gcm16" });
    const outcome = await client.engine.up("site");
    expect(outcome).toMatchObject({ kind: "failed", reason: "no-proposal-chosen" });
  });

  test.each([
    ["a wrong key", { gatewayKey: "another secret entirely" }],
    ["no common ESP cipher", { clientEsp: "chacha20poly1305", gatewayEsp: "aes256gcm16" }],
  ])(
    "attempts that fail for %s give back the place that they reserved in the data plane",
    async (_, options) => {
      const { client, gateway } = await start(options);
      const free = [freePlaces(client), freePlaces(gateway)];
      for (let attempt = 0; attempt < 3; attempt++) {
        expect(await client.engine.up("site")).toMatchObject({ kind: "failed" });
        await client.engine.down("site");
        await gateway.settle();
      }
      expect([freePlaces(client), freePlaces(gateway)]).toEqual(free);
    },
  );

  test("what is no IKE message is counted by cause, and the tunnel stays", async () => {
    const { client, gateway, wire } = await start();
    await client.engine.up("site");
    const { received } = gateway.engine.status().ike;
    const stranger = wire.host(["192.0.2.9"]);
    const header = ikeShaped(new Uint8Array(28).fill(0x20));
    for (const octets of [new Uint8Array(20), new Uint8Array(28).fill(0x20), header]) {
      const from = { address: "192.0.2.9", port: 500 };
      stranger.send({ octets, from, to: { address: "192.0.2.2", port: 500 } });
    }
    await gateway.settle();
    const { ike, dataPlane } = gateway.engine.status();
    expect(ike).toMatchObject({ received: received + 1, drops: { unknownSpi: 1 } });
    // The data worker keeps what has no IKE header to itself.
    expect(dataPlane.drops).toMatchObject({ malformed: 2 });
    expect(await client.engine.liveness("site")).toMatchObject({ kind: "alive" });
  });

  test("liveness answers with a round trip, and says so when there is no SA", async () => {
    const { client } = await start();
    expect(await client.engine.liveness("site")).toMatchObject({ kind: "failed", reason: "not-established" });
    await client.engine.up("site");
    expect(await client.engine.liveness("site")).toMatchObject({ kind: "alive" });
  });

  test.each(["children", "ike"] as const)(
    "rekey %s replaces keys while packets flow both ways",
    async (what) => {
      const { client, gateway } = await start();
      await client.engine.up("site");
      const spisOf = ({ engine }: MemoryPeer): readonly string[] => {
        const { initiatorSpi, children } = engine.status().connections[0]!.ikeSa!;
        return [initiatorSpi, children[0]!.inboundSpi];
      };
      const [ikeBefore, childBefore] = spisOf(client);
      for (const side of [client, gateway, client]) {
        const other = side === client ? gateway : client;
        const replaced = side.engine.rekey("site", what);
        for (let round = 0; round < 5; round++) {
          await pass(client, gateway, { from: "10.1.0.1", to: "10.2.0.1" });
          await pass(gateway, client, { from: "10.2.0.1", to: "10.1.0.1" });
        }
        expect(await replaced).toMatchObject({ kind: "done" });
        await other.settle();
        await pass(client, gateway, { from: "10.1.0.1", to: "10.2.0.1" });
        await pass(gateway, client, { from: "10.2.0.1", to: "10.1.0.1" });
        expect(spisOf(client)[0]).toBe(spisOf(gateway)[0]);
      }
      const [ikeAfter, childAfter] = spisOf(client);
      expect(ikeAfter === ikeBefore).toBe(what === "children");
      expect(childAfter === childBefore).toBe(what === "ike");
      expect(client.engine.status().dataPlane.drops).toEqual({});
      expect(gateway.engine.status().dataPlane.drops).toEqual({});
      expect(await client.engine.rekey("nowhere", what)).toMatchObject({ reason: "unknown-connection" });
      await client.engine.down("site");
      expect(await client.engine.rekey("site", what)).toMatchObject({ reason: "not-established" });
    },
  );

  test("an unknown connection is named, with those that are known", async () => {
    const { client } = await start();
    expect(await client.engine.up("nowhere")).toEqual({
      kind: "failed",
      reason: "unknown-connection",
      message: "no connection is named nowhere; there is site",
    });
  });

  test("a peer that is taken out of the configuration does not come back while its SA is being deleted", async () => {
    const { client, gateway, wire } = await start();
    await client.engine.up("site");
    // The client keeps its confirmation back, so that the deletion takes its time.
    wire.filter = (datagram) =>
      datagram.from.address === "192.0.2.1" &&
      datagram.octets[NON_ESP_MARKER_LENGTH + 18] === ExchangeType.INFORMATIONAL
        ? []
        : [datagram];
    const facts = {
      address: "192.0.2.2",
      peer: "192.0.2.1",
      key: "",
      esp: "aes256gcm16",
      number: 2,
    } as const;
    void gateway.engine.reload({ ...configOf(facts), connections: [] });
    await client.settle();
    expect(client.engine.status().connections[0]!.state).not.toBe("established");
    expect(await client.engine.up("site")).toMatchObject({ kind: "failed" });
    wire.filter = undefined;
  });

  test("remote selectors are routes into the TUN device while the engine runs, and only then", async () => {
    const { client } = await start();
    const routes = () =>
      client.network
        .routes()
        .filter(({ link }) => link === "ikebana0")
        .map(({ destination }) => destination);
    expect(routes()).toEqual(["10.2.0.0/24", "fd02::/64"]);
    await client.engine.stop();
    expect(routes()).toEqual([]);
  });
});

async function start(options: Parameters<typeof pairOfEngines>[0] = {}) {
  const pair = await pairOfEngines(options);
  peers = [pair.client, pair.gateway];
  return pair;
}

/** How many child SAs the data plane still has room for. */
function freePlaces({ dataPlane }: MemoryPeer): number {
  const spis: number[] = [];
  for (let spi = dataPlane.allocateSpi(); spi !== undefined; spi = dataPlane.allocateSpi()) spis.push(spi);
  for (const spi of spis) dataPlane.releaseSpi(spi);
  return spis.length;
}

async function pass(
  from: MemoryPeer,
  to: MemoryPeer,
  ends: { readonly from: string; readonly to: string },
): Promise<void> {
  const sent = packet({ ...ends, length: 100 });
  from.tun.inject(sent);
  expect(await to.nextPacket()).toEqual(sent);
}

function packet(facts: { readonly from: string; readonly to: string; readonly length: number }): Uint8Array {
  const payload = Uint8Array.from({ length: facts.length }, (_, i) => i & 0xff);
  return innerPacket({ source: facts.from, destination: facts.to, payload });
}
