import { ConfigurationAttribute, ConfigurationType } from "../../iana/ikev2-parameters.ts";
import type { Configuration, ConfigurationValue } from "../../wire/payloads/configuration.ts";
import { ANSWERED, addressAttribute, addressIn, faultOfAttribute } from "./attributes.ts";
import type { InternalRequest, RefusedConfiguration } from "./configuration.ts";

const {
  INTERNAL_IP4_ADDRESS,
  INTERNAL_IP4_DNS,
  INTERNAL_IP4_SUBNET,
  INTERNAL_IP6_ADDRESS,
  INTERNAL_IP6_DNS,
  INTERNAL_IP6_SUBNET,
  INTERNAL_DNS_DOMAIN,
} = ConfigurationAttribute;

/**
 * The gateway's reading of a CFG_REQUEST. Attributes that we have no answer to are left out; APPLICATION_VERSION is
 * one of them, since a version is of use only to somebody who looks for holes.
 */
export function readInternalRequest({
  attributes,
}: Configuration): { readonly kind: "request"; readonly request: InternalRequest } | RefusedConfiguration {
  const requested = new Map<number, string>();
  const asked = new Set<number>();
  for (const attribute of attributes) {
    const fault = faultOfAttribute(attribute);
    if (fault !== undefined) return { kind: "refused", reason: fault };
    const { type, value } = attribute;
    if (ANSWERED.includes(type)) asked.add(type);
    const isAddress = type === INTERNAL_IP4_ADDRESS || type === INTERNAL_IP6_ADDRESS;
    // 0.0.0.0 and :: are no wish, RFC 7296 section 3.15.1. A peer gets one address of a family: the first wish counts.
    const isWish = isAddress && value.subarray(0, 16).some((octet) => octet !== 0);
    if (isWish && !requested.has(type)) requested.set(type, addressIn(attribute));
  }
  const ipv4 = asked.has(INTERNAL_IP4_ADDRESS);
  const ipv6 = asked.has(INTERNAL_IP6_ADDRESS);
  return { kind: "request", request: { ipv4, ipv6, requested: [...requested.values()], asked } };
}

/** The client's CFG_REQUEST: an address of each family that it wants, and whatever goes with it. */
export function buildInternalRequest(wanted: {
  readonly ipv4: boolean;
  readonly ipv6: boolean;
  /** Addresses that it had before. */
  readonly requested?: readonly string[];
}): Configuration {
  const attributes: ConfigurationValue[] = [];
  const requested = (wanted.requested ?? []).map(addressAttribute);
  const ask = (type: number): number => attributes.push({ type, value: new Uint8Array(0) });
  if (wanted.ipv4) {
    attributes.push(
      requested.find(({ type }) => type === INTERNAL_IP4_ADDRESS) ?? empty(INTERNAL_IP4_ADDRESS),
    );
    ask(INTERNAL_IP4_DNS);
    ask(INTERNAL_IP4_SUBNET);
  }
  if (wanted.ipv6) {
    attributes.push(
      requested.find(({ type }) => type === INTERNAL_IP6_ADDRESS) ?? empty(INTERNAL_IP6_ADDRESS),
    );
    ask(INTERNAL_IP6_DNS);
    ask(INTERNAL_IP6_SUBNET);
  }
  ask(INTERNAL_DNS_DOMAIN);
  return { configurationType: ConfigurationType.CFG_REQUEST, attributes };
}

function empty(type: number): ConfigurationValue {
  return { type, value: new Uint8Array(0) };
}
