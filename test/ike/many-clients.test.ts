import { beforeAll, describe, expect, test } from "vitest";
import { ExchangeType } from "../../src/iana/ikev2-parameters.ts";
import type { Limits } from "../../src/ike/limits.ts";
import type { AddressSource } from "../../src/ike/machine.ts";
import type { Credential } from "../../src/pki/credential.ts";
import type { ConnectionPolicy } from "../../src/policy/connection.ts";
import { AddressPools } from "../../src/pool/address-pools.ts";
import { decodeHeader } from "../../src/wire/message.ts";
import { login, logins, TestAuthority } from "../support/simulator/credentials.ts";
import {
  authenticating,
  childPolicy,
  initiatorPolicy,
  Link,
  RESPONDER_ADDRESS,
  responderPolicy,
  SimulatedMachine,
} from "../support/simulator/index.ts";

let ca: TestAuthority;
let certificate: Credential;

beforeAll(async () => {
  ca = await TestAuthority.create();
  certificate = await ca.issue("b.example.org");
});

interface Device {
  readonly user: string;
  /** IDi. */
  readonly id: string;
  readonly address: string;
  /** The user's name unless it is said. */
  readonly password?: string;
  readonly neverRekeys?: boolean;
}

interface Access {
  readonly gateway: SimulatedMachine;
  readonly clients: readonly SimulatedMachine[];
  readonly pools: AddressPools;
  readonly link: Link;
}

/** One connection of the gateway for all of them. Whoever logs in has the user's name as a password. */
function accessOf(
  seed: number,
  devices: readonly Device[],
  limits: Partial<Limits> = {},
  lifetimes: Pick<ConnectionPolicy, "clientLifetimes"> = {},
): Access {
  const link = new Link();
  const pools = new AddressPools({ prefixes: ["10.77.0.0/16"], devicesPerUser: 8 });
  const addresses: AddressSource = {
    assign: ({ user, device, wanted }) => pools.assign({ user, device }, wanted),
    release: (lease) => pools.release(lease),
  };
  const add = (
    facts: Pick<
      ConstructorParameters<typeof SimulatedMachine>[0],
      "name" | "address" | "connections" | "seed"
    >,
  ) => {
    const machine: SimulatedMachine = new SimulatedMachine({
      ...facts,
      limits,
      addresses,
      clock: link,
      transmit: (octets, path) => link.transmit(machine, octets, path),
    });
    link.add(machine);
    return machine;
  };
  const anywhere = ["0.0.0.0/0"];
  const never = Number.POSITIVE_INFINITY;
  const clients = devices.map(({ user, id, address, password = user, neverRekeys = false }, i) =>
    add({
      name: `client ${i}`,
      address,
      seed: 1000 * seed + i,
      connections: [
        {
          ...authenticating(
            initiatorPolicy({
              localId: id,
              localAddress: address,
              children: [
                {
                  ...childPolicy({ local: anywhere, remote: anywhere }),
                  ...(neverRekeys && { rekey: { timeMs: never } }),
                },
              ],
            }),
            {
              local: { kind: "eap", client: login(user, password) },
              remote: [{ kind: "certificate", trust: ca.trust("server") }],
            },
          ),
          asks: { ipv4: true, ipv6: false },
          ...(neverRekeys && { ikeRekeyMs: never }),
        },
      ],
    }),
  );
  const users = Object.fromEntries(devices.map(({ user }) => [user, user]));
  const gateway = add({
    name: "gateway",
    address: RESPONDER_ADDRESS,
    seed: 1000 * seed + 999,
    connections: [
      {
        ...authenticating(
          responderPolicy({
            name: "gateway",
            remoteAddress: undefined,
            children: [childPolicy({ local: anywhere, remote: ["10.77.0.0/16"] })],
          }),
          {
            local: { kind: "certificate", credentials: [certificate] },
            remote: [{ kind: "eap", server: logins(users) }],
            isForAnybody: true,
          },
        ),
        gives: { dns: [], subnets: [], domains: [] },
        ...lifetimes,
      },
    ],
  });
  return { gateway, clients, pools, link };
}

function usersOf({ gateway }: Access) {
  return gateway.ikeSas.filter(({ state }) => state === "established").map(({ user }) => user);
}

describe("one connection for many", () => {
  test("two hundred clients come, each with an address of its own, and go one by one", async () => {
    const count = 200;
    const devices = Array.from({ length: count }, (_, i) => ({
      user: `user ${i}`,
      id: "192.168.1.7",
      address: `198.18.${i >> 6}.${1 + (i & 63)}`,
    }));
    const access = accessOf(1, devices);
    const { gateway, clients, pools, link } = access;
    for (const client of clients) {
      client.connect();
      await link.settle();
    }
    expect(new Set(usersOf(access)).size).toBe(count);
    const given = gateway.ikeSas.flatMap(({ internalAddresses }) => internalAddresses);
    expect([new Set(given).size, gateway.installed.size, pools.leaseCount]).toEqual([count, count, count]);
    clients[7]!.disconnect();
    await link.settle();
    expect(usersOf(access)).not.toContain("user 7");
    expect([gateway.installed.size, pools.leaseCount]).toEqual([count - 1, count - 1]);
    for (const client of clients) client.disconnect();
    await link.settle();
    expect([gateway.installed.size, pools.leaseCount]).toEqual([0, 0]);
  });

  test("whoever was refused takes no place from those who come, and no more memory than was set apart", async () => {
    const thieves = Array.from({ length: 12 }, (_, i) => ({
      user: "anna",
      id: "192.168.1.7",
      address: `198.18.${i}.1`,
      password: "123456",
    }));
    const anna = { user: "anna", id: "phone.example.org", address: "198.51.100.1" };
    const access = accessOf(9, [...thieves, anna], {
      halfOpenCount: 4,
      failedCount: 6,
      cookieThresholdCount: 0,
    });
    const { gateway, clients, link } = access;
    for (const client of clients) {
      client.connect();
      await link.settle();
    }
    expect(usersOf(access)).toEqual(["anna"]);
    expect(gateway.endpoint.counters.halfOpenRefused).toBe(0);
    expect(gateway.endpoint.halfOpenCount).toBe(0);
    // Their last requests come again: the latest six are answered as before, nobody knows of the others.
    for (const client of clients.slice(0, -1)) {
      const { octets, path } = link.transmitted.findLast(({ from }) => from === client)!;
      gateway.handle({ kind: "datagram", octets, path });
    }
    expect(gateway.endpoint.counters).toMatchObject({ answeredAgain: 6, unknownSpi: 6 });
  });

  test("an address that was refused again and again waits until that is forgotten", async () => {
    const devices = Array.from({ length: 4 }, () => ({
      user: "anna",
      id: "192.168.1.7",
      address: "198.18.0.1",
      password: "123456",
    }));
    const access = accessOf(10, devices.slice(0, 1), { halfOpenPerAddressCount: 3, cookieThresholdCount: 0 });
    const { gateway, clients, link } = access;
    for (const _ of devices) {
      clients[0]!.connect();
      await link.settle();
    }
    const failures = () => clients[0]!.eventNames().filter((name) => name === "ike-sa-failed").length;
    expect([gateway.endpoint.counters.halfOpenRefused, failures()]).toEqual([1, 3]);
    link.run({ until: link.now + 60_000 });
    await link.settle();
    expect(failures()).toBe(4);
  });

  test("strangers who call themselves the same do not disturb each other", async () => {
    const access = accessOf(2, [
      { user: "anna", id: "192.168.1.7", address: "198.18.0.1" },
      { user: "bert", id: "192.168.1.7", address: "198.18.0.2" },
    ]);
    for (const client of access.clients) {
      client.connect();
      await access.link.settle();
    }
    expect(usersOf(access)).toEqual(["anna", "bert"]);
  });

  test("two behind one NAT are told apart by their ports, also when they name themselves the same", async () => {
    const access = accessOf(8, [
      { user: "anna", id: "192.168.1.7", address: "192.168.1.7" },
      { user: "bert", id: "192.168.1.7", address: "192.168.1.8" },
    ]);
    const { gateway, clients, link } = access;
    for (const [i, { address }] of clients.entries()) {
      for (const port of [500, 4500]) {
        link.translate(
          { address, port },
          { address: "198.51.100.1", port: 20_000 + 10 * i + (port === 500 ? 0 : 1) },
        );
      }
    }
    for (const client of clients) {
      client.connect();
      await link.settle();
    }
    expect(usersOf(access)).toEqual(["anna", "bert"]);
    expect(gateway.ikeSas.map(({ path }) => path.remote)).toEqual([
      { address: "198.51.100.1", port: 20_001 },
      { address: "198.51.100.1", port: 20_011 },
    ]);
    expect([...gateway.installed.values()].map(({ path }) => path.remote.port)).toEqual([20_001, 20_011]);
    expect(gateway.ikeSas.every(({ isPeerBehindNat }) => isPeerBehindNat)).toBe(true);
    // Each is heard and answered on its own way.
    for (const client of clients) {
      client.handle({ kind: "liveness", connection: "tunnel" });
      await link.settle();
      expect(client.event("peer-alive")).toBeDefined();
    }
  });

  test("one user's devices have an SA each, and two homes where the same address is given are two devices", async () => {
    const access = accessOf(3, [
      { user: "anna", id: "phone.example.org", address: "198.18.0.1" },
      { user: "anna", id: "laptop.example.org", address: "198.18.0.1" },
      { user: "anna", id: "192.168.1.7", address: "198.18.0.2" },
      { user: "anna", id: "192.168.1.7", address: "198.18.0.3" },
    ]);
    const { gateway, clients, link } = access;
    for (const client of [clients[1]!, clients[2]!, clients[3]!]) {
      client.connect();
      await link.settle();
    }
    expect(usersOf(access)).toHaveLength(3);
    expect(new Set(gateway.ikeSas.flatMap(({ internalAddresses }) => internalAddresses)).size).toBe(3);
  });

  test("a device that comes again takes the place of its former self, and has the same address", async () => {
    const access = accessOf(4, [
      { user: "anna", id: "phone.example.org", address: "198.18.0.1" },
      { user: "anna", id: "phone.example.org", address: "198.18.0.2" },
      { user: "bert", id: "phone.example.org", address: "198.18.0.3" },
    ]);
    const { gateway, clients, pools, link } = access;
    const [before, after, other] = clients;
    other!.connect();
    await link.settle();
    before!.connect();
    await link.settle();
    const [, first] = gateway.ikeSas;
    after!.connect();
    await link.settle();
    expect(usersOf(access)).toEqual(["bert", "anna"]);
    expect(gateway.ikeSas.at(-1)!.internalAddresses).toEqual(first!.internalAddresses);
    expect(pools.leaseCount).toBe(2);
    expect(before!.event("ike-sa-deleted")!.facts.reason).toBe("peer-deleted");
  });

  test("one that is disconnected by name goes, with all its devices, and no other", async () => {
    const access = accessOf(5, [
      { user: "anna", id: "phone.example.org", address: "198.18.0.1" },
      { user: "anna", id: "laptop.example.org", address: "198.18.0.2" },
      { user: "bert", id: "phone.example.org", address: "198.18.0.3" },
    ]);
    const { gateway, clients, pools, link } = access;
    for (const client of clients) {
      client.connect();
      await link.settle();
    }
    expect(gateway.endpoint.hasUser("anna")).toBe(true);
    gateway.handle({ kind: "terminate", connection: "gateway", user: "anna" });
    await link.settle();
    expect(usersOf(access)).toEqual(["bert"]);
    expect(gateway.endpoint.hasUser("anna")).toBe(false);
    expect(pools.leaseCount).toBe(1);
  });

  test("a user that comes as one device after the other keeps the newest ones", async () => {
    const devices = Array.from({ length: 6 }, (_, i) => ({
      user: "anna",
      id: `device${i}.example.org`,
      address: `198.18.0.${1 + i}`,
    }));
    const access = accessOf(6, devices, { accountIkeSaCount: 3 });
    for (const client of access.clients) {
      client.connect();
      await access.link.settle();
    }
    expect(usersOf(access)).toHaveLength(3);
    expect(access.gateway.ikeSas.map(({ remoteIdentity }) => remoteIdentity)).toEqual(
      devices.slice(3).map(({ id }) => id),
    );
    expect(access.pools.leaseCount).toBe(3);
  });

  test("the gateway leaves rekeying to its clients, and takes theirs", async () => {
    const access = accessOf(7, [{ user: "anna", id: "phone.example.org", address: "198.18.0.1" }]);
    const { gateway, clients, pools, link } = access;
    const [client] = clients;
    client!.connect();
    await link.settle();
    link.run({ until: link.now + 12 * HOUR });
    await link.settle();
    const rekeyed = (machine: SimulatedMachine) =>
      machine.events.filter(({ name }) => name === "child-sa-rekeyed" || name === "ike-sa-rekeyed").length;
    expect(rekeyed(client!)).toBeGreaterThan(10);
    expect(usersOf(access)).toEqual(["anna"]);
    expect([gateway.installed.size, pools.leaseCount]).toEqual([1, 1]);
    const begun = link.transmitted
      .filter(({ from }) => from === gateway)
      .map(({ octets }) => decodeHeader(octets))
      .filter(({ isResponse, exchangeType }) => !isResponse && exchangeType === ExchangeType.CREATE_CHILD_SA);
    expect(begun).toEqual([]);
    // However much it has carried.
    const [inboundSpi] = gateway.installed.keys();
    gateway.handle({ kind: "used-up", connection: "gateway", inboundSpi: inboundSpi!, limit: "soft" });
    expect(link.inFlight).toEqual([]);
  });

  test("what a client does not rekey in time ends: its child SA, then its IKE SA; who rekeys stays", async () => {
    const lifetimes = { clientLifetimes: { childMs: 2 * HOUR, ikeMs: 5 * HOUR } };
    const devices = [
      { user: "anna", id: "phone.example.org", address: "198.18.0.1", neverRekeys: true },
      { user: "bert", id: "phone.example.org", address: "198.18.0.2" },
    ];
    const access = accessOf(11, devices, { livenessMs: Number.POSITIVE_INFINITY }, lifetimes);
    const { gateway, clients, pools, link } = access;
    const [anna, bert] = clients as [SimulatedMachine, SimulatedMachine];
    for (const client of clients) {
      client.connect();
      await link.settle();
    }
    const begunAt = link.now;
    link.run({ until: begunAt + 1.99 * HOUR });
    expect(anna.childSas).toHaveLength(1);
    link.run({ until: begunAt + 2.01 * HOUR });
    // --> INFORMATIONAL { D(child SA) }
    expect([anna.state, anna.childSas.length, bert.childSas.length]).toEqual(["established", 0, 1]);
    expect(
      gateway.events.filter(({ level, name }) => name === "child-sa-deleted" && level === "info"),
    ).toEqual([expect.objectContaining({ message: "child SA lan deleted: its lifetime is over" })]);
    expect(pools.leaseCount).toBe(2);
    link.run({ until: begunAt + 5.01 * HOUR });
    // --> INFORMATIONAL { D(IKE SA) }
    expect(usersOf(access)).toEqual(["bert"]);
    expect(anna.event("ike-sa-deleted")!.facts.reason).toBe("peer-deleted");
    expect(gateway.event("ike-sa-deleted")!.message).toMatch(
      /its lifetime is over, and the client has not rekeyed it$/,
    );
    link.run({ until: begunAt + 12 * HOUR });
    expect([usersOf(access), gateway.installed.size, pools.leaseCount]).toEqual([["bert"], 1, 1]);
  });
});

const HOUR = 3_600_000;
