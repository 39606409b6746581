/**
 * What the network behind a gateway gives whoever connects to it: "Requesting an Internal Address on a Remote Network", RFC 7296
 * section 2.19. Addresses and prefixes are canonical text.
 */
export interface InternalConfiguration {
  /** Addresses for the peer, of either family: "10.77.0.5", "fd77::5". */
  readonly addresses: readonly string[];
  /** Resolvers, in order of preference. */
  readonly dns: readonly string[];
  /** What lies behind the gateway: "10.0.0.0/8". */
  readonly subnets: readonly string[];
  /** Domains that `dns` is for. None: it is for all (RFC 8598 section 4.1). */
  readonly domains: readonly InternalDomain[];
}

/** A domain inside (INTERNAL_DNS_DOMAIN, RFC 8598 section 4.1). */
export interface InternalDomain {
  /** In lower case and A-labels, without the last dot: "corp.example.org". */
  readonly name: string;
  /** DNSSEC trust anchors of the domain; empty where there are none. */
  readonly trustAnchors: readonly TrustAnchor[];
}

/** A DNSKEY's digest, as in a DS record (INTERNAL_DNSSEC_TA, RFC 8598 section 4.2). */
export interface TrustAnchor {
  readonly keyTag: number;
  readonly algorithm: number;
  readonly digestType: number;
  readonly digest: Uint8Array;
}

/** What the peer asks for (CFG_REQUEST). */
export interface InternalRequest {
  /** Whether it wants an address of the family. */
  readonly ipv4: boolean;
  readonly ipv6: boolean;
  /** Addresses that it would like, mostly those that it had before; at most one of each family. */
  readonly requested: readonly string[];
  /** ConfigurationAttribute numbers that it has named and we have an answer to. */
  readonly asked: ReadonlySet<number>;
}

/** A Configuration payload whose attributes cannot be what they say. `reason` is a sentence for the log. */
export interface RefusedConfiguration {
  readonly kind: "refused";
  readonly reason: string;
}
