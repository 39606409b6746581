import { describe, expect, test } from "vitest";
import { LinuxNetwork } from "../../src/platform/network/linux-network.ts";
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
});
