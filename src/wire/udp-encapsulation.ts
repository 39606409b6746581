import { WireError } from "../errors/index.ts";
import { ESP_HEADER_LENGTH } from "./esp-header.ts";

/**
 * UDP encapsulation on port 4500, RFC 3948 section 2 and RFC 7296 section 2.23.
 *
 *   ESP:        SPI (4, never 0) | Sequence Number (4) | ...
 *   IKE:        non-ESP marker (4, always 0) | IKE message
 *   keepalive:  0xff
 */
export type EncapsulatedKind = "ike" | "esp" | "keepalive" | "runt";

export const NON_ESP_MARKER_LENGTH = 4;

/** What a datagram of port 4500 holds. A runt is too short to be any of them. */
export function classifyDatagram(octets: Uint8Array): EncapsulatedKind {
  if (octets.length === 1 && octets[0] === KEEPALIVE_OCTET) return "keepalive";
  if (octets.length < NON_ESP_MARKER_LENGTH) return "runt";
  if (hasNonEspMarker(octets)) return "ike";
  return octets.length < ESP_HEADER_LENGTH ? "runt" : "esp";
}

/** An IKE message as it travels on port 4500. */
export function encodeNonEspMarker(message: Uint8Array): Uint8Array {
  const datagram = new Uint8Array(NON_ESP_MARKER_LENGTH + message.length);
  datagram.set(message, NON_ESP_MARKER_LENGTH);
  return datagram;
}

/** The IKE message behind the marker, as a view. Throws WireError where there is no marker. */
export function decodeNonEspMarker(datagram: Uint8Array): Uint8Array {
  if (datagram.length < NON_ESP_MARKER_LENGTH || !hasNonEspMarker(datagram)) {
    throw new WireError("UDP encapsulation: non-ESP marker is missing at octet 0", {
      field: "UDP encapsulation: non-ESP marker",
      offset: 0,
    });
  }
  return datagram.subarray(NON_ESP_MARKER_LENGTH);
}

/** RFC 3948 section 2.3. */
export function encodeKeepalive(): Uint8Array {
  return Uint8Array.of(KEEPALIVE_OCTET);
}

function hasNonEspMarker(octets: Uint8Array): boolean {
  return (octets[0]! | octets[1]! | octets[2]! | octets[3]!) === 0;
}

const KEEPALIVE_OCTET = 0xff;
