import type { TrafficStatus } from "../engine/status.ts";

// What the demo tells, as data. How it is told, on a terminal or as JSON, is decided elsewhere.

/**
 * Where the two machines live: two network namespaces made by root, the same inside a user namespace of one's own, or two
 * engines in one process over devices in memory.
 */
export type DemoMode = (typeof DEMO_MODES)[number];

export const DEMO_MODES = ["root", "user", "memory"] as const;

/** Everything that a run found out, in the order in which it is told. Times are milliseconds, rates bits per second. */
export interface DemoFacts {
  readonly scene: SceneFacts;
  readonly negotiation: NegotiationFacts;
  readonly pings: readonly PingFacts[];
  readonly transfer: TransferFacts;
  readonly counters: CounterFacts;
  readonly farewell: FarewellFacts;
  readonly wire: WireFacts;
}

export interface SceneFacts {
  readonly client: MachineFacts;
  readonly gateway: MachineFacts;
  /** Octets of an inner packet. */
  readonly mtu: number;
}

export interface MachineFacts {
  /** Its TUN device. */
  readonly tun: string;
  readonly outerAddress: string;
  readonly innerAddresses: readonly string[];
}

export interface NegotiationFacts {
  /** As the client measured it: first request sent to last answer received. */
  readonly ms: number;
  readonly ikeMessages: number;
  readonly ikeProposal: string;
  /** 16 hex digits each. The client is the initiator. */
  readonly initiatorSpi: string;
  readonly responderSpi: string;
  readonly clientIdentity: string;
  readonly gatewayIdentity: string;
  readonly espProposal: string;
  /** 8 hex digits each: the SPI of packets to the gateway, and of those to the client. */
  readonly spiToGateway: string;
  readonly spiToClient: string;
  /** UDP port that carries ESP. */
  readonly encapsulationPort: number;
  readonly clientSelectors: readonly string[];
  readonly gatewaySelectors: readonly string[];
}

export interface PingFacts {
  readonly family: 4 | 6;
  readonly destination: string;
  readonly sent: number;
  readonly received: number;
  readonly lost: number;
  /** Undefined when none came back. */
  readonly rttMs: { readonly min: number; readonly median: number; readonly max: number } | undefined;
}

export interface TransferFacts {
  readonly protocol: "tcp" | "datagrams";
  readonly sentOctets: number;
  readonly receivedOctets: number;
  /** First to last octet, at the receiver. */
  readonly ms: number;
  readonly bitsPerSecond: number;
  /** SHA-256 in hex, as each end computed it. */
  readonly sentHash: string;
  readonly receivedHash: string;
  readonly isIntact: boolean;
}

export interface CounterFacts {
  readonly client: MachineCounters;
  readonly gateway: MachineCounters;
}

export interface MachineCounters {
  readonly inbound: TrafficStatus;
  readonly outbound: TrafficStatus;
  /** Packets that belonged to no SA, by cause. */
  readonly drops: Readonly<Record<string, number>>;
}

export interface FarewellFacts {
  /** How long the exchange took that deleted the SAs. */
  readonly ms: number;
  readonly clientSas: number;
  readonly gatewaySas: number;
  /** Pings after the SAs were gone: none may be answered, and none may be seen on the wire. */
  readonly pingsAfterwards: { readonly sent: number; readonly answered: number };
}

/** What somebody between the two machines saw. */
export interface WireFacts {
  readonly frames: number;
  readonly espInUdp: number;
  /** The same by SPI, 8 hex digits. */
  readonly espBySpi: Readonly<Record<string, number>>;
  readonly ike: number;
  /** ARP, IPv6 neighbor discovery and listener reports of the link itself. */
  readonly neighbors: number;
  /** Frames that have no business there. */
  readonly other: number;
  /** Frames with a payload of ours in clear, or with inner addresses in a row as a header has them. */
  readonly plaintext: number;
  /** Frames that passed unseen because the watcher was too slow. */
  readonly missed: number;
  /** Whether the watcher found a datagram that was sent in clear on purpose beforehand. */
  readonly provenByDecoy: boolean;
}

/** A run as a whole, as `ikebana demo --json` prints it. What was not reached is left out. */
export interface DemoReport extends Partial<DemoFacts> {
  readonly version: string;
  readonly node: string;
  readonly mode: DemoMode;
  /** Why this mode: one sentence. */
  readonly modeReason: string;
  readonly isGood: boolean;
  /** What was not as it should be, a sentence each. */
  readonly problems: readonly string[];
  readonly ms: number;
}

/** What reaches the teller while the demo runs. */
export type News =
  | { readonly kind: "mode"; readonly mode: DemoMode; readonly reason: string }
  | { readonly kind: "facts"; readonly facts: Partial<DemoFacts> }
  | {
      readonly kind: "progress";
      readonly what: "ping" | "transfer";
      /** 0 to 1. */
      readonly share: number;
      /** Octets of a transfer so far, and the time they took. */
      readonly octets?: number;
      readonly ms?: number;
    };

export type Tell = (news: News) => void;

/** Somebody who tells the story. */
export interface Teller {
  hear(news: News): void;
  /** The end of a run that got as far as it could. */
  finish(report: DemoReport): void;
  /** Wipes what is half drawn: the run ends without a report. */
  breakOff(): void;
}
