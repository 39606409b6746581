import { describe } from "vitest";
import { LinuxNetwork } from "../../src/platform/network/linux-network.ts";
import { createLinuxSystemCalls } from "../../src/platform/system-calls/linux-system-calls.ts";
import { LinuxDatagramSender } from "../../src/platform/udp/linux-datagram-sender.ts";
import { LinuxUdpSocket } from "../../src/platform/udp/linux-udp-socket.ts";
import { openUdpSocket } from "../../src/platform/udp/open-udp-socket.ts";
import { PathMtuReader } from "../../src/platform/udp/path-mtu-reader.ts";
import { enterFreshNamespace, raiseLoopback, requireRoot } from "../support/namespace.ts";
import { sharedMemory } from "../support/shared-memory.ts";
import { udpSuite } from "./udp.ts";

const mayRun = requireRoot("UDP sockets of the kernel");

describe.skipIf(!mayRun)("in a fresh network namespace", () => {
  if (!mayRun) return;
  enterFreshNamespace();
  raiseLoopback(["::2/128", "::3/128"]);
  const memory = sharedMemory();
  const systemCalls = createLinuxSystemCalls(memory);
  const setLoopbackMtu = (mtu: number): void => {
    const network = new LinuxNetwork(systemCalls);
    network.setLinkUp("lo", { mtu });
    network.close();
  };

  udpSuite("UDP sockets of the kernel", (family, offloads) => {
    const leftAddresses = family === 4 ? (["127.0.0.1", "127.0.0.2"] as const) : (["::1", "::2"] as const);
    const rightAddress = family === 4 ? "127.0.0.3" : "::3";
    const any = family === 4 ? "0.0.0.0" : "::";
    const leftSocket = openUdpSocket(systemCalls, {
      address: any,
      port: 500,
      offloads,
      setsDontFragment: true,
    });
    const rightSocket = openUdpSocket(systemCalls, { address: any, port: 4500, offloads });
    const left = new LinuxUdpSocket(systemCalls, { ...leftSocket, worker: 1, index: 0 });
    const right = new LinuxUdpSocket(systemCalls, { ...rightSocket, worker: 2, index: 5 });
    const pathMtus = new PathMtuReader(systemCalls);
    return {
      memory,
      left,
      leftAddresses,
      leftSender: new LinuxDatagramSender(systemCalls, [leftSocket]),
      right,
      rightAddress,
      setLinkMtu: (mtu) => setLoopbackMtu(mtu),
      pathMtu: () =>
        pathMtus.read({
          local: { address: leftAddresses[1], port: 500 },
          remote: { address: rightAddress, port: 4500 },
        }),
      close: () => {
        setLoopbackMtu(65_536);
        pathMtus.close();
        left.close();
        right.close();
      },
    };
  });
});
