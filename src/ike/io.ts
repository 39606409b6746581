import type { AuthenticationJob, AuthenticationResult } from "../auth/jobs.ts";
import type { ComputeJob, ComputeResult } from "../crypto/jobs.ts";
import type { Path } from "../platform/address.ts";
import type { InternalConfiguration } from "../policy/internal-configuration/configuration.ts";
import type { TrafficSelector } from "../wire/payloads/traffic-selector.ts";
import type { Transform } from "../wire/payloads/transform.ts";
import type { ClientSession } from "./client-session.ts";

/** What goes into the IKE machine. Times are milliseconds of a monotonic clock and are passed beside the input. */
export type IkeInput =
  | { readonly kind: "datagram"; readonly octets: Uint8Array; readonly path: Path }
  /** `trigger`: the packet that wants the connection. */
  | { readonly kind: "initiate"; readonly connection: string; readonly trigger?: Trigger | undefined }
  /**
   * Deletes the connection's IKE SAs with all they carry, or only the named child, or that with this SPI; or only those of the user, or
   * that of the session. `message` says why, for the log.
   */
  | {
      readonly kind: "terminate";
      readonly connection: string;
      readonly child?: string;
      readonly inboundSpi?: number;
      readonly user?: string;
      readonly session?: number;
      readonly message?: string;
    }
  | { readonly kind: "liveness"; readonly connection: string }
  /** This machine has slept, or nobody ran us: whether the peers are still there is asked at once. */
  | { readonly kind: "awakened" }
  /** ESP of a child SA that is authentic and newer than all before it came from elsewhere than where the child SA sends to. */
  | { readonly kind: "seen-elsewhere"; readonly inboundSpi: number; readonly path: Path }
  /** Addresses or routes of this machine have changed. */
  | { readonly kind: "network-changed" }
  /** A TCP connection has ended, or never came about. */
  | { readonly kind: "stream-closed"; readonly stream: number }
  /** ESP came for an SPI that is not ours. */
  | { readonly kind: "stray-esp"; readonly spi: number; readonly path: Path }
  /** Tells the connection's clients, or only those of the user, to go to another gateway, whose address or name `host` is. */
  | {
      readonly kind: "redirect";
      readonly connection: string;
      readonly user?: string | undefined;
      readonly host: string;
    }
  /** Where a gateway is. */
  | { readonly kind: "located"; readonly id: number; readonly found: LocatedGateway }
  /** Replaces the connection's child SAs, or its IKE SA, now. */
  | { readonly kind: "rekey"; readonly connection: string; readonly what: "children" | "ike" }
  /** A child SA has carried as much as it should: it is replaced. "hard": it carries nothing any more. */
  | {
      readonly kind: "used-up";
      readonly connection: string;
      readonly inboundSpi: number;
      readonly limit: "soft" | "hard";
    }
  | { readonly kind: "computed"; readonly id: number; readonly result: ComputeResult }
  | { readonly kind: "authenticated"; readonly id: number; readonly result: AuthenticationResult }
  | { readonly kind: "timer" };

/** A gateway that we were sent to (RFC 5685): an address that we may go to, or why we do not. */
export type LocatedGateway =
  | { readonly kind: "found"; readonly address: string }
  | { readonly kind: "refused"; readonly reason: string };

/** The packet that calls for a child SA, as traffic selectors seen from us (RFC 7296 section 2.9). */
export interface Trigger {
  readonly child: string;
  readonly local: TrafficSelector;
  readonly remote: TrafficSelector;
}

/** What comes out, in order. */
export type IkeOutput =
  /** `mayFragment` false: with DF, and not at all where it is longer than the link takes. */
  | {
      readonly kind: "transmit";
      readonly octets: Uint8Array;
      readonly path: Path;
      readonly mayFragment?: boolean;
    }
  /** One octet 0xff along the path, without a marker (RFC 3948 section 2.3). */
  | { readonly kind: "keepalive"; readonly path: Path }
  | { readonly kind: "compute"; readonly id: number; readonly job: ComputeJob }
  | { readonly kind: "authenticate"; readonly id: number; readonly job: AuthenticationJob }
  /** Where this gateway is, an address or a name, is to be found out for the connection. */
  | {
      readonly kind: "locate";
      readonly id: number;
      readonly connection: string;
      readonly host: string;
    }
  | { readonly kind: "install-child-sa"; readonly childSa: NegotiatedChildSa }
  /** Outbound traffic goes through this child SA from now on: the one that it replaces is gone at the peer. */
  | { readonly kind: "use-child-sa"; readonly inboundSpi: number }
  /** Nothing goes out through it from now on. The inbound half opens what is late for `lingerMs` more. */
  | {
      readonly kind: "remove-child-sa";
      readonly inboundSpi: number;
      readonly outboundSpi: number;
      readonly lingerMs: number;
    }
  /** ESP of this child goes along another path now: an end of it has moved (RFC 4555 section 3.5, RFC 7296 section 2.23). */
  | {
      readonly kind: "move-child-sa";
      readonly connection: string;
      readonly inboundSpi: number;
      readonly path: Path;
    }
  /** Its path carries packets up to so many octets, IP header included; undefined: as many as this machine knows of. */
  | { readonly kind: "fit-child-sa"; readonly inboundSpi: number; readonly pathMtu: number | undefined }
  /** An inbound SPI that was taken from the allocator and will not be used. */
  | { readonly kind: "release-spi"; readonly inboundSpi: number }
  /** What the network behind the peer gives us, from before the first child SA is there. */
  | {
      readonly kind: "configured";
      readonly connection: string;
      readonly configuration: InternalConfiguration;
    }
  /** It holds no more. */
  | { readonly kind: "unconfigured"; readonly connection: string }
  /** A gateway has a client, from before its first child SA is there. */
  | { readonly kind: "session-began"; readonly session: ClientSession }
  /** It has it no more; its child SAs are removed by then. `reason` as in "ike-sa-deleted". */
  | { readonly kind: "session-ended"; readonly session: ClientSession; readonly reason: string }
  | { readonly kind: "event"; readonly event: IkeEvent };

/** A child SA with its keys, ready for the data plane. Whoever receives it wipes the keys once they are installed. */
export interface NegotiatedChildSa {
  readonly connection: string;
  readonly child: string;
  /** Number of the client's session that it belongs to. */
  readonly session?: number | undefined;
  readonly inboundSpi: number;
  readonly outboundSpi: number;
  readonly encryption: Transform;
  /** Absent for a combined-mode cipher. */
  readonly integrity?: Transform | undefined;
  readonly esn: boolean;
  /**
   * As KEYMAT gives them (RFC 7296 section 2.17): the key, 4 octets of salt where the cipher has one (RFC 4106 section 8.1,
   * RFC 4543 section 5.1, RFC 3686 section 5.1, RFC 7634 section 4), then the integrity key where there is one.
   */
  readonly inboundKey: Uint8Array;
  readonly outboundKey: Uint8Array;
  /** Narrowed selectors, seen from us. */
  readonly local: readonly TrafficSelector[];
  readonly remote: readonly TrafficSelector[];
  /** Where ESP goes (port 4500 when encapsulated in UDP). */
  readonly path: Path;
  /** What the path was found to carry, as in "fit-child-sa". */
  readonly pathMtu?: number | undefined;
  /** Whether outbound traffic goes through it at once. If not, it waits for "use-child-sa", or until something arrives on it. */
  readonly carriesOutbound: boolean;
  /** Whether the peer takes padding for traffic flow confidentiality (RFC 7296 section 1.3.1). */
  readonly takesTfcPadding: boolean;
  /** Transport mode; otherwise tunnel mode. */
  readonly isTransport: boolean;
}

/** What a log or a user wants to know. `message` is a whole sentence; `facts` holds the same as fields. Never a secret. */
export interface IkeEvent {
  readonly name:
    | "ike-sa-negotiated"
    | "ike-sa-established"
    | "ike-sa-failed"
    | "ike-sa-deleted"
    | "child-sa-established"
    | "child-sa-failed"
    | "certificate-noted"
    | "child-sa-deleted"
    | "ike-sa-rekeyed"
    | "child-sa-rekeyed"
    | "rekey-failed"
    | "retransmit"
    | "tcp-tried"
    | "peer-silent"
    /** A liveness check was answered; `facts.rttMs` says after how long. */
    | "peer-alive"
    | "path-changed"
    | "path-refused"
    /** A gateway sends us elsewhere, or we a client; `facts.host` says to where. */
    | "redirected"
    | "redirect-refused"
    /** `facts.pathMtu`: which packets the path was found to carry. None: the peer answers no probes. */
    | "path-mtu"
    | "refused"
    /** A session is not resumed, and who wants it connects anew. */
    | "ticket-refused"
    | "datagram-dropped"
    /** From the engine: a packet wants a connection that is not up. */
    | "trap-sprung"
    /** From the engine: no packet moves any more. */
    | "data-plane-failed"
    /** From the engine: packets go the plain way. */
    | "offload-refused"
    /** From the engine: something of the machine is not as it should be for us. */
    | "machine-warning"
    /** From the engine: a connection allows weak algorithms. */
    | "compat"
    /** From the engine: it has faults on purpose. */
    | "impaired"
    | "internal-error";
  readonly level: "debug" | "info" | "warning" | "error";
  readonly connection: string | undefined;
  readonly message: string;
  readonly facts: Readonly<Record<string, string | number | boolean | readonly string[]>>;
  /** About a peer that nobody has authenticated. It may be anybody, and there may be thousands of them. */
  readonly isUnverified?: boolean;
}
