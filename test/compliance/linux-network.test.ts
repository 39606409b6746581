import { describe, expect, test } from "vitest";
import { LinuxNetwork } from "../../src/platform/network/linux-network.ts";
import type { RoutedPacket } from "../../src/platform/network/network.ts";
import { createLinuxSystemCalls } from "../../src/platform/system-calls/linux-system-calls.ts";
import { enterFreshNamespace, requireRoot } from "../support/namespace.ts";
import { networkSuite } from "./network.ts";

const mayRun = requireRoot("the network of the kernel");

describe.skipIf(!mayRun)("in a fresh network namespace", () => {
  if (!mayRun) return;
  enterFreshNamespace();

  networkSuite("the network of the kernel", () => {
    const network = new LinuxNetwork(createLinuxSystemCalls());
    network.setLinkUp("lo");
    // The other end is up, as a cable that is plugged in.
    network.createVethPair({ name: "wire0" }, { name: "wire1" });
    network.setLinkUp("wire1");
    return {
      network,
      close: () => {
        network.deleteLink("wire1");
        network.close();
      },
    };
  });

  test("a link that is told to withhold its link-local address comes up without one", () => {
    const network = new LinuxNetwork(createLinuxSystemCalls());
    network.createVethPair({ name: "quiet0" }, { name: "loud0" });
    network.withholdLinkLocal("quiet0");
    network.setLinkUp("quiet0");
    network.setLinkUp("loud0");
    const named = (name: string) => network.addresses().filter(({ link }) => link === name);
    expect(named("quiet0")).toEqual([]);
    expect(named("loud0")).toHaveLength(1);
    network.deleteLink("loud0");
    network.close();
  });

  test("how a packet would leave may depend on where it comes from, and on its port", () => {
    const network = new LinuxNetwork(createLinuxSystemCalls());
    network.createVethPair({ name: "wire0" }, { name: "wire1" });
    for (const link of ["wire0", "wire1"]) network.setLinkUp(link);
    for (const [family, source, other, peer, inside] of [
      [4, "10.0.0.1", "10.0.0.2", "203.0.113.5", "10.1.0.1"],
      [6, "fd00::1", "fd00::2", "2001:db8::5", "fd01::1"],
    ] as const) {
      const [everything, length] = family === 4 ? ["0.0.0.0/0", 32] : ["::/0", 128];
      network.addAddress("wire0", `${source}/${family === 4 ? 24 : 64}`);
      network.addAddress("wire0", `${other}/${family === 4 ? 24 : 64}`);
      network.addAddress("wire1", `${inside}/${length}`);
      network.addRoute({ destination: everything, link: "wire0", table: 220 });
      network.addRoute({ destination: everything, link: "wire1", source: inside });
      const rule = { family, priority: 100, table: 220, protocol: 6, sourcePort: 2222 } as const;
      network.addRule({ ...rule, source: `${source}/${length}` });
      const wayOf = (packet: RoutedPacket) => network.lookUpRoute(peer, packet)?.link;
      const packet = { source, protocol: 6, sourcePort: 2222 };
      expect(network.lookUpRoute(peer)).toEqual({ source: inside, link: "wire1" });
      expect(network.lookUpRoute(peer, packet)).toEqual({ source, link: "wire0" });
      expect(wayOf({ ...packet, sourcePort: 2223 })).toBe("wire1");
      expect(wayOf({ ...packet, protocol: 17 })).toBe("wire1");
      expect(wayOf({ ...packet, source: other })).toBe("wire1");
      network.removeRule({ ...rule, source: `${source}/${length}` });
    }
    network.deleteLink("wire1");
    network.close();
  });
});
