import { parseAddress } from "../../src/bytes/ip-address.ts";

export interface InnerPacketFacts {
  readonly source: string;
  readonly destination: string;
  /** Default UDP. */
  readonly protocol?: number;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  /** Octets behind the IP header, ports included. */
  readonly payload?: Uint8Array;
  /** In units of 8 octets. */
  readonly fragmentOffset?: number;
  /** IPv6 extension headers as protocol numbers. */
  readonly extensionHeaders?: readonly number[];
}

/** An IPv4 or IPv6 packet, checksums left at zero: nobody here looks at them. */
export function innerPacket(facts: InnerPacketFacts): Uint8Array {
  const source = parseAddress(facts.source)!;
  const destination = parseAddress(facts.destination)!;
  const payload = facts.payload?.slice() ?? new Uint8Array(8);
  const view = new DataView(payload.buffer);
  if (facts.sourcePort !== undefined) view.setUint16(0, facts.sourcePort);
  if (facts.destinationPort !== undefined) view.setUint16(2, facts.destinationPort);
  const protocol = facts.protocol ?? 17;
  return source.length === 4
    ? ipv4({ source, destination, protocol, payload, fragmentOffset: facts.fragmentOffset ?? 0 })
    : ipv6({
        source,
        destination,
        protocol,
        payload,
        extensionHeaders: facts.extensionHeaders ?? [],
        fragmentOffset: facts.fragmentOffset ?? 0,
      });
}

interface Parts {
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly protocol: number;
  readonly payload: Uint8Array;
  readonly fragmentOffset: number;
}

function ipv4({ source, destination, protocol, payload, fragmentOffset }: Parts): Uint8Array {
  const packet = new Uint8Array(20 + payload.length);
  const view = new DataView(packet.buffer);
  packet[0] = 0x45;
  view.setUint16(2, packet.length);
  view.setUint16(6, fragmentOffset);
  packet[8] = 64;
  packet[9] = protocol;
  packet.set(source, 12);
  packet.set(destination, 16);
  packet.set(payload, 20);
  return packet;
}

function ipv6({
  source,
  destination,
  protocol,
  payload,
  fragmentOffset,
  extensionHeaders,
}: Parts & { readonly extensionHeaders: readonly number[] }): Uint8Array {
  const chain = [...extensionHeaders, protocol];
  const headers = extensionHeaders.map((kind, i) => {
    // AH of 12 octets and the others of 8: the shortest of each.
    const header = new Uint8Array(kind === 51 ? 12 : 8);
    header[0] = chain[i + 1]!;
    if (kind === 51) header[1] = 1;
    if (kind === 44) new DataView(header.buffer).setUint16(2, fragmentOffset << 3);
    return header;
  });
  const body = Buffer.concat([...headers, payload]);
  const packet = new Uint8Array(40 + body.length);
  packet[0] = 0x60;
  new DataView(packet.buffer).setUint16(4, body.length);
  packet[6] = chain[0]!;
  packet[7] = 64;
  packet.set(source, 8);
  packet.set(destination, 24);
  packet.set(body, 40);
  return packet;
}
