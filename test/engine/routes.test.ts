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
    expect(routes.faultOf([connection(["192.0.2.0/28"], undefined)])).toBeUndefined();
  });

  test("that stand already do not count as a way outside", () => {
    const { routes } = host();
    routes.replace([connection(["192.0.2.0/28"], undefined)]);
    expect(routes.faultOf([connection(["192.0.2.0/28"])])).toContain("covers 192.0.2.2");
  });
});

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
  ...address: readonly (string | undefined)[]
): ConnectionPolicy {
  return {
    name: "office",
    start: "respond",
    local: { address: undefined, identity: parseIdentity("a.example.org") },
    remote: {
      address: address.length === 0 ? "192.0.2.2" : address[0],
      port: 500,
      identity: parseIdentity("b.example.org"),
    },
    presharedKey: new Uint8Array(16),
    ikeProposals: [],
    children: [
      {
        name: "lan",
        local: selectorsFromPrefixes(["10.1.0.0/16"]),
        remote: selectorsFromPrefixes(remote),
        espProposals: [],
        replayWindowPackets: 64,
      },
    ],
  };
}
