import type { ClientGuess } from "../ike/client-guess.ts";

/** What `ikebana status --json` prints. Fields are added over time, never renamed. Times are milliseconds. */
export interface EngineStatus {
  readonly version: string;
  readonly uptimeMs: number;
  readonly tun: { readonly name: string; readonly mtu: number };
  /** Local ports that are open, as "address:port" for UDP and "address:port/tcp" for TCP. */
  readonly listen: readonly string[];
  readonly connections: readonly ConnectionStatus[];
  /** A gateway's pools: addresses of devices that are connected, and how many there are. */
  readonly pools?: readonly PoolStatus[];
  readonly ike: IkeStatus;
  /** TCP connections; only where there are any, or packets were lost. */
  readonly streams?: StreamsStatus;
  readonly dataPlane: DataPlaneStatus;
}

export interface ConnectionStatus {
  readonly name: string;
  /** "waiting": the next attempt comes in `nextAttemptMs`. "trap": it comes with the first packet that wants the connection. */
  readonly state: "down" | "waiting" | "trap" | "connecting" | "established" | "deleting";
  /** How long an attempt that failed keeps us from the next one; undefined when it does not. */
  readonly nextAttemptMs: number | undefined;
  /** Why the last attempt failed, as a sentence; undefined when there was none or it succeeded. */
  readonly lastError: string | undefined;
  readonly ikeSa: IkeSaStatus | undefined;
  /** Everybody who is connected, of a connection that many share. */
  readonly clients?: readonly IkeSaStatus[];
}

export interface IkeSaStatus {
  readonly role: "initiator" | "responder";
  /** 16 hex digits each. */
  readonly initiatorSpi: string;
  readonly responderSpi: string;
  /** Keywords: "aes256gcm16-prfsha384-x25519". */
  readonly proposal: string;
  /** There is a post-quantum preshared key in its keys (RFC 8784); only where it is so. */
  readonly ppk?: true;
  /** Those of them that are too weak to be proud of, only where there are any: ["sha1", "modp1024"]; "sha1-signature" is our AUTH. */
  readonly weak?: readonly string[];
  /** The session goes on from an earlier IKE SA, by a ticket (RFC 5723). */
  readonly resumed?: true;
  /** For how long our ticket is good, in milliseconds; only where we have one. */
  readonly ticketMs?: number;
  readonly local: { readonly identity: string; readonly address: string; readonly port: number };
  readonly remote: { readonly identity: string; readonly address: string; readonly port: number };
  /** The largest packet that the path was found to carry, IP header included; undefined when it was not probed yet. */
  readonly pathMtu: number | undefined;
  /** IKE and ESP go through a TCP connection (RFC 9329), only where they do; the ports are TCP's then. */
  readonly tcp?: true;
  /** Whether both sides do MOBIKE, so that either may change its address. */
  readonly mobike: boolean;
  /** Who has logged in by EAP. */
  readonly user?: string;
  /**
   * Of whoever is connected with a gateway: which client it seems to be, by what it sends ("windows", "apple", "android", "strongswan",
   * "ikebana", or "unknown"). Nobody proves it.
   */
  readonly client?: ClientGuess;
  /** Addresses inside, which the peer has from us or we from it; only where there are any. */
  readonly internalAddresses?: readonly string[];
  readonly establishedMs: number;
  /** First request sent to last answer received, or the responder's equivalent. */
  readonly negotiationMs: number;
  readonly children: readonly ChildSaStatus[];
}

export interface ChildSaStatus {
  readonly name: string;
  /** 8 hex digits each. */
  readonly inboundSpi: string;
  readonly outboundSpi: string;
  readonly proposal: string;
  /** As for an IKE SA. */
  readonly weak?: readonly string[];
  readonly local: readonly string[];
  readonly remote: readonly string[];
  readonly establishedMs: number;
  /** The longest inner packet that goes through in one piece. */
  readonly innerMtu: number;
  readonly inbound: TrafficStatus;
  readonly outbound: TrafficStatus;
}

export interface TrafficStatus {
  readonly packets: number;
  readonly octets: number;
  /** Dummy packets sent, only above zero. */
  readonly dummies?: number;
  /** Drops by cause, only those above zero: { replayed: 3 }. */
  readonly drops: Readonly<Record<string, number>>;
  /** What was done to packets that went on, only what happened at all: { mssClamped: 2 }. */
  readonly events: Readonly<Record<string, number>>;
}

export interface IkeStatus {
  /** IKE datagrams. */
  readonly received: number;
  readonly transmitted: number;
  /** IKE SAs of peers that called us and whom we do not know yet. */
  readonly halfOpen: number;
  /** Dropped datagrams by cause, only those above zero: { malformed: 3, unknownSpi: 1 }. */
  readonly drops: Readonly<Record<string, number>>;
}

interface StreamsStatus {
  readonly connections: number;
  /** Those among them that others have opened and that nobody we know uses. */
  readonly strangers: number;
  /** ESP packets that found a full queue, or came from such strangers. */
  readonly lostOutbound: number;
  readonly lostInbound: number;
}

/** What one kind of system call moved. Only calls that moved something count. */
interface SystemCallStatus {
  readonly calls: number;
  readonly packets: number;
  readonly octets: number;
  /** Calls by how many packets each moved: 1, 2 to 3, 4 to 7, 8 to 15, 16 to 31, 32 to 63, 64 to 127, 128 and more. */
  readonly batchSizes: readonly number[];
}

/** How much of something fixed is taken. */
interface ShareStatus {
  readonly inUse: number;
  readonly limit: number;
}

export interface PoolStatus extends ShareStatus {
  /** "10.77.0.0/24". */
  readonly prefix: string;
}

/** What SAs and policies take of the shared memory; none of it grows beyond its limit. */
interface MemoryStatus {
  /** Directions of child SAs: two for each. */
  readonly sas: ShareStatus;
  /** Tables for keys that carry much. */
  readonly keyTables: ShareStatus;
  readonly selectors: ShareStatus;
  readonly policies: ShareStatus;
  /** Of the addresses in policies. */
  readonly prefixes: ShareStatus;
  /** All of them together. */
  readonly octets: number;
}

/** Where the data workers' time goes: one round in 61 is timed. Nanoseconds for each packet that came in from either side. */
interface TimesStatus {
  /** Rounds that were timed, and packets in them. */
  readonly rounds: number;
  readonly packets: number;
  readonly systemCallsNs: number;
  readonly webAssemblyNs: number;
  readonly javaScriptNs: number;
}

export interface DataPlaneStatus {
  /** Data workers: threads that share the packet path. */
  readonly workers: number;
  /** Whose AES child SAs that carry much go through: "processor" or "webassembly". */
  readonly aes: string;
  /** Likewise for ChaCha20 and packets that are not small. */
  readonly chaCha20: string;
  /** Packets that belong to no SA, by cause: { noSa: 12 }. */
  readonly drops: Readonly<Record<string, number>>;
  readonly systemCalls: {
    readonly tunRead: SystemCallStatus;
    readonly tunWrite: SystemCallStatus;
    readonly udpReceive: SystemCallStatus;
    readonly udpTransmit: SystemCallStatus;
  };
  readonly times: TimesStatus;
  readonly memory: MemoryStatus;
}
