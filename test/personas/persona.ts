import { ProtocolId } from "../../src/iana/ikev2-parameters.ts";
import type { Identity } from "../../src/policy/connection.ts";
import { FOREIGN_KEYWORDS, KEYWORDS } from "../../src/policy/keyword-table.ts";
import { selectorsFromPrefixes } from "../../src/policy/traffic-selectors.ts";
import { numberProposals } from "../../src/policy/transforms.ts";
import type { Payload } from "../../src/wire/payloads/payload.ts";
import type { Proposal } from "../../src/wire/payloads/proposal.ts";
import type { TrafficSelector } from "../../src/wire/payloads/traffic-selector.ts";

/** What a stock client says, as data: `stock-client.ts` speaks it. Taken from what is published about such clients, not from a device. */
export interface Persona {
  readonly name: string;
  readonly init: {
    readonly proposals: readonly Proposal[];
    /** KeyExchangeMethod of the first KE payload. */
    readonly group: number;
    /** Beside SA, KE, Nonce and NAT detection. */
    readonly others: readonly Payload[];
  };
  readonly auth: {
    readonly identity: Identity;
    /** IDr. */
    readonly namesGateway: boolean;
    /** Hashes of CAs in a CERTREQ payload; undefined without one. */
    readonly authorityCount?: number;
    readonly others: readonly Payload[];
    /** ConfigurationAttribute, each empty. */
    readonly asks: readonly number[];
    readonly proposals: readonly Proposal[];
  };
  /** Messages above this many octets go out in fragments. */
  readonly fragmentLength: number;
  /** How child SAs are rekeyed: each entry is tried in turn. */
  readonly childRekeys: readonly Rekey[];
  readonly ikeRekey: Required<Rekey>;
  readonly childRekeyMs: number;
  readonly ikeRekeyMs: number;
}

export interface Rekey {
  readonly proposals: readonly Proposal[];
  /** KeyExchangeMethod of the KE payload; undefined without one. */
  readonly group?: number;
}

export const GATEWAY_NAME = "vpn.example.org";

/** IKE proposals from keywords, also of algorithms that this build lacks. */
export function ike(...texts: readonly string[]): Proposal[] {
  return numberProposals(texts.map((text) => proposal(ProtocolId.IKE, text)));
}

/** The same for ESP, each without extended sequence numbers, which no stock client offers alone. */
export function esp(...texts: readonly string[]): Proposal[] {
  return numberProposals(texts.map((text) => proposal(ProtocolId.ESP, `${text}-noesn`)));
}

function proposal(protocolId: number, text: string): Proposal {
  const transforms = text.split("-").map((keyword) => {
    const transform = KEYWORDS[keyword] ?? FOREIGN_KEYWORDS[keyword];
    if (transform === undefined) throw new RangeError(`${keyword} is no keyword`);
    return transform;
  });
  return { number: 1, protocolId, spi: new Uint8Array(0), transforms };
}

/** TSi and TSr of every stock client. */
export const EVERYTHING: readonly TrafficSelector[] = selectorsFromPrefixes(["0.0.0.0/0", "::/0"]);

export const HOUR_MS = 3_600_000;
