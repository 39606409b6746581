import { formatAddress } from "../bytes/ip-address.ts";
import { IpProtocol } from "../iana/ip-protocols.ts";
import { decodeEspHeader, ESP_HEADER_LENGTH } from "../wire/esp-header.ts";
import { classifyDatagram } from "../wire/udp-encapsulation.ts";

/**
 * What a frame on a tunnel's outer link is. "neighbors" is the link's own housekeeping: ARP, IPv6 neighbor and router
 * discovery, multicast listener reports. "in-tcp" is TCP on the port of NAT traversal, with IKE and ESP inside (RFC 9329). "fragment" is a later
 * piece of a datagram, and "other" all that has no business there.
 */
export type PacketKind =
  | "esp-in-udp"
  | "esp"
  | "ike"
  | "keepalive"
  | "in-tcp"
  | "neighbors"
  | "fragment"
  | "other";

export interface PacketDescription {
  readonly kind: PacketKind;
  /** Outer addresses of an IP packet. */
  readonly source?: string;
  readonly destination?: string;
  /** Of ESP. */
  readonly spi?: number;
  readonly sequenceNumber?: number;
}

const ETHERNET_HEADER_LENGTH = 14;
const UDP_HEADER_LENGTH = 8;
const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_ARP = 0x0806;
const ETHERTYPE_IPV6 = 0x86dd;
const IKE_PORT = 500;
const NAT_TRAVERSAL_PORT = 4500;

/** Says what an Ethernet frame is. The frame may be cut off after its headers; what cannot be read is "other". */
export function describeFrame(
  frame: Uint8Array,
  ports: { readonly ike: number; readonly natTraversal: number } = {
    ike: IKE_PORT,
    natTraversal: NAT_TRAVERSAL_PORT,
  },
): PacketDescription {
  if (frame.length < ETHERNET_HEADER_LENGTH) return { kind: "other" };
  const etherType = u16(frame, 12);
  if (etherType === ETHERTYPE_ARP) return { kind: "neighbors" };
  const ip = readIp(etherType, frame.subarray(ETHERNET_HEADER_LENGTH));
  if (ip === undefined) return { kind: "other" };
  const addresses = { source: formatAddress(ip.source), destination: formatAddress(ip.destination) };
  return { ...describeUpperLayer(ip, ports), ...addresses };
}

interface OuterIp {
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly protocol: number;
  readonly isLaterFragment: boolean;
  readonly upperLayer: Uint8Array;
}

function readIp(etherType: number, packet: Uint8Array): OuterIp | undefined {
  if (etherType === ETHERTYPE_IPV4 && packet.length >= 20) {
    return {
      source: packet.slice(12, 16),
      destination: packet.slice(16, 20),
      protocol: packet[9]!,
      isLaterFragment: (u16(packet, 6) & 0x1fff) !== 0,
      // Short frames are padded to 60 octets; the total length says where the packet ends.
      upperLayer: packet.subarray((packet[0]! & 0xf) * 4, u16(packet, 2)),
    };
  }
  return etherType === ETHERTYPE_IPV6 && packet.length >= 40 ? readIpv6(packet) : undefined;
}

function readIpv6(packet: Uint8Array): OuterIp {
  let protocol = packet[6]!;
  let at = 40;
  let isLaterFragment = false;
  // The two extension headers that tunnels and listener reports meet.
  while ((protocol === IpProtocol.HOPOPT || protocol === IpProtocol.IPV6_FRAG) && at + 8 <= packet.length) {
    if (protocol === IpProtocol.IPV6_FRAG) isLaterFragment ||= (u16(packet, at + 2) & 0xfff8) !== 0;
    const length = protocol === IpProtocol.IPV6_FRAG ? 8 : (packet[at + 1]! + 1) * 8;
    protocol = packet[at]!;
    at += length;
  }
  return {
    source: packet.slice(8, 24),
    destination: packet.slice(24, 40),
    protocol,
    isLaterFragment,
    upperLayer: packet.subarray(at, 40 + u16(packet, 4)),
  };
}

function describeUpperLayer(
  { protocol, upperLayer, isLaterFragment }: OuterIp,
  ports: { readonly ike: number; readonly natTraversal: number },
): PacketDescription {
  if (isLaterFragment) return { kind: "fragment" };
  if (protocol === IpProtocol.ESP) return describeEsp("esp", upperLayer);
  if (protocol === IpProtocol.IPV6_ICMP) return { kind: isHousekeeping(upperLayer) ? "neighbors" : "other" };
  const isKnown = protocol === IpProtocol.UDP || protocol === IpProtocol.TCP;
  if (!isKnown || upperLayer.length < UDP_HEADER_LENGTH) return { kind: "other" };

  const source = u16(upperLayer, 0);
  const destination = u16(upperLayer, 2);
  const isOn = (port: number): boolean => source === port || destination === port;
  if (protocol === IpProtocol.TCP) return { kind: isOn(ports.natTraversal) ? "in-tcp" : "other" };
  if (isOn(ports.natTraversal)) {
    const datagram = upperLayer.subarray(UDP_HEADER_LENGTH);
    const kind = classifyDatagram(datagram);
    if (kind === "esp") return describeEsp("esp-in-udp", datagram);
    return { kind: kind === "runt" ? "other" : kind };
  }
  return { kind: isOn(ports.ike) ? "ike" : "other" };
}

function describeEsp(kind: "esp" | "esp-in-udp", octets: Uint8Array): PacketDescription {
  return octets.length < ESP_HEADER_LENGTH ? { kind: "other" } : { kind, ...decodeEspHeader(octets) };
}

/** Multicast listener discovery (RFC 2710, RFC 3810) and neighbor discovery (RFC 4861). */
function isHousekeeping(icmp: Uint8Array): boolean {
  const type = icmp[0] ?? 0;
  return (type >= 130 && type <= 137) || type === 143;
}

function u16(octets: Uint8Array, at: number): number {
  return (octets[at]! << 8) | octets[at + 1]!;
}
