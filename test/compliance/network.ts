import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Network, Route, Rule } from "../../src/platform/network/network.ts";

/** A host with nothing but its loopback link and one link more, "wire0", which is still down. */
export interface NetworkBench {
  readonly network: Network;
  close(): void;
}

/** What every Network does. */
export function networkSuite(name: string, open: () => NetworkBench): void {
  describe(name, () => {
    let bench: NetworkBench;
    let network: Network;

    beforeEach(() => {
      bench = open();
      network = bench.network;
    });
    afterEach(() => bench.close());

    /** wire0 up with 10.0.0.1/24 and fd00::1/64. */
    function addressed(): void {
      network.setLinkUp("wire0");
      network.addAddress("wire0", "10.0.0.1/24");
      network.addAddress("wire0", "fd00::1/64");
    }

    function routesTo(destination: string): readonly Route[] {
      return network.routes().filter((route) => route.destination === destination);
    }

    function refusal(action: () => void): unknown {
      try {
        action();
      } catch (error) {
        return error;
      }
      return undefined;
    }

    test("finds links by name and knows whether they are up", () => {
      const wire = network.links().find((link) => link.name === "wire0");
      expect(wire).toMatchObject({ isUp: false, mtu: 1500 });
      expect(network.linkIndex("wire0")).toBe(wire?.index);
      expect(network.linkIndex("nowhere0")).toBeUndefined();
      network.setLinkUp("wire0", { mtu: 1400 });
      expect(network.links().find((link) => link.name === "wire0")).toMatchObject({ isUp: true, mtu: 1400 });
      network.setLinkUp("wire0", { queueLength: 77 });
      expect(network.links().find((link) => link.name === "wire0")).toMatchObject({
        isUp: true,
        mtu: 1400,
        queueLength: 77,
        group: 0,
      });
      network.setLinkUp("wire0", { group: 7_296 });
      expect(network.links().find((link) => link.name === "wire0")).toMatchObject({
        queueLength: 77,
        group: 7_296,
      });
    });

    test("adds and removes addresses, twice as well as once", () => {
      network.setLinkUp("wire0");
      for (const prefix of ["10.0.0.1/24", "10.0.0.1/24", "fd00::1/64", "fd00::1/64", "10.9.9.9/32"]) {
        network.addAddress("wire0", prefix);
      }
      const ours = () =>
        network.addresses().filter(({ link, address }) => link === "wire0" && !address.startsWith("fe80"));
      expect(ours()).toHaveLength(3);
      expect(ours()).toEqual(
        expect.arrayContaining([
          { link: "wire0", address: "10.0.0.1", prefixLength: 24 },
          { link: "wire0", address: "fd00::1", prefixLength: 64 },
          { link: "wire0", address: "10.9.9.9", prefixLength: 32 },
        ]),
      );
      for (const prefix of ["10.0.0.1/24", "10.0.0.1/24", "fd00::1/64", "fd00::1/64", "10.9.9.9/32"]) {
        network.removeAddress("wire0", prefix);
      }
      expect(ours()).toEqual([]);
    });

    test("an address brings the route to its prefix and takes it away", () => {
      addressed();
      expect(routesTo("10.0.0.0/24")).toEqual([
        { destination: "10.0.0.0/24", link: "wire0", source: "10.0.0.1" },
      ]);
      expect(routesTo("fd00::/64")).toEqual([{ destination: "fd00::/64", link: "wire0", metric: 256 }]);
      network.removeAddress("wire0", "10.0.0.1/24");
      network.removeAddress("wire0", "fd00::1/64");
      expect(routesTo("10.0.0.0/24")).toEqual([]);
      expect(routesTo("fd00::/64")).toEqual([]);
    });

    test.each<Route>([
      { destination: "10.2.0.0/16", link: "wire0" },
      { destination: "10.2.0.0/16", link: "wire0", source: "10.0.0.1" },
      { destination: "10.2.0.0/16", link: "wire0", gateway: "10.0.0.9" },
      { destination: "10.2.0.0/16", link: "wire0", metric: 5 },
      { destination: "10.2.0.0/16", link: "wire0", table: 220 },
      { destination: "10.2.3.4/32", link: "wire0", table: 100_000 },
      { destination: "0.0.0.0/0", link: "wire0", gateway: "10.0.0.9" },
      { destination: "fd02::/48", link: "wire0" },
      { destination: "fd02::/48", link: "wire0", source: "fd00::1", metric: 7 },
      { destination: "::/0", link: "wire0", gateway: "fd00::9", table: 220 },
    ])("lists a route as it was added and forgets it when removed, twice as well as once: %o", (route) => {
      addressed();
      network.addRoute(route);
      network.addRoute(route);
      expect(routesTo(route.destination)).toEqual([route]);
      network.removeRoute(route);
      network.removeRoute(route);
      expect(routesTo(route.destination)).toEqual([]);
    });

    test("says whether anything has changed since it was asked last", () => {
      expect(network.hasChanged()).toBe(false);
      addressed();
      expect(network.hasChanged()).toBe(true);
      network.addRoute({ destination: "10.2.0.0/16", link: "wire0" });
      expect(network.hasChanged()).toBe(true);
      network.removeAddress("wire0", "10.0.0.1/24");
      expect(network.hasChanged()).toBe(true);
    });

    test("clears the host bits of a destination", () => {
      addressed();
      network.addRoute({ destination: "10.2.3.4/16", link: "wire0" });
      expect(routesTo("10.2.0.0/16")).toHaveLength(1);
    });

    test("finds the link of a gateway by itself, twice as well as once", () => {
      addressed();
      const route = { destination: "10.2.0.0/16", gateway: "10.0.0.9" };
      network.addRoute(route);
      network.addRoute(route);
      expect(routesTo("10.2.0.0/16")).toEqual([{ ...route, link: "wire0" }]);
      network.removeRoute(route);
      expect(routesTo("10.2.0.0/16")).toEqual([]);
    });

    test("never replaces another route, and lives beside one of another metric", () => {
      addressed();
      network.addRoute({ destination: "10.2.0.0/16", link: "wire0", gateway: "10.0.0.9" });
      const other = { destination: "10.2.0.0/16", link: "wire0", source: "10.0.0.1" };
      expect(refusal(() => network.addRoute(other))).toMatchObject({
        name: "PlatformError",
        code: "EEXIST",
        message: expect.stringContaining("add route 10.2.0.0/16 dev wire0 src 10.0.0.1"),
      });
      network.addRoute({ ...other, metric: 9 });
      expect(routesTo("10.2.0.0/16")).toHaveLength(2);
    });

    test("leaves routes alone that it did not add", () => {
      addressed();
      network.removeRoute({ destination: "10.0.0.0/24", link: "wire0", source: "10.0.0.1" });
      expect(routesTo("10.0.0.0/24")).toHaveLength(1);
    });

    test.each<[string, Route, string]>([
      ["a link that is not there", { destination: "10.2.0.0/16", link: "nowhere0" }, "ENODEV"],
      [
        "a gateway that no route reaches",
        { destination: "10.2.0.0/16", gateway: "172.16.0.1" },
        "ENETUNREACH",
      ],
      [
        "a source that is not ours",
        { destination: "10.2.0.0/16", link: "wire0", source: "10.0.0.77" },
        "EINVAL",
      ],
    ])("names the route and the reason for %s", (_, route, code) => {
      addressed();
      expect(refusal(() => network.addRoute(route))).toMatchObject({
        name: "PlatformError",
        code,
        message: expect.stringContaining("add route 10.2.0.0/16"),
      });
    });

    test("refuses a route through a link that is down", () => {
      expect(refusal(() => network.addRoute({ destination: "10.2.0.0/16", link: "wire0" }))).toMatchObject({
        code: "ENETDOWN",
      });
    });

    test("refuses addresses and settings of a link that is not there", () => {
      expect(refusal(() => network.addAddress("nowhere0", "10.0.0.1/24"))).toMatchObject({ code: "ENODEV" });
      expect(refusal(() => network.setLinkUp("nowhere0"))).toMatchObject({ code: "ENODEV" });
      expect(refusal(() => network.removeAddress("nowhere0", "10.0.0.1/24"))).toBeUndefined();
    });

    test("a link takes its addresses and routes along, twice as well as once", () => {
      addressed();
      network.addRoute({ destination: "10.2.0.0/16", link: "wire0" });
      network.deleteLink("wire0");
      network.deleteLink("wire0");
      expect(network.linkIndex("wire0")).toBeUndefined();
      expect(network.addresses().filter(({ link }) => link === "wire0")).toEqual([]);
      expect(routesTo("10.2.0.0/16")).toEqual([]);
      network.removeRoute({ destination: "10.2.0.0/16", link: "wire0" });
    });

    test("says how a packet would leave and from which address", () => {
      addressed();
      network.addAddress("wire0", "10.5.0.1/32");
      network.addRoute({ destination: "10.2.0.0/16", link: "wire0", source: "10.5.0.1" });
      network.addRoute({ destination: "0.0.0.0/0", gateway: "10.0.0.9" });
      network.addRoute({ destination: "fd02::/48", link: "wire0", source: "fd00::1" });
      expect(network.lookUpRoute("10.0.0.7")).toEqual({ source: "10.0.0.1", link: "wire0" });
      expect(network.lookUpRoute("10.2.3.4")).toEqual({ source: "10.5.0.1", link: "wire0" });
      expect(network.lookUpRoute("198.51.100.1")).toEqual({
        source: "10.0.0.1",
        link: "wire0",
        gateway: "10.0.0.9",
      });
      expect(network.lookUpRoute("fd02::1")).toEqual({ source: "fd00::1", link: "wire0" });
      expect(network.lookUpRoute("10.0.0.1")).toEqual({ source: "10.0.0.1", link: "lo" });
      expect(network.lookUpRoute("2001:db8::1")).toBeUndefined();
    });

    test.each<Rule>([
      { family: 4, priority: 100, table: 220 },
      { family: 4, priority: 100, table: 220, mark: 0x8000_0001 },
      { family: 6, priority: 100, table: 100_000, mark: 7, isInverted: true },
      { family: 6, priority: 90, table: 254, suppressPrefixLength: 0 },
      { family: 4, priority: 80, table: 220, source: "10.1.0.0/16", destination: "10.2.0.0/16" },
      { family: 4, priority: 70, table: "prohibit", inLink: "wire0", destination: "10.2.0.0/16" },
      { family: 6, priority: 70, table: "prohibit", inLink: "gone0", source: "fd77::/64" },
      { family: 4, priority: 60, table: 254, source: "10.1.0.1/32", protocol: 6, sourcePort: 22 },
      { family: 6, priority: 60, table: 254, source: "fd77::1/128", protocol: 6, sourcePort: 50_022 },
    ])("lists a rule as it was added, in its place, and forgets it when removed: %o", (rule) => {
      const before = network.rules();
      network.addRule(rule);
      network.addRule(rule);
      expect(network.rules()).toHaveLength(before.length + 1);
      expect(network.rules()).toContainEqual(rule);
      network.removeRule(rule);
      network.removeRule(rule);
      expect(network.rules()).toEqual(before);
    });
  });
}
