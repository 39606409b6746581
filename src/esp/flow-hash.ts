import { IpProtocol } from "../iana/ip-protocols.ts";

/**
 * Which flow an inner packet belongs to: a number from its addresses, its protocol and, for TCP, UDP and their like, its ports. Equal for
 * all packets of a flow; who does not know `seed` cannot find flows that share a number. Whatever lies at `address` gets some number.
 *
 * `halfWords` views the memory; `address` is even, as behind a virtio_net_hdr.
 */
export function flowHash(halfWords: Uint16Array, address: number, seed: number): number {
  const at = address >>> 1;
  const first = halfWords[at]! & 0xff;
  let hash = seed;
  let from: number;
  let to: number;
  let ports: number;
  let protocol: number;
  if (first >>> 4 === 4) {
    protocol = halfWords[at + 4]! >>> 8;
    from = at + 6;
    to = at + 10;
    // Pieces of a fragmented packet have no ports but in the first, and belong together.
    const isFragment = (halfWords[at + 3]! & 0xff3f) !== 0;
    ports = isFragment ? 0 : at + (first & 15) * 2;
  } else {
    // Behind extension headers the ports are not looked for: such packets of two hosts are one flow.
    protocol = halfWords[at + 3]! & 0xff;
    from = at + 4;
    to = at + 20;
    ports = to;
  }
  for (let i = from; i < to; i++) hash = mix(hash, halfWords[i]!);
  hash = mix(hash, protocol);
  if (ports !== 0 && (protocol === IpProtocol.TCP || protocol === IpProtocol.UDP)) {
    hash = mix(mix(hash, halfWords[ports]!), halfWords[ports + 1]!);
  }
  return (hash ^ (hash >>> 15)) >>> 0;
}

function mix(hash: number, halfWord: number): number {
  const mixed = Math.imul(hash ^ halfWord, 0x9e37_79b1);
  return mixed ^ (mixed >>> 16);
}
