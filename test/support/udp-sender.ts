import type { SocketAddress } from "../../src/platform/address.ts";
import { encodeSocketAddress } from "../../src/platform/socket-address.ts";
import { succeed } from "../../src/platform/system-calls/errno.ts";
import { createLinuxSystemCalls } from "../../src/platform/system-calls/linux-system-calls.ts";
import { openUdpSocket } from "../../src/platform/udp/open-udp-socket.ts";
import type { TestHost } from "./namespace.ts";

/** Sends datagrams from a test host to one place. */
export interface UdpSender {
  /** What the socket does not take at once is lost, as on any other network. */
  send(octets: Uint8Array): void;
  close(): void;
}

export function openUdpSender(host: TestHost, address: string, to: SocketAddress): UdpSender {
  return host.inside(() => {
    const systemCalls = createLinuxSystemCalls();
    const { descriptor } = openUdpSocket(systemCalls, { address, port: 0 });
    succeed(`connect to ${to.address}`, systemCalls.connect(descriptor, encodeSocketAddress(to)));
    return {
      send: (octets) => void systemCalls.send(descriptor, octets, 0),
      close: () => void systemCalls.close(descriptor),
    };
  });
}
