/** Whether an Ethernet frame with IPv4 is of TCP, from or to a port. */
export function isTcpOn(frame: Uint8Array, port: number): boolean {
  const at = 14 + 4 * (frame[14]! & 0xf);
  const portAt = (offset: number): number => (frame[at + offset]! << 8) | frame[at + offset + 1]!;
  return frame[12] === 8 && frame[13] === 0 && frame[23] === 6 && [portAt(0), portAt(2)].includes(port);
}
