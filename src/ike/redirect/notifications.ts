import { formatAddress, parseAddress } from "../../bytes/ip-address.ts";
import { GatewayIdentityType } from "../../iana/ikev2-parameters.ts";
import { notify } from "../payloads.ts";

// REDIRECT and REDIRECTED_FROM, RFC 5685 section 8:
//
//   GW Ident Type (1) | GW Ident Len (1) | Gateway Identity | Nonce Data
//
// The nonce is there only in the answer to IKE_SA_INIT, and is the initiator's.

/** A gateway by its address or its name. */
export interface NamedGateway {
  readonly host: string;
  readonly nonce: Uint8Array;
}

const NONE = new Uint8Array(0);
const HEADER_LENGTH = 2;
const MOST_OCTETS = 253;
const ADDRESS_LENGTHS: Readonly<Record<number, number>> = {
  [GatewayIdentityType.IPV4_ADDRESS]: 4,
  [GatewayIdentityType.IPV6_ADDRESS]: 16,
};

/** Whether it can be named to a client: an IP address or a domain name. */
export function isGatewayHost(host: string): boolean {
  return parseAddress(host) !== undefined || isDomainName(host);
}

/** A REDIRECT or REDIRECTED_FROM payload; `host` is an address or a domain name. */
export function gatewayNotify(notifyType: number, host: string, nonce: Uint8Array = NONE) {
  const address = parseAddress(host);
  const identity = address ?? new TextEncoder().encode(host);
  const data = new Uint8Array(HEADER_LENGTH + identity.length + nonce.length);
  data[0] = typeOf(address);
  data[1] = identity.length;
  data.set(identity, HEADER_LENGTH);
  data.set(nonce, HEADER_LENGTH + identity.length);
  return notify(notifyType, data);
}

/** Undefined for what names no gateway, or none that we could look up. The nonce views the data. */
export function decodeGateway(data: Uint8Array): NamedGateway | undefined {
  const [type = 0, length = 0] = data;
  if (length === 0 || data.length < HEADER_LENGTH + length) return undefined;
  const identity = data.subarray(HEADER_LENGTH, HEADER_LENGTH + length);
  const nonce = data.subarray(HEADER_LENGTH + length);
  if (type !== GatewayIdentityType.FQDN) {
    return ADDRESS_LENGTHS[type] === length ? { host: formatAddress(identity), nonce } : undefined;
  }
  const host = new TextDecoder("latin1").decode(identity);
  return isDomainName(host) ? { host, nonce } : undefined;
}

function typeOf(address: Uint8Array | undefined): number {
  if (address === undefined) return GatewayIdentityType.FQDN;
  return address.length === 4 ? GatewayIdentityType.IPV4_ADDRESS : GatewayIdentityType.IPV6_ADDRESS;
}

/** Letters, digits, hyphens and dots, with a letter: no resolver takes it for anything else, and it may stand in a log. */
function isDomainName(host: string): boolean {
  return host.length <= MOST_OCTETS && /^[\w-]+(\.[\w-]+)*\.?$/.test(host) && /[a-z]/i.test(host);
}
