import { WireError } from "../errors/index.ts";
import { TrafficSelectorType } from "../iana/ikev2-parameters.ts";
import { IpProtocol } from "../iana/ip-protocols.ts";
import { decodeIpHeader, type IpHeader } from "../wire/ip-header.ts";
import type { TrafficSelector } from "../wire/payloads/traffic-selector.ts";

/** Protocols whose first four octets are two ports. */
const WITH_PORTS: readonly number[] = [IpProtocol.TCP, IpProtocol.UDP, IpProtocol.SCTP, IpProtocol.UDPLITE];

/**
 * The selectors of just this packet on its way out, as the initiator puts them first (RFC 7296 section 2.9); undefined when it is
 * no IP packet. An ICMP type is left out: an answer has another one, and would not come back through an SA for only this.
 */
export function selectorsOfPacket(
  octets: Uint8Array,
): { readonly local: TrafficSelector; readonly remote: TrafficSelector } | undefined {
  let header: IpHeader;
  try {
    header = decodeIpHeader(octets);
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
  const { version, protocol, headerLength, totalLength, fragmentOffset, source, destination } = header;
  const hasPorts = WITH_PORTS.includes(protocol) && fragmentOffset === 0 && totalLength >= headerLength + 4;
  const portAt = (offset: number): number | undefined =>
    hasPorts ? (octets[headerLength + offset]! << 8) | octets[headerLength + offset + 1]! : undefined;
  const type =
    version === 4 ? TrafficSelectorType.TS_IPV4_ADDR_RANGE : TrafficSelectorType.TS_IPV6_ADDR_RANGE;
  const selectorOf = (address: Uint8Array, port: number | undefined): TrafficSelector => ({
    type,
    protocol,
    startPort: port ?? 0,
    endPort: port ?? 65_535,
    startAddress: address.slice(),
    endAddress: address.slice(),
  });
  return { local: selectorOf(source, portAt(0)), remote: selectorOf(destination, portAt(2)) };
}
