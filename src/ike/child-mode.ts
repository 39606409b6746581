import { compareOctets } from "../bytes/compare.ts";
import { parseAddress } from "../bytes/ip-address.ts";
import { NotifyType } from "../iana/ikev2-parameters.ts";
import type { Path } from "../platform/address.ts";
import type { ChildPolicy } from "../policy/connection.ts";
import type { Payload } from "../wire/payloads/payload.ts";
import type { TrafficSelector } from "../wire/payloads/traffic-selector.ts";
import { findNotify, notify } from "./payloads.ts";

/** What notifications beside SA, TSi and TSr say about a child SA (RFC 7296 section 1.3.1). */
export interface ChildMode {
  /** False when the peer says that it cannot tell padding for traffic flow confidentiality from what is in front of it. */
  readonly takesTfcPadding: boolean;
  /** Whether the peer asks for transport mode, or agrees to it. */
  readonly isTransport: boolean;
}

export function modeOf(payloads: readonly Payload[]): ChildMode {
  return {
    takesTfcPadding: findNotify(payloads, NotifyType.ESP_TFC_PADDING_NOT_SUPPORTED) === undefined,
    isTransport: findNotify(payloads, NotifyType.USE_TRANSPORT_MODE) !== undefined,
  };
}

/** What we say where we ask for transport mode or agree to it: there, padding behind a packet would become part of it. */
export const TRANSPORT_NOTIFIES: readonly Payload[] = [
  notify(NotifyType.USE_TRANSPORT_MODE),
  notify(NotifyType.ESP_TFC_PADDING_NOT_SUPPORTED),
];

/**
 * Whether a child may be in transport mode: its policy says so, and its selectors name the two ends of the path and nothing else. Behind
 * a NAT they do not.
 */
export function mayBeTransport(
  { mode }: ChildPolicy,
  ends: {
    readonly local: readonly TrafficSelector[];
    readonly remote: readonly TrafficSelector[];
    readonly path: Path;
  },
): boolean {
  const { local, remote, path } = ends;
  return mode === "transport" && nameOnly(local, path.local.address) && nameOnly(remote, path.remote.address);
}

function nameOnly(selectors: readonly TrafficSelector[], address: string): boolean {
  const octets = parseAddress(address);
  if (octets === undefined) return false;
  return selectors.every(
    ({ startAddress, endAddress }) =>
      startAddress.length === octets.length &&
      compareOctets(startAddress, octets) === 0 &&
      compareOctets(endAddress, octets) === 0,
  );
}
