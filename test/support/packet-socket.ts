import {
  AF_PACKET,
  ETH_P_ALL,
  MSG_DONTWAIT,
  SOCK_CLOEXEC,
  SOCK_RAW,
  SOL_PACKET,
} from "../../src/platform/system-calls/constants.ts";
import { Errno, succeed } from "../../src/platform/system-calls/errno.ts";
import { SOCKADDR_LL_SIZE } from "../../src/platform/system-calls/structures.ts";
import type { SystemCalls } from "../../src/platform/system-calls/system-calls.ts";

const PACKET_IGNORE_OUTGOING = 23;

/** A raw socket on a link: sends as the host's stack would, sees what arrives. */
export interface PacketSocket {
  send(packet: Uint8Array): void;
  /** What arrived since the last call. */
  drain(): Uint8Array[];
  close(): void;
}

export function openPacketSocket(systemCalls: SystemCalls, link: number): PacketSocket {
  const descriptor = succeed("packet socket", systemCalls.socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  const address = new Uint8Array(SOCKADDR_LL_SIZE);
  const view = new DataView(address.buffer);
  view.setUint16(0, AF_PACKET, true);
  view.setUint16(2, ETH_P_ALL);
  view.setInt32(4, link, true);
  const one = Uint8Array.of(1, 0, 0, 0);
  succeed("ignore outgoing", systemCalls.setsockopt(descriptor, SOL_PACKET, PACKET_IGNORE_OUTGOING, one));
  succeed("bind a packet socket", systemCalls.bind(descriptor, address));

  const room = new Uint8Array(65_536);
  return {
    // A full queue of the device is ENOBUFS, which the stack above does not notice either.
    send: (packet) => void systemCalls.send(descriptor, packet, 0),
    drain: () => {
      const packets: Uint8Array[] = [];
      for (;;) {
        const length = systemCalls.recv(descriptor, room, MSG_DONTWAIT);
        if (length > 0) packets.push(room.slice(0, length));
        else if (length !== -Errno.ENETDOWN) break; // told once after the link went down
      }
      return packets;
    },
    close: () => void systemCalls.close(descriptor),
  };
}
