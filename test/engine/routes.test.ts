import { describe, expect, test } from "vitest";
import { TunnelRoutes } from "../../src/engine/routes.ts";
import { MemoryNetwork } from "../../src/platform/network/memory-network.ts";
import type { ConnectionPolicy } from "../../src/policy/connection.ts";
import { parseIdentity } from "../../src/policy/identity.ts";
import { selectorsFromPrefixes } from "../../src/policy/traffic-selectors.ts";

describe("routes into the tunnel", () => {
  test("must not lead to the peer itself: the connection, its selector's route and the address are named", () => {
    const { routes } = host();
    expect(routes.faultOf([connection(["10.2.0.0/16", "192.0.2.0/28"])])).toBe(
      "connection office: a remote selector covers 192.0.2.2, the peer's own address, and its route 192.0.2.0/28 " +
        "would lead the tunnel's packets into the tunnel; leave the address out, or give it a route of its own",
    );
    expect(routes.faultOf([connection(["2001:db8::/112"], "2001:db8::2")])).toContain(
      "covers 2001:db8::2, the peer's own address, and its route 2001:db8::/112",
    );
  });

  test("may cover the peer where a longer route leads to it outside of the tunnel", () => {
    const { network, routes } = host();
    expect(routes.faultOf([connection(["192.0.0.0/16"])])).toBeUndefined(); // 192.0.2.0/24 is connected
    expect(routes.faultOf([connection(["0.0.0.0/0"])])).toBeUndefined();
    network.addRoute({ destination: "192.0.2.2/32", link: "eth0" });
    expect(routes.faultOf([connection(["192.0.2.0/28"])])).toBeUndefined();
  });

  test("are no reason for doubt when they lead elsewhere, or when we do not know the peer's address", () => {
    const { routes } = host();
    expect(routes.faultOf([connection(["10.2.0.0/16", "fd02::/64"])])).toBeUndefined();
    expect(routes.faultOf([connection(["192.0.2.0/28"], ANY)])).toBeUndefined();
  });

  test("that stand already do not count as a way outside", () => {
    const { routes } = host();
    routes.replace([connection(["192.0.2.0/28"], ANY)]);
    expect(routes.faultOf([connection(["192.0.2.0/28"])])).toContain("covers 192.0.2.2");
  });
});

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
  return {
    name: "office",
    start: "respond",
    local: { address: undefined, identity: parseIdentity("a.example.org") },
    remote: {
      address: address === ANY ? undefined : address,
      port: 500,
      identity: parseIdentity("b.example.org"),
    },
    presharedKey: new Uint8Array(16),
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
