import { AF_INET, SOCK_CLOEXEC, SOCK_DGRAM } from "../../platform/system-calls/constants.ts";
import { succeed } from "../../platform/system-calls/errno.ts";
import { createLinuxSystemCalls } from "../../platform/system-calls/linux-system-calls.ts";

/** Questions of the ethtool interface, each answered by 0 or 1. */
const QUESTIONS = { TSO: 0x1e, GSO: 0x23, GRO: 0x2b } as const;
const SIOCETHTOOL = 0x8946;
const NAME_LENGTH = 16;
const REQUEST_LENGTH = 40;

/**
 * What a link of the thread's network namespace leaves for later or takes from others in one piece: "TSO, GSO, GRO". A link that takes TCP in super-packets
 * (TSO) saves its tunnel most of the system calls. "none" where there is nothing of it.
 */
export function linkOffloads(link: string): string {
  const systemCalls = createLinuxSystemCalls({ buffer: new SharedArrayBuffer(8) });
  const value = new DataView(systemCalls.memory.buffer);
  const socket = succeed(
    "open a socket to ask links",
    systemCalls.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0),
  );
  try {
    const offers = Object.entries(QUESTIONS).filter(([, question]) => {
      // struct ethtool_value: command and answer.
      value.setUint32(0, question, true);
      value.setUint32(4, 0, true);
      return (
        systemCalls.ioctl(socket, SIOCETHTOOL, requestFor(link, systemCalls.base)) >= 0 &&
        value.getUint32(4, true) !== 0
      );
    });
    return offers.length === 0 ? "none" : offers.map(([name]) => name).join(", ");
  } finally {
    systemCalls.close(socket);
  }
}

/** struct ifreq: the link's name, and where the question is. */
function requestFor(link: string, address: number): Uint8Array {
  const request = new Uint8Array(REQUEST_LENGTH);
  new TextEncoder().encodeInto(link, request.subarray(0, NAME_LENGTH - 1));
  new DataView(request.buffer).setBigUint64(NAME_LENGTH, BigInt(address), true);
  return request;
}
