const ETHERNET_LENGTH = 14;
const IPV4_LENGTH = 20;
const UDP_LENGTH = 8;
const HEADERS_LENGTH = ETHERNET_LENGTH + IPV4_LENGTH + UDP_LENGTH;

/** The datagram in an Ethernet frame that holds IPv4 without options, and UDP. */
export function udpPayloadOf(frame: Uint8Array): Uint8Array {
  const length =
    ((frame[ETHERNET_LENGTH + 2]! << 8) | frame[ETHERNET_LENGTH + 3]!) - IPV4_LENGTH - UDP_LENGTH;
  return frame.slice(HEADERS_LENGTH, HEADERS_LENGTH + length);
}

/** The same datagram from another IPv4 address and port. */
export function fromElsewhere(
  frame: Uint8Array,
  { address, port }: { readonly address: string; readonly port: number },
): Uint8Array {
  const moved = frame.slice();
  moved.set(address.split(".").map(Number), ETHERNET_LENGTH + 12);
  new DataView(moved.buffer).setUint16(ETHERNET_LENGTH + IPV4_LENGTH, port);
  // With the checksums made anew.
  return withUdpPayload(moved, udpPayloadOf(moved));
}

/** The same frame with another datagram in it: addresses and ports stay, as a forger on the path would have it. */
export function withUdpPayload(frame: Uint8Array, payload: Uint8Array): Uint8Array {
  const forged = new Uint8Array(HEADERS_LENGTH + payload.length);
  forged.set(frame.subarray(0, HEADERS_LENGTH));
  forged.set(payload, HEADERS_LENGTH);
  const view = new DataView(forged.buffer);
  view.setUint16(ETHERNET_LENGTH + 2, IPV4_LENGTH + UDP_LENGTH + payload.length);
  view.setUint16(ETHERNET_LENGTH + 10, 0);
  view.setUint16(
    ETHERNET_LENGTH + 10,
    checksum(forged.subarray(ETHERNET_LENGTH, ETHERNET_LENGTH + IPV4_LENGTH)),
  );
  const udp = ETHERNET_LENGTH + IPV4_LENGTH;
  view.setUint16(udp + 4, UDP_LENGTH + payload.length);
  view.setUint16(udp + 6, 0); // over IPv4 a datagram may go without a checksum
  return forged;
}

/** The Internet checksum of RFC 1071 over an even number of octets. */
function checksum(octets: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < octets.length; at += 2) sum += (octets[at]! << 8) | octets[at + 1]!;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
