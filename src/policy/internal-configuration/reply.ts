import { parseAddress } from "../../bytes/ip-address.ts";
import { ConfigurationAttribute, ConfigurationType } from "../../iana/ikev2-parameters.ts";
import type { Configuration, ConfigurationValue } from "../../wire/payloads/configuration.ts";
import {
  ANSWERED,
  addressAttribute,
  addressIn,
  dnsAttribute,
  faultOfAttribute,
  prefixIn,
  prefixUnderMask,
  subnetAttribute,
} from "./attributes.ts";
import type { InternalConfiguration, InternalRequest, RefusedConfiguration } from "./configuration.ts";
import { domainAttributes, domainsIn } from "./domain.ts";

const {
  INTERNAL_IP4_ADDRESS,
  INTERNAL_IP4_NETMASK,
  INTERNAL_IP4_DNS,
  INTERNAL_IP6_ADDRESS,
  INTERNAL_IP6_DNS,
  INTERNAL_IP4_SUBNET,
  INTERNAL_IP6_SUBNET,
  INTERNAL_DNS_DOMAIN,
  INTERNAL_DNSSEC_TA,
  SUPPORTED_ATTRIBUTES,
} = ConfigurationAttribute;

/** Each becomes an address, a route or a line of the resolver's: no gateway has more to give. */
const MAXIMUM_VALUES = 256;

/** The gateway's CFG_REPLY: of what it has, what was asked for. */
export function buildInternalReply(input: {
  readonly request: Pick<InternalRequest, "asked">;
  readonly configuration: InternalConfiguration;
}): Configuration {
  const { asked } = input.request;
  const { addresses, dns, subnets, domains } = input.configuration;
  const resolvers = dns.map(dnsAttribute);
  const attributes = [
    ...addresses.map(addressAttribute),
    ...resolvers,
    ...subnets.map(subnetAttribute),
  ].filter(({ type }) => asked.has(type));
  // RFC 8598 section 3.2: domains go with a resolver that knows them.
  const hasResolver = resolvers.some(({ type }) => asked.has(type));
  if (hasResolver && asked.has(INTERNAL_DNS_DOMAIN)) {
    const withAnchors = asked.has(INTERNAL_DNSSEC_TA);
    attributes.push(...domains.flatMap((domain) => domainAttributes(domain, { withAnchors })));
  }
  if (asked.has(SUPPORTED_ATTRIBUTES)) attributes.push(supportedAttributes());
  return { configurationType: ConfigurationType.CFG_REPLY, attributes };
}

/**
 * The client's reading of a CFG_REPLY. An attribute without a value gives nothing. A netmask means the same as a subnet (RFC 7296
 * section 3.15.1).
 */
export function readInternalReply({
  attributes,
}: Configuration):
  | { readonly kind: "configuration"; readonly configuration: InternalConfiguration }
  | RefusedConfiguration {
  const fault = attributes.map(faultOfAttribute).find((each) => each !== undefined);
  if (fault !== undefined) return refused(fault);
  const given = attributes.filter(({ value }) => value.length > 0);
  const ofTypes = (...types: readonly number[]): readonly ConfigurationValue[] =>
    given.filter(({ type }) => types.includes(type));

  const addresses = unique(ofTypes(INTERNAL_IP4_ADDRESS, INTERNAL_IP6_ADDRESS).map(addressIn));
  const unusable = addresses.find((address) => !isOfHost(address));
  if (unusable !== undefined) return refused(`${unusable} is no address for a host`);
  const masks = ofTypes(INTERNAL_IP4_NETMASK);
  const first = addresses.find((address) => !address.includes(":"));
  if (masks.length > 1) return refused(`INTERNAL_IP4_NETMASK comes ${masks.length} times`);
  const masked = first === undefined ? [] : masks.map(({ value }) => prefixUnderMask(first, value));

  const dns = unique(ofTypes(INTERNAL_IP4_DNS, INTERNAL_IP6_DNS).map(addressIn)).filter(isOfHost);
  const subnets = unique([...ofTypes(INTERNAL_IP4_SUBNET, INTERNAL_IP6_SUBNET).map(prefixIn), ...masked]);
  // Nobody can be asked about domains without a resolver.
  const domains = dns.length === 0 ? [] : domainsIn(given);
  const configuration = { addresses, dns, subnets, domains };
  for (const [name, { length }] of Object.entries(configuration)) {
    if (length > MAXIMUM_VALUES) return refused(`${length} ${name} are more than ${MAXIMUM_VALUES}`);
  }
  return { kind: "configuration", configuration };
}

function supportedAttributes(): ConfigurationValue {
  const value = Uint8Array.from(ANSWERED.flatMap((type) => [type >>> 8, type & 0xff]));
  return { type: SUPPORTED_ATTRIBUTES, value };
}

/** Not unspecified, loopback, multicast or reserved: 0.0.0.0/8, 127.0.0.0/8, 224.0.0.0/3; ::, ::1, fe80::/10, ff00::/8. */
function isOfHost(address: string): boolean {
  const octets = parseAddress(address)!;
  if (octets.length === 4) return octets[0] !== 0 && octets[0] !== 127 && octets[0]! < 224;
  const isLinkLocal = octets[0] === 0xfe && (octets[1]! & 0xc0) === 0x80;
  const isSpecial = octets.subarray(0, 15).every((octet) => octet === 0) && octets[15]! <= 1;
  return octets[0] !== 0xff && !isLinkLocal && !isSpecial;
}

function unique(values: readonly string[]): readonly string[] {
  return [...new Set(values)];
}

function refused(reason: string): RefusedConfiguration {
  return { kind: "refused", reason };
}
