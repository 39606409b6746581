import { ConfigurationAttribute } from "../../iana/ikev2-parameters.ts";
import type { ConfigurationValue } from "../../wire/payloads/configuration.ts";
import type { InternalDomain, TrustAnchor } from "./configuration.ts";

const { INTERNAL_DNS_DOMAIN, INTERNAL_DNSSEC_TA } = ConfigurationAttribute;

/** RFC 1035 section 2.3.4. */
const LONGEST_NAME = 253;
const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/;
/** Key tag, algorithm, digest type. */
const TRUST_ANCHOR_HEADER = 4;

/**
 * A domain name in the form that it is kept in, or undefined when it is none. What a peer sends ends up in the files and commands of
 * the resolver: nothing but the letters of host names gets through. The root is no domain of somebody's network.
 */
export function domainName(text: string): string | undefined {
  const name = text.toLowerCase().replace(/\.$/, "");
  const isName = name.length <= LONGEST_NAME && name.split(".").every((label) => LABEL.test(label));
  return isName ? name : undefined;
}

/**
 * The domains among attributes, each with the trust anchors that follow it (RFC 8598 sections 4.1 and 4.2). Names and anchors that make
 * no sense are left out, and so is an anchor without a domain before it: it must never hold for another one.
 */
export function domainsIn(attributes: readonly ConfigurationValue[]): readonly InternalDomain[] {
  const domains = new Map<string, TrustAnchor[]>();
  let anchors: TrustAnchor[] | undefined;
  for (const { type, value } of attributes) {
    if (type === INTERNAL_DNS_DOMAIN) {
      const name = domainName(String.fromCharCode(...value.subarray(0, LONGEST_NAME + 2)));
      anchors = name === undefined ? undefined : (domains.get(name) ?? []);
      if (name !== undefined) domains.set(name, anchors!);
    } else if (type !== INTERNAL_DNSSEC_TA) {
      anchors = undefined;
    } else if (value.length > TRUST_ANCHOR_HEADER) {
      anchors?.push(trustAnchorOf(value));
    }
  }
  return [...domains].map(([name, trustAnchors]) => ({ name, trustAnchors }));
}

/** The attributes of a domain and, if they are wanted, of its trust anchors right behind it. */
export function domainAttributes(
  { name, trustAnchors }: InternalDomain,
  { withAnchors }: { readonly withAnchors: boolean },
): readonly ConfigurationValue[] {
  const domain = {
    type: INTERNAL_DNS_DOMAIN,
    value: Uint8Array.from(name, (letter) => letter.charCodeAt(0)),
  };
  return [domain, ...(withAnchors ? trustAnchors.map(trustAnchorAttribute) : [])];
}

function trustAnchorOf(value: Uint8Array): TrustAnchor {
  return {
    keyTag: (value[0]! << 8) | value[1]!,
    algorithm: value[2]!,
    digestType: value[3]!,
    digest: value.slice(TRUST_ANCHOR_HEADER),
  };
}

function trustAnchorAttribute({ keyTag, algorithm, digestType, digest }: TrustAnchor): ConfigurationValue {
  const value = Uint8Array.of(keyTag >>> 8, keyTag & 0xff, algorithm, digestType, ...digest);
  return { type: INTERNAL_DNSSEC_TA, value };
}
