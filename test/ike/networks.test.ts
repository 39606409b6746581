import { describe, expect, test } from "vitest";
import { expectClean } from "../support/simulator/expectations.ts";
import { type Gateway, gatewayWithClients } from "../support/simulator/gateway.ts";
import { SeededRandom, type SimulatedMachine } from "../support/simulator/index.ts";
import { forEachSeed, seedCount } from "../support/simulator/seeds.ts";

// A gateway with three clients behind NATs, and a life at random: connections come and go, SAs are rekeyed and deleted from
// both sides, NATs give other addresses and ports in the middle of it, and the network loses, doubles, delays and reorders.

const CLIENTS = 3;
const LIMITS = { livenessMs: 20_000 };

/** What may happen to client `i`, by either side. */
const ACTS: readonly ((world: Gateway, i: number) => void)[] = [
  ({ clients }, i) => clients[i]!.connect(`c${i}`),
  ({ clients }, i) => clients[i]!.connect(`c${i}`),
  ({ clients }, i) => clients[i]!.rekey("children", `c${i}`),
  ({ gateway }, i) => gateway.rekey("children", `c${i}`),
  ({ clients }, i) => clients[i]!.rekey("ike", `c${i}`),
  ({ gateway }, i) => gateway.rekey("ike", `c${i}`),
  ({ clients, gateway }, i) => {
    clients[i]!.rekey("children", `c${i}`);
    gateway.rekey("children", `c${i}`);
  },
  ({ clients, gateway }, i) => {
    clients[i]!.rekey("ike", `c${i}`);
    gateway.rekey("ike", `c${i}`);
  },
  ({ clients }, i) => clients[i]!.handle({ kind: "terminate", connection: `c${i}`, child: `c${i}` }),
  ({ gateway }, i) => gateway.handle({ kind: "terminate", connection: `c${i}`, child: `c${i}` }),
  ({ clients }, i) => clients[i]!.disconnect(`c${i}`),
  ({ gateway }, i) => gateway.disconnect(`c${i}`),
  ({ clients }, i) => clients[i]!.handle({ kind: "liveness", connection: `c${i}` }),
  ({ rebind }, i) => rebind(i),
];

function live(seed: number): void {
  const world = gatewayWithClients({ seed, clientCount: CLIENTS, limits: LIMITS });
  const { gateway, clients, link, rebind, outsideOf } = world;
  const random = new SeededRandom(seed);
  link.impair(seed, {
    loss: random.fraction() * 0.2,
    duplication: 0.05,
    delayMs: [5, 5 + random.below(300)],
  });
  clients.forEach((client, i) => void client.connect(`c${i}`));
  for (let i = 0; i < 20; i++) {
    link.run({ until: link.now + random.below(4_000) });
    ACTS[random.below(ACTS.length)]!(world, random.below(CLIENTS));
  }

  // The network is well again, and whoever has nothing connects, as an engine would have it do.
  link.fate = () => [10];
  const isUp = (client: SimulatedMachine, i: number): boolean =>
    isOne(client, `c${i}`) && isOne(gateway, `c${i}`) && isMirrored(client, gateway);
  for (let i = 0; i < 60; i++) {
    if (clients.every(isUp) && gateway.ikeSas.length === CLIENTS && gateway.installed.size === CLIENTS) break;
    clients.forEach((client, number) => {
      if (client.childSas.length === 0) client.connect(`c${number}`);
    });
    link.run({ until: link.now + 10_000 });
  }
  // What is still being replaced has its time.
  link.run({ until: link.now + 100_000 });
  for (const [i, client] of clients.entries()) {
    expect(isUp(client, i), `${client.name} is up`).toBe(true);
    expect([client.ikeSas.length, client.installed.size, client.reserved.size]).toEqual([1, 1, 1]);
  }
  expect([gateway.ikeSas.length, gateway.installed.size, gateway.reserved.size]).toEqual([3, 3, 3]);

  // Once more another address: the next message that is authentic takes IKE and ESP along.
  for (const [i, client] of clients.entries()) {
    rebind(i);
    client.handle({ kind: "liveness", connection: `c${i}` });
  }
  link.run({ until: link.now + 1_000 });
  for (const [i, client] of clients.entries()) {
    const inboundSpi = client.outboundSpi(`c${i}`)!;
    expect(gateway.installed.get(inboundSpi)!.path.remote).toEqual(outsideOf(i));
    expect(client.receivePacket(gateway.outboundSpi(`c${i}`)!)).toBe("opened");
    expect(gateway.receivePacket(inboundSpi)).toBe("opened");
    client.disconnect(`c${i}`);
  }
  link.run({ until: link.now + 200_000 });
  expectClean(gateway, ...clients);
}

function isOne(machine: SimulatedMachine, connection: string): boolean {
  const ikeSas = machine.ikeSas.filter((ikeSa) => ikeSa.connection === connection);
  return ikeSas.length === 1 && ikeSas[0]!.state === "established" && ikeSas[0]!.childSas.length === 1;
}

function isMirrored(client: SimulatedMachine, gateway: SimulatedMachine): boolean {
  const [ours] = client.installed.values();
  const theirs = ours && gateway.installed.get(ours.outboundSpi);
  return theirs?.outboundSpi === ours?.inboundSpi;
}

describe("a gateway and three clients behind NATs", () => {
  test("come to rest with one of each after any life, follow each other's addresses, and leave nothing", () => {
    forEachSeed(seedCount(2_000), live);
  }, 300_000);

  test("play the same life again from its seed, message by message", () => {
    const record = (seed: number): readonly string[] => {
      const world = gatewayWithClients({ seed, clientCount: CLIENTS, limits: LIMITS });
      const { link, clients } = world;
      link.impair(seed, { loss: 0.2, duplication: 0.1, delayMs: [5, 200] });
      clients.forEach((client, i) => void client.connect(`c${i}`));
      const random = new SeededRandom(seed);
      for (let i = 0; i < 30; i++) {
        link.run({ until: link.now + random.below(2_000) });
        ACTS[random.below(ACTS.length)]!(world, random.below(CLIENTS));
      }
      return link.transmitted.map(
        ({ at, from, octets }) => `${at} ${from.name} ${Buffer.from(octets).toString("hex")}`,
      );
    };
    for (const seed of [1, 2, 3]) expect(record(seed)).toEqual(record(seed));
    expect(record(1)).not.toEqual(record(2));
  });

  test("a client whose NAT forgets it in the middle of an exchange is found again by its own message", () => {
    for (const what of ["children", "ike"] as const) {
      const { gateway, clients, link, rebind, outsideOf } = gatewayWithClients({ seed: 9, clientCount: 1 });
      const [client] = clients;
      client!.connect("c0");
      link.deliverAll();
      client!.rekey(what, "c0");
      link.deliver();
      rebind(0); // The answer goes to an address that nobody has any more.
      link.inFlight.length = 0;
      link.fate = () => [10];
      link.run({ until: link.now + 5_000 });
      const [ikeSa] = gateway.ikeSas;
      expect(gateway.ikeSas).toHaveLength(1);
      expect(ikeSa!.path.remote).toEqual(outsideOf(0));
      expect(gateway.installed.size).toBe(1);
      expect(isMirrored(client!, gateway)).toBe(true);
    }
  });
});
