import { MemoryWire } from "../../src/platform/udp/memory-udp.ts";
import { sharedMemory } from "../support/shared-memory.ts";
import { udpSuite } from "./udp.ts";

const memory = sharedMemory();

udpSuite("UDP sockets in memory", (family, offloads) => {
  const wire = new MemoryWire();
  const leftAddresses =
    family === 4 ? (["192.0.2.1", "192.0.2.2"] as const) : (["2001:db8::1", "2001:db8::2"] as const);
  const rightAddress = family === 4 ? "192.0.2.3" : "2001:db8::3";
  const leftHost = wire.host(leftAddresses);
  const left = leftHost.openUdpSocket(memory, { family, port: 4500, worker: 1, offloads });
  const right = wire.host([rightAddress]).openUdpSocket(memory, { family, port: 4500, worker: 2, offloads });
  return {
    memory,
    left,
    leftAddresses,
    leftSender: leftHost,
    right,
    rightAddress,
    setLinkMtu: (mtu) => {
      wire.linkMtu = mtu;
    },
    pathMtu: () => left.pathMtu(rightAddress),
    close: () => {
      left.close();
      right.close();
    },
  };
});
