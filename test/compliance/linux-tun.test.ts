import { writeFileSync } from "node:fs";
import { describe } from "vitest";
import { LinuxNetwork } from "../../src/platform/network/linux-network.ts";
import { createLinuxSystemCalls } from "../../src/platform/system-calls/linux-system-calls.ts";
import { LinuxTun, openTun } from "../../src/platform/tun/linux-tun.ts";
import { enterFreshNamespace, requireRoot } from "../support/namespace.ts";
import { openPacketSocket } from "../support/packet-socket.ts";
import { sharedMemory } from "../support/shared-memory.ts";
import { tunSuite } from "./tun.ts";

const mayRun = requireRoot("TUN devices of the kernel");

describe.skipIf(!mayRun)("in a fresh network namespace", () => {
  if (!mayRun) return;
  enterFreshNamespace();
  const memory = sharedMemory();
  const systemCalls = createLinuxSystemCalls(memory);
  const network = new LinuxNetwork(systemCalls);

  tunSuite("a TUN device of the kernel", ({ mtu, offloads }) => {
    const opened = openTun(systemCalls, { name: "test%d", mtu, offloads });
    const tun = new LinuxTun(systemCalls, opened, 1);
    // Otherwise the kernel's own router solicitations come out of the device.
    writeFileSync(`/proc/sys/net/ipv6/conf/${tun.name}/disable_ipv6`, "1");
    network.setLinkUp(tun.name);
    const stack = openPacketSocket(systemCalls, network.linkIndex(tun.name)!);
    return {
      tun,
      memory,
      inject: stack.send,
      drain: stack.drain,
      setUp: (isUp) => (isUp ? network.setLinkUp(tun.name) : network.setLinkDown(tun.name)),
      destroy: () => network.deleteLink(tun.name),
      close: () => {
        stack.close();
        tun.close();
      },
    };
  });
});
