import { isDeepStrictEqual } from "node:util";
import { describe, expect, test } from "vitest";
import { TunnelRoutes } from "../../src/engine/routes.ts";
import { MemoryNetwork } from "../../src/platform/network/memory-network.ts";
import type { ConnectionPolicy } from "../../src/policy/connection.ts";
import { parseIdentity } from "../../src/policy/identity.ts";
import { selectorsFromPrefixes } from "../../src/policy/traffic-selectors.ts";

describe("routes into the tunnel", () => {
  test("that cover the peer itself stand in a table that our own packets do not look into", () => {
    const { network, routes } = host();
    const before = { routes: network.routes(), rules: network.rules() };
    routes.replace([connection(["10.2.0.0/16", "192.0.2.0/28"])]);
    expect(inside(network)).toEqual(["10.2.0.0/16 main", "192.0.2.0/28 7296028"]);
    expect(
      network.rules().filter((rule) => !before.rules.some((old) => isDeepStrictEqual(old, rule))),
    ).toEqual([
      { family: 4, priority: 7496, table: 254, suppressPrefixLength: 28 },
      { family: 4, priority: 7497, table: 7296028, mark: 0x696b6562, isInverted: true },
    ]);
    routes.replace([connection(["10.2.0.0/16", "2001:db8::/112"], "2001:db8::2")]);
    expect(inside(network)).toEqual(["10.2.0.0/16 main", "2001:db8::/112 7296112"]);
    expect(network.rules().filter(({ mark }) => mark !== undefined)).toEqual([
      { family: 6, priority: 7329, table: 7296112, mark: 0x696b6562, isInverted: true },
    ]);
    routes.removeAll();
    expect({ routes: network.routes(), rules: network.rules() }).toEqual(before);
  });

  test("need no table where a longer route leads to the peer outside of the tunnel, or we do not know its address", () => {
    const { network, routes } = host();
    routes.replace([connection(["192.0.0.0/16"])]); // 192.0.2.0/24 is connected
    expect(inside(network)).toEqual(["192.0.0.0/16 main"]);
    routes.replace([connection(["192.0.2.0/28"], ANY)]);
    expect(inside(network)).toEqual(["192.0.2.0/28 main"]);
    network.addRoute({ destination: "192.0.2.2/32", link: "eth0" });
    routes.replace([connection(["192.0.2.0/28"])]);
    expect(inside(network)).toEqual(["192.0.2.0/28 main"]);
  });

  test("for everything stand beside the default route that is there", () => {
    const { network, routes } = host();
    network.addRoute({ destination: "0.0.0.0/0", gateway: "192.0.2.254", link: "eth0" });
    routes.replace([connection(["0.0.0.0/0", "::/0"])]);
    expect(inside(network)).toEqual(["0.0.0.0/0 7296000", "::/0 7296000"]);
    expect(network.routes()).toContainEqual(expect.objectContaining({ gateway: "192.0.2.254" }));
  });

  test("move when a peer becomes known, and are there all the time", () => {
    const { network, routes } = host();
    routes.replace([connection(["192.0.2.0/28"], ANY)]);
    routes.replace([connection(["192.0.2.0/28"])]);
    expect(inside(network)).toEqual(["192.0.2.0/28 7296028"]);
    routes.replace([connection(["192.0.2.0/28"], ANY)]);
    expect(inside(network)).toEqual(["192.0.2.0/28 main"]);
    expect(network.rules().some(({ mark }) => mark !== undefined)).toBe(false);
  });

  test("leave the rules that another daemon's routes need, or its packets would leave in clear", () => {
    const { network, routes } = host();
    const before = network.rules();
    routes.replace([connection(["192.0.2.2/32", "192.0.2.128/25"])]);
    routes.replace([connection(["192.0.2.2/32"])]);
    const needed = network.rules();
    network.addLink("ikebana1");
    network.setLinkUp("ikebana1");
    const others = new TunnelRoutes(network, "ikebana1");
    others.replace([connection(["192.0.2.3/32"], "192.0.2.3")]);
    routes.replace([]);
    expect(network.rules()).toEqual(needed);
    routes.removeAll();
    expect(network.rules()).toEqual(needed);
    others.removeAll();
    expect(network.rules()).toEqual(before);
  });

  test("begin without the rules that a daemon left which was killed", () => {
    const { network, routes } = host();
    const before = network.rules();
    routes.replace([connection(["192.0.2.0/28"])]);
    network.deleteLink("ikebana0"); // its routes go with it
    network.addLink("ikebana0");
    expect(network.rules()).not.toEqual(before);
    new TunnelRoutes(network, "ikebana0");
    expect(network.rules()).toEqual(before);
  });
});

/** Routes into the tunnel, each with its table. */
function inside(network: MemoryNetwork): string[] {
  return network
    .routes()
    .filter(({ link }) => link === "ikebana0")
    .map(({ destination, table }) => `${destination} ${table ?? "main"}`)
    .sort();
}

/** A peer whose address we do not know. */
const ANY = "any";

function host(): { readonly network: MemoryNetwork; readonly routes: TunnelRoutes } {
  const network = new MemoryNetwork();
  for (const link of ["eth0", "ikebana0"]) {
    network.addLink(link);
    network.setLinkUp(link);
  }
  network.addAddress("eth0", "192.0.2.1/24");
  network.addAddress("eth0", "2001:db8::1/64");
  return { network, routes: new TunnelRoutes(network, "ikebana0") };
}

function connection(
  remote: readonly string[],
  address = "192.0.2.2",
  local: readonly string[] = ["10.1.0.0/16"],
): ConnectionPolicy {
  const presharedKey = { kind: "psk", key: new Uint8Array(16) } as const;
  return {
    name: "office",
    start: "respond",
    local: { address: undefined, identity: parseIdentity("a.example.org"), authentication: presharedKey },
    remote: {
      address: address === ANY ? undefined : address,
      port: 500,
      identity: parseIdentity("b.example.org"),
      authentication: [presharedKey],
    },
    ikeProposals: [],
    children: [
      {
        name: "lan",
        local: selectorsFromPrefixes(local),
        remote: selectorsFromPrefixes(remote),
        espProposals: [],
        replayWindowPackets: 64,
      },
    ],
  };
}

describe("when the connections change", () => {
  test("a route that is refused leaves everything as it was", () => {
    const { network, routes } = host();
    routes.replace([connection(["10.2.0.0/16"])]);
    network.addRoute({ destination: "10.4.0.0/16", link: "eth0" });
    const before = network.routes();
    expect(() => routes.replace([connection(["10.3.0.0/16", "10.4.0.0/16"])])).toThrow(/10\.4\.0\.0\/16/);
    expect(network.routes()).toEqual(before);
  });

  test("a destination is led into the tunnel at every moment, also while its source changes", () => {
    const { network, routes } = host();
    network.addAddress("eth0", "10.1.0.1/32");
    network.addAddress("eth0", "10.1.0.2/32");
    routes.replace([connection(["10.2.0.0/16"], ANY, ["10.1.0.1/32"])]);
    const leads = (): boolean => network.routes().some(({ destination }) => destination === "10.2.0.0/16");
    const gaps: string[] = [];
    for (const verb of ["addRoute", "removeRoute"] as const) {
      const original = network[verb].bind(network);
      network[verb] = (route) => {
        original(route);
        if (!leads()) gaps.push(verb);
      };
    }
    routes.replace([connection(["10.2.0.0/16"], ANY, ["10.1.0.2/32"])]);
    expect(gaps).toEqual([]);
    const standing = network.routes().filter(({ destination }) => destination === "10.2.0.0/16");
    expect(standing).toEqual([expect.objectContaining({ source: "10.1.0.2" })]);
  });

  test("no route starts from a loopback or link-local address", () => {
    const { network, routes } = host();
    network.addAddress("lo", "127.0.0.1/8");
    network.addAddress("eth0", "fe80::1/64");
    routes.replace([connection(["10.2.0.0/16", "fd02::/64"], ANY, ["127.0.0.0/8", "::/0"])]);
    const inside = network.routes().filter(({ destination }) => /^(10\.2|fd02)/.test(destination));
    expect(inside.map(({ source }) => source)).not.toContain("127.0.0.1");
    expect(inside.map(({ source }) => source)).not.toContain("fe80::1");
  });
});
