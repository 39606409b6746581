import type { AuthenticationJob, AuthenticationResult } from "../auth/jobs.ts";
import type { ComputeJob, ComputeResult } from "../crypto/jobs.ts";
import type { Path } from "../platform/address.ts";
import type { Random } from "../platform/random.ts";
import type { ConnectionPolicy } from "../policy/connection.ts";
import type { AddressLease, AddressRefusal, WantedAddresses } from "../pool/address-pools.ts";
import type { CookieJar } from "./cookie.ts";
import type { Counters, DropCounter } from "./counters.ts";
import type { CrashTokens } from "./crash-detection.ts";
import type { HalfOpenTable } from "./half-open.ts";
import type { IkeSa, IkeSaFacts } from "./ike-sa.ts";
import type { Impair } from "./impair.ts";
import type { IkeEvent, IkeOutput, LocatedGateway } from "./io.ts";
import type { Limits } from "./limits.ts";
import type { LocalNetwork } from "./mobility/local-network.ts";
import type { ReassemblyBudget } from "./reassembly.ts";
import type { Redirects } from "./redirect/redirects.ts";
import type { TicketOffice } from "./resumption/ticket-office.ts";
import type { TicketWallet } from "./resumption/ticket-wallet.ts";
import type { OpenStream } from "./streams.ts";
import type { Timers } from "./timers.ts";

/** What an IKE SA asks of the endpoint that it lives in. */
export interface Machine {
  readonly limits: Limits;
  readonly ports: Ports;
  readonly random: Random;
  readonly timers: Timers;
  readonly counters: Counters;
  readonly halfOpen: HalfOpenTable;
  readonly cookies: CookieJar;
  readonly redirects: Redirects;
  readonly reassemblyBudget: ReassemblyBudget;
  readonly connections: readonly ConnectionPolicy[];
  /** For tests only. */
  readonly impair: Impair | undefined;
  readonly ikeSas: readonly IkeSa[];
  /** The IKE SAs of a connection; with undefined those that may become one's. In the order they came. */
  ikeSasOf(connection: string | undefined): readonly IkeSa[];
  /** Those whose peer has authenticated as this account, in the order they came. */
  ikeSasOfAccount(account: string): readonly IkeSa[];
  /** The SA knows who its peer is. */
  identified(ikeSa: IkeSa): void;
  readonly addresses: AddressSource;
  /** The number of a session that begins. */
  nextSession(): number;
  /** The SA turns out to belong to a connection. */
  connected(ikeSa: IkeSa, before: string | undefined): void;
  emit(output: IkeOutput): void;
  report(event: IkeEvent): void;
  /** Reports what a peer that nobody has authenticated brought about. Beyond a rate it is not even put into words. */
  reportUnverified(tell: () => IkeEvent, now: number): void;
  /** Counts a dropped datagram and, up to a rate, says so at level debug. */
  drop(drop: Drop, now: number): void;
  dropFrom(counter: DropCounter, reason: string, path: Path, now: number): void;
  /** Whether one more unprotected error may leave now. */
  mayTransmitError(now: number): boolean;
  /** Whether one more answer to what belongs to no SA may leave now. */
  mayAnswerStray(now: number): boolean;
  /** Whether one more unprotected hint may be looked into now. */
  mayTakeHint(now: number): boolean;
  /** What the child SA with this inbound SPI carries; undefined when the data plane does not tell. */
  traffic(inboundSpi: number): Traffic | undefined;
  /** The largest packet of use on a path, IP header included, as far as this machine knows; undefined when there is no route. Paths are probed where there is such a function. */
  readonly pathMtu: ((path: Path) => number | undefined) | undefined;
  /** What shows a peer that we have lost an IKE SA; undefined where nothing does. */
  readonly crashTokens: CrashTokens | undefined;
  /** Opens TCP connections; undefined where there are none. */
  readonly openStream: OpenStream | undefined;
  /** Names of connections of which TCP was answered, and UDP was not, and until when that is taken to be so. */
  readonly tcpRecalledUntil: Map<string, number>;
  /** Gives tickets, and takes them back; undefined where sessions are not resumed. */
  readonly tickets: TicketOffice | undefined;
  /** Keeps our own. */
  readonly wallet: TicketWallet | undefined;
  /** Whether an SPI is ours, of an IKE SA that there is or that comes in the place of one. */
  hasIkeSpi(localSpi: bigint): boolean;
  /** Our addresses and routes. Without them nothing moves by our doing. */
  readonly network: LocalNetwork | undefined;
  /** Makes an IKE SA and takes it in, with an SPI of its own unless one is given. */
  adopt(facts: Omit<IkeSaFacts, "machine" | "localSpi"> & { readonly localSpi?: bigint }): IkeSa;
  /** An SPI for an IKE SA that is to come. */
  newIkeSpi(): bigint;
  /** The responder's SA that an IKE_SA_INIT request has made before. */
  findByInit(initKey: string): IkeSa | undefined;
  rememberInit(initKey: string, ikeSa: IkeSa): void;
  /** Sends a job out; `then` runs when its result comes back. */
  compute(job: ComputeJob, then: (result: ComputeResult, now: number) => void): void;
  /** The same for a job about who somebody is. */
  authenticate(job: AuthenticationJob, then: (result: AuthenticationResult, now: number) => void): void;
  /** Asks where a gateway is that we were sent to, and whether we may go there. */
  locate(
    gateway: { readonly connection: string; readonly host: string },
    then: (found: LocatedGateway, now: number) => void,
  ): void;
  /** Whether no more such jobs may go out on behalf of peers that nobody knows. */
  readonly hasTooManyLogins: boolean;
  /** An inbound ESP SPI of the data plane, or undefined when it has none left. */
  allocateSpi(): number | undefined;
  /** The SA has authenticated its peer: the endpoint settles which of several SAs with one peer stays. */
  established(ikeSa: IkeSa, now: number): void;
  /** The SA has nothing left to answer. */
  forget(ikeSa: IkeSa): void;
}

/** Addresses for peers that connect. */
export interface AddressSource {
  /** Addresses of their own until they are released, or why there are none. */
  assign(request: {
    readonly connection: string;
    readonly user: string;
    readonly device: string;
    readonly wanted: WantedAddresses;
  }): AddressLease | AddressRefusal;
  release(lease: AddressLease): void;
}

/** When a child SA last carried something, in the machine's time; minus infinity before the first. */
export interface Traffic {
  readonly sentAt: number;
  /** Authentic. */
  readonly receivedAt: number;
}

/** Our UDP ports. */
export interface Ports {
  /** 500: without the non-ESP marker. */
  readonly ike: number;
  /** 4500: with the non-ESP marker, beside ESP. */
  readonly natTraversal: number;
}

export interface Drop {
  readonly counter: DropCounter;
  readonly reason: string;
  /** The peer's address and port. */
  readonly from: string;
}
