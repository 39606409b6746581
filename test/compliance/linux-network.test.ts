import { describe } from "vitest";
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
});
