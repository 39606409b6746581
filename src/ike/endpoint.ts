import type { AuthenticationJob, AuthenticationResult } from "../auth/jobs.ts";
import type { ComputeJob, ComputeResult } from "../crypto/jobs.ts";
import { WireError } from "../errors/index.ts";
import { ExchangeType, NotifyType } from "../iana/ikev2-parameters.ts";
import type { Path } from "../platform/address.ts";
import type { Random } from "../platform/random.ts";
import { withCompat } from "../policy/compat.ts";
import type { ConnectionPolicy } from "../policy/connection.ts";
import { decodeHeader, decodeMessage, encodeMessage, type Header } from "../wire/message.ts";
import type { ChildSa } from "./child-sa.ts";
import { deleteOnBothSides, terminateChild } from "./child-sa-deletion.ts";
import { CookieJar } from "./cookie.ts";
import { type Counters, type DropCounter, newCounters } from "./counters.ts";
import { CrashTokens } from "./crash-detection.ts";
import { thinOut } from "./crowding.ts";
import { datagramDropped, formatEnd } from "./events.ts";
import { createMissingChildren, expireChild, rekeyChild } from "./exchanges/create-child-sa.ts";
import { processInitRequest } from "./exchanges/ike-sa-init-request.ts";
import { connect } from "./exchanges/ike-session-resume.ts";
import { rekeyIkeSa } from "./exchanges/rekey-ike-sa.ts";
import { HalfOpenTable } from "./half-open.ts";
import { IkeSa, type IkeSaFacts } from "./ike-sa.ts";
import type { Impair } from "./impair.ts";
import type { IkeEvent, IkeInput, IkeOutput, LocatedGateway, Trigger } from "./io.ts";
import { DEFAULT_LIMITS, type Limits } from "./limits.ts";
import { checkLiveness, checkOnHint } from "./liveness.ts";
import type { AddressSource, Drop, Machine, Ports, Traffic } from "./machine.ts";
import type { LocalNetwork } from "./mobility/local-network.ts";
import { networkChanged } from "./mobility/network-changed.ts";
import { notify } from "./payloads.ts";
import { STANDARD_PORTS } from "./ports.ts";
import { Redirects } from "./redirect/redirects.ts";
import { canBeSentAway, sendAway } from "./redirect/send-away.ts";
import { settleRenewal } from "./renewal.ts";
import type { TicketOffice } from "./resumption/ticket-office.ts";
import type { TicketWallet } from "./resumption/ticket-wallet.ts";
import { answerStray, reportStrayEsp, takeHint } from "./strays.ts";
import { type OpenStream, streamClosed } from "./streams.ts";
import { type Deadline, Timers } from "./timers.ts";
import { TokenBucket } from "./token-bucket.ts";
import { accountOf, isShared, settleDuplicates } from "./uniqueness.ts";
import { type IkeSaView, viewOf } from "./view.ts";

/**
 * The IKE machine: every IKE SA of this host, without sockets and without a clock.
 *
 * @example
 * ike.handle({ kind: "datagram", octets, path }, now);
 * for (let output = ike.poll(); output !== undefined; output = ike.poll()) perform(output);
 * const deadline = ike.deadline; // hand in { kind: "timer" } by then
 */
export class IkeEndpoint {
  readonly #machine: EndpointMachine;

  /**
   * `allocateSpi` takes a free inbound ESP SPI from the data plane; what is not used comes back as "release-spi". `ports`
   * are our own UDP ports where they are not 500 and 4500. `traffic` asks the data plane when a child SA last carried something,
   * `pathMtu` for the largest packet of use on a path, IP header included: without it no path is probed; `network` for our addresses and
   * routes: without it there is no MOBIKE; `openStream` opens TCP connections: without it there are none of ours; `crashSecret`, 32 octets that outlive us, shows peers that we have lost what they go on with. `tickets` are
   * for peers that may resume their sessions, and `wallet` keeps those that we have from peers. `onIkeSpi`
   * is told which SPIs of IKE SAs are ours from now on, or no more. `addresses` are for peers of connections that give any. `impair`
   * makes it misbehave on purpose, in tests.
   */
  constructor(facts: {
    readonly connections: readonly ConnectionPolicy[];
    readonly random: Random;
    readonly allocateSpi: () => number | undefined;
    readonly traffic?: (inboundSpi: number) => Traffic | undefined;
    readonly pathMtu?: (path: Path) => number | undefined;
    readonly network?: LocalNetwork;
    readonly openStream?: OpenStream;
    readonly crashSecret?: Uint8Array;
    readonly tickets?: TicketOffice;
    readonly wallet?: TicketWallet;
    readonly limits?: Partial<Limits>;
    readonly ports?: Ports;
    readonly addresses?: AddressSource;
    readonly onIkeSpi?: (localSpi: bigint, isInUse: boolean) => void;
    readonly impair?: Impair;
  }) {
    this.#machine = new EndpointMachine(facts);
  }

  /**
   * Takes one input at the time `now`, in milliseconds of a clock that never goes back. Whatever a datagram holds, this
   * does not throw; it throws RangeError for a connection that does not exist.
   */
  handle(input: IkeInput, now: number): void {
    const machine = this.#machine;
    machine.timers.fireDue(now);
    switch (input.kind) {
      case "datagram":
        machine.receive(input.octets, input.path, now);
        return;
      case "initiate":
        machine.initiate(input, now);
        return;
      case "terminate":
        machine.terminate({ ...input, now });
        return;
      case "liveness":
        machine.checkLiveness(input.connection, now);
        return;
      case "awakened":
        for (const ikeSa of machine.ikeSas) checkOnHint(ikeSa, now);
        return;
      case "seen-elsewhere":
        machine.seenElsewhere(input.inboundSpi, input.path, now);
        return;
      case "stream-closed":
        streamClosed(machine, input.stream, now);
        return;
      case "network-changed":
        machine.tcpRecalledUntil.clear();
        for (const ikeSa of machine.ikeSas) networkChanged(ikeSa, now);
        return;
      case "stray-esp":
        reportStrayEsp(machine, { ...input, now });
        return;
      case "rekey":
        machine.rekey(input.connection, input.what, now);
        return;
      case "redirect":
        machine.redirect(input, now);
        return;
      case "located":
        machine.located(input.id, input.found, now);
        return;
      case "used-up":
        machine.usedUp({ ...input, now });
        return;
      case "computed":
        machine.computed(input.id, input.result, now);
        return;
      case "authenticated":
        machine.authenticated(input.id, input.result, now);
        return;
      case "timer":
        return;
    }
  }

  /** The next thing to do, in order, or undefined when there is nothing. */
  poll(): IkeOutput | undefined {
    return this.#machine.outputs.shift();
  }

  /** When the machine wants to be handed a "timer", and why. */
  get deadline(): Deadline | undefined {
    return this.#machine.timers.nearest;
  }

  /** What became of datagrams and attempts. */
  get counters(): Readonly<Counters> {
    return this.#machine.counters;
  }

  /** IKE SAs of peers that began them and are not authenticated. */
  get halfOpenCount(): number {
    return this.#machine.halfOpen.size;
  }

  /** The IKE SAs as they are now, without those that are closed. */
  get ikeSas(): readonly IkeSaView[] {
    return views(this.#machine.ikeSas);
  }

  /** Those of one connection. */
  ikeSasOf(connection: string): readonly IkeSaView[] {
    return views(this.#machine.ikeSasOf(connection));
  }

  /** States of the connection's IKE SAs. Costs little also with many of them. */
  statesOf(connection: string): readonly IkeSaView["state"][] {
    return this.#machine.ikeSasOf(connection).map(({ state }) => state.name);
  }

  /** The TCP connections that IKE SAs go through, by stream: whether one of them is with a peer that we know. */
  get streams(): ReadonlyMap<number, "established" | "negotiating"> {
    const streams = new Map<number, "established" | "negotiating">();
    for (const { path, state, mobility } of this.#machine.ikeSas) {
      const { trial } = mobility.transports;
      if (trial !== undefined) streams.set(trial, "negotiating");
      if (path.stream === undefined) continue;
      const isKnown = ["established", "rekeyed", "deleting"].includes(state.name);
      if (isKnown) streams.set(path.stream, "established");
      else if (!streams.has(path.stream)) streams.set(path.stream, "negotiating");
    }
    return streams;
  }

  /** Whether an established IKE SA of the connection carries a child SA of each of these names. */
  carries(connection: string, children: readonly string[]): boolean {
    return this.#machine
      .ikeSasOf(connection)
      .some(
        ({ state, childSas }) =>
          state.name === "established" &&
          children.every((child) => childSas.some(({ name }) => name === child)),
      );
  }

  /** Whether somebody is logged in by this EAP identity. */
  hasUser(user: string): boolean {
    return this.#machine
      .ikeSasOfAccount(accountOf({ user, remoteIdentity: undefined }))
      .some(({ state }) => state.name === "established");
  }

  /** How many clients of the connection, or of the user there, can be sent elsewhere, and how many cannot. */
  countRedirectable(connection: string, user?: string): { readonly able: number; readonly unable: number } {
    const clients = this.#machine.clientsOf(connection, user);
    const able = clients.filter(canBeSentAway).length;
    return { able, unable: clients.length - able };
  }

  /**
   * Takes over another configuration. SAs go on under the policy that they were made with; whoever drops a connection
   * terminates it as well, and later: it would come back before.
   */
  replaceConnections(connections: readonly ConnectionPolicy[]): void {
    this.#machine.connections = connections.map(withCompat);
  }
}

function views(ikeSas: readonly IkeSa[]): readonly IkeSaView[] {
  return ikeSas.filter(({ state }) => state.name !== "closed").map(viewOf);
}

/** What the IKE SAs of an endpoint share. */
class EndpointMachine implements Machine {
  readonly limits: Limits;
  readonly ports: Ports;
  readonly random: Random;
  readonly timers = new Timers();
  readonly counters = newCounters();
  readonly halfOpen: HalfOpenTable;
  readonly cookies: CookieJar;
  readonly redirects: Redirects;
  readonly reassemblyBudget = { octets: 0 };
  readonly outputs: IkeOutput[] = [];
  readonly impair: Impair | undefined;
  readonly pathMtu: ((path: Path) => number | undefined) | undefined;
  readonly network: LocalNetwork | undefined;
  readonly openStream: OpenStream | undefined;
  readonly tcpRecalledUntil = new Map<string, number>();
  readonly crashTokens: CrashTokens | undefined;
  readonly tickets: TicketOffice | undefined;
  readonly wallet: TicketWallet | undefined;
  readonly addresses: AddressSource;
  connections: readonly ConnectionPolicy[];

  readonly #allocateSpi: () => number | undefined;
  readonly #onIkeSpi: (localSpi: bigint, isInUse: boolean) => void;
  readonly #bySpi = new Map<bigint, IkeSa>();
  readonly #byInit = new Map<string, IkeSa>();
  /** Each IKE SA under the name of its connection. */
  readonly #byConnection = new Map<string | undefined, Set<IkeSa>>();
  /** Each IKE SA with an authenticated peer under its account. */
  readonly #byAccount = new Map<string, Set<IkeSa>>();
  readonly #jobs = new Map<number, (result: ComputeResult, now: number) => void>();
  readonly #logins = new Map<number, (result: AuthenticationResult, now: number) => void>();
  readonly #locating = new Map<number, (found: LocatedGateway, now: number) => void>();
  #lastJob = 0;
  #lastSession = 0;
  readonly #dropEvents: TokenBucket;
  readonly #unverifiedEvents: TokenBucket;
  readonly #errors: TokenBucket;
  readonly #strays: TokenBucket;
  readonly #hints: TokenBucket;
  readonly #seenElsewhere: TokenBucket;
  readonly #traffic: (inboundSpi: number) => Traffic | undefined;

  constructor(facts: ConstructorParameters<typeof IkeEndpoint>[0]) {
    this.connections = facts.connections.map(withCompat);
    this.impair = facts.impair;
    this.pathMtu = facts.pathMtu;
    this.network = facts.network;
    this.openStream = facts.openStream;
    this.crashTokens = facts.crashSecret && new CrashTokens(facts.crashSecret);
    this.tickets = facts.tickets;
    this.wallet = facts.wallet;
    this.addresses = facts.addresses ?? NO_ADDRESSES;
    this.random = facts.random;
    this.ports = facts.ports ?? STANDARD_PORTS;
    this.limits = { ...DEFAULT_LIMITS, ...facts.limits };
    this.#allocateSpi = facts.allocateSpi;
    this.#onIkeSpi = facts.onIkeSpi ?? (() => {});
    this.halfOpen = new HalfOpenTable(this.limits);
    this.redirects = new Redirects(this.limits);
    this.cookies = new CookieJar({ random: facts.random, lifetimeMs: this.limits.cookieSecretLifetimeMs });
    this.#dropEvents = new TokenBucket(this.limits.dropEventsPerSecond);
    this.#unverifiedEvents = new TokenBucket(this.limits.unverifiedEventsPerSecond);
    this.#errors = new TokenBucket(this.limits.unprotectedErrorsPerSecond);
    this.#strays = new TokenBucket(this.limits.strayAnswersPerSecond);
    this.#hints = new TokenBucket(this.limits.hintsPerSecond);
    this.#seenElsewhere = new TokenBucket(this.limits.seenElsewherePerSecond);
    this.#traffic = facts.traffic ?? (() => undefined);
  }

  get ikeSas(): readonly IkeSa[] {
    return [...this.#bySpi.values()];
  }

  ikeSasOf(connection: string | undefined): readonly IkeSa[] {
    return [...(this.#byConnection.get(connection) ?? [])];
  }

  ikeSasOfAccount(account: string): readonly IkeSa[] {
    return [...(this.#byAccount.get(account) ?? [])];
  }

  nextSession(): number {
    return ++this.#lastSession;
  }

  identified(ikeSa: IkeSa): void {
    const account = accountOf(ikeSa);
    this.#byAccount.set(account, (this.#byAccount.get(account) ?? new Set()).add(ikeSa));
  }

  connected(ikeSa: IkeSa, before: string | undefined): void {
    this.#unlist(ikeSa, before);
    if (this.#bySpi.get(ikeSa.localSpi) === ikeSa) this.#list(ikeSa);
  }

  #list(ikeSa: IkeSa): void {
    const name = ikeSa.connection?.name;
    this.#byConnection.set(name, (this.#byConnection.get(name) ?? new Set()).add(ikeSa));
  }

  #unlist(ikeSa: IkeSa, name: string | undefined): void {
    const ikeSas = this.#byConnection.get(name);
    ikeSas?.delete(ikeSa);
    if (ikeSas?.size === 0) this.#byConnection.delete(name);
  }

  // ---- Inputs ---------------------------------------------------------------------------------------------

  receive(octets: Uint8Array, path: Path, now: number): void {
    this.counters.received++;
    try {
      this.#receive(octets, path, now);
    } catch (error) {
      if (error instanceof WireError) this.dropFrom("malformed", error.message, path, now);
      else this.dropFrom("internalErrors", error instanceof Error ? error.message : String(error), path, now);
    }
  }

  /** Whom a datagram is for, by SPI. Most of what is not for us ends here, before anything is decoded. */
  #receive(octets: Uint8Array, path: Path, now: number): void {
    const header = decodeHeader(octets);
    if (header.majorVersion !== MAJOR_VERSION) {
      this.#refuseVersion(header, path, now);
      return;
    }
    const isFirst = isFirstType(header.exchangeType) && !header.isResponse && header.responderSpi === 0n;
    const localSpi = header.isInitiator ? header.responderSpi : header.initiatorSpi;
    const peerSpi = header.isInitiator ? header.initiatorSpi : header.responderSpi;
    const ikeSa = isFirst ? undefined : this.#bySpi.get(localSpi);
    const isOurs =
      ikeSa !== undefined &&
      (ikeSa.role === "responder") === header.isInitiator &&
      (ikeSa.peerSpi === peerSpi || isAlone(ikeSa));
    if (!isFirst && !isOurs) {
      const stray = { octets, header, path, now };
      if (ikeSa === undefined && takeHint(this, stray)) return;
      if (ikeSa === undefined) answerStray(this, stray);
      this.dropFrom("unknownSpi", "no IKE SA has these SPIs", path, now);
      return;
    }
    if (isFirst && this.#bySpi.has(header.initiatorSpi)) {
      this.dropFrom("unexpected", "our own SPI comes back as the peer's", path, now);
      return;
    }

    if (isFirst) {
      processInitRequest(this, { octets, header, path, now });
      return;
    }
    // The caller may use its buffer again; what we decode is ours.
    const own = octets.slice();
    ikeSa?.receive({ octets: own, message: decodeMessage(own), path, now });
  }

  /** RFC 7296 section 2.5: a request of a higher version is told which one we speak. */
  #refuseVersion(header: Header, path: Path, now: number): void {
    this.dropFrom("wrongVersion", `major version ${header.majorVersion}`, path, now);
    const isAnswerable = header.majorVersion > MAJOR_VERSION && !header.isResponse;
    if (!isAnswerable || !this.mayTransmitError(now)) return;
    const { initiatorSpi, responderSpi, exchangeType, messageId } = header;
    const octets = encodeMessage({
      initiatorSpi,
      responderSpi,
      exchangeType,
      isInitiator: !header.isInitiator,
      isResponse: true,
      messageId,
      payloads: [notify(NotifyType.INVALID_MAJOR_VERSION)],
    });
    this.counters.transmitted++;
    this.emit({ kind: "transmit", octets, path });
  }

  initiate(
    { connection: name, trigger }: { readonly connection: string; readonly trigger?: Trigger | undefined },
    now: number,
  ): void {
    const connection = this.#connection(name);
    const underWay = this.ikeSasOf(name).filter(
      (ikeSa) => !["rekeyed", "deleting", "closed"].includes(ikeSa.state.name),
    );
    for (const ikeSa of underWay) ikeSa.want();
    if (underWay.length === 0) connect(this, { connection, trigger }, now);
    for (const ikeSa of this.#established(name)) {
      if (!ikeSa.childSas.some(({ name }) => name === trigger?.child)) ikeSa.trigger = trigger;
      createMissingChildren(ikeSa, now);
    }
  }

  rekey(name: string, what: "children" | "ike", now: number): void {
    for (const ikeSa of this.#established(name)) {
      if (what === "ike") rekeyIkeSa(ikeSa);
      else for (const childSa of [...ikeSa.childSas]) rekeyChild(childSa, now);
    }
  }

  usedUp(facts: {
    readonly inboundSpi: number;
    readonly limit: "soft" | "hard";
    readonly connection: string;
    readonly now: number;
  }): void {
    const { inboundSpi, limit, connection, now } = facts;
    const childSas = this.ikeSasOf(connection).flatMap((ikeSa) => ikeSa.childSas);
    const childSa = childSas.find((candidate) => candidate.inboundSpi === inboundSpi);
    if (childSa === undefined) return;
    // Clients that share a connection rekey by themselves.
    if (limit === "soft" && isShared(childSa.owner)) return;
    if (limit === "soft") rekeyChild(childSa, now);
    else expireChild(childSa, now);
  }

  seenElsewhere(inboundSpi: number, path: Path, now: number): void {
    if (!this.#seenElsewhere.take(now)) return;
    const isIt = (childSa: ChildSa): boolean => childSa.inboundSpi === inboundSpi;
    const ikeSa = this.ikeSas.find(({ childSas }) => childSas.some(isIt));
    ikeSa?.mobility.seenAt(path, now);
  }

  /** Without one that may yet take over from another, or go: while that is not decided, the other carries all. */
  #established(name: string): readonly IkeSa[] {
    return this.ikeSasOf(name).filter(
      ({ state, predecessor }) => state.name === "established" && predecessor === undefined,
    );
  }

  terminate(facts: {
    readonly connection: string;
    readonly child?: string;
    readonly inboundSpi?: number;
    readonly user?: string;
    readonly session?: number;
    readonly message?: string;
    readonly now: number;
  }): void {
    const { connection, child, inboundSpi, user, session, message: reason = "terminated by us", now } = facts;
    const isWhole = [child, inboundSpi, user, session].every((part) => part === undefined);
    if (isWhole) this.wallet?.drop(connection);
    for (const ikeSa of this.ikeSasOf(connection)) {
      if (user !== undefined && ikeSa.user !== user) continue;
      if (session !== undefined && ikeSa.session?.number !== session) continue;
      if (inboundSpi !== undefined) {
        const isIt = (childSa: ChildSa): boolean => childSa.inboundSpi === inboundSpi;
        deleteOnBothSides(ikeSa, ikeSa.childSas.filter(isIt), { reason, now });
      } else if (child === undefined) ikeSa.terminate({ reason: "terminated", message: reason }, now);
      else terminateChild(ikeSa, child, { reason, now });
    }
  }

  /** One after the other, so that the other gateway does not get all of them at once. */
  redirect(
    facts: { readonly connection: string; readonly user?: string | undefined; readonly host: string },
    now: number,
  ): void {
    const { connection, user, host } = facts;
    const clients = this.clientsOf(connection, user).filter(canBeSentAway);
    for (const [i, ikeSa] of clients.entries()) {
      const at = now + (1000 * i) / this.limits.sentAwayPerSecond;
      const fire = (then: number): void => sendAway(ikeSa.heir, host, then);
      if (i === 0) fire(now);
      else this.timers.set({ at, reason: "redirect", fire });
    }
  }

  clientsOf(connection: string, user: string | undefined): readonly IkeSa[] {
    return this.ikeSasOf(connection).filter(
      (ikeSa) =>
        ikeSa.state.name === "established" && !ikeSa.isCaller && (user === undefined || ikeSa.user === user),
    );
  }

  located(id: number, found: LocatedGateway, now: number): void {
    const then = this.#locating.get(id);
    this.#locating.delete(id);
    then?.(found, now);
  }

  checkLiveness(name: string, now: number): void {
    for (const ikeSa of this.ikeSasOf(name)) checkLiveness(ikeSa, { isCommanded: true, now });
  }

  computed(id: number, result: ComputeResult, now: number): void {
    const then = this.#jobs.get(id);
    this.#jobs.delete(id);
    then?.(result, now);
  }

  authenticated(id: number, result: AuthenticationResult, now: number): void {
    const then = this.#logins.get(id);
    this.#logins.delete(id);
    then?.(result, now);
  }

  #connection(name: string): ConnectionPolicy {
    const connection = this.connections.find((candidate) => candidate.name === name);
    if (connection === undefined) throw new RangeError(`no connection "${name}"`);
    return connection;
  }

  // ---- What IKE SAs ask for -------------------------------------------------------------------------------

  emit(output: IkeOutput): void {
    this.outputs.push(output);
  }

  report(event: IkeEvent): void {
    this.emit({ kind: "event", event });
  }

  reportUnverified(tell: () => IkeEvent, now: number): void {
    if (this.#unverifiedEvents.take(now)) this.report({ ...tell(), isUnverified: true });
  }

  drop(drop: Drop, now: number): void {
    this.counters[drop.counter]++;
    if (this.#dropEvents.take(now)) this.report(datagramDropped(drop));
  }

  dropFrom(counter: DropCounter, reason: string, path: Path, now: number): void {
    this.counters[counter]++;
    if (this.#dropEvents.take(now))
      this.report(datagramDropped({ counter, reason, from: formatEnd(path.remote) }));
  }

  mayTransmitError(now: number): boolean {
    return this.#errors.take(now);
  }

  mayAnswerStray(now: number): boolean {
    return this.#strays.take(now);
  }

  mayTakeHint(now: number): boolean {
    return this.#hints.take(now);
  }

  traffic(inboundSpi: number): Traffic | undefined {
    return this.#traffic(inboundSpi);
  }

  compute(job: ComputeJob, then: (result: ComputeResult, now: number) => void): void {
    const id = ++this.#lastJob;
    this.#jobs.set(id, then);
    this.emit({ kind: "compute", id, job });
  }

  authenticate(job: AuthenticationJob, then: (result: AuthenticationResult, now: number) => void): void {
    const id = ++this.#lastJob;
    this.#logins.set(id, then);
    this.emit({ kind: "authenticate", id, job });
  }

  locate(
    gateway: { readonly connection: string; readonly host: string },
    then: (found: LocatedGateway, now: number) => void,
  ): void {
    const id = ++this.#lastJob;
    this.#locating.set(id, then);
    this.emit({ kind: "locate", id, ...gateway });
  }

  get hasTooManyLogins(): boolean {
    return this.#logins.size >= this.limits.loginCount;
  }

  allocateSpi(): number | undefined {
    return this.#allocateSpi();
  }

  adopt(facts: Omit<IkeSaFacts, "machine" | "localSpi"> & { readonly localSpi?: bigint }): IkeSa {
    const { localSpi = this.newIkeSpi() } = facts;
    const ikeSa = new IkeSa({ ...facts, machine: this, localSpi });
    this.#bySpi.set(localSpi, ikeSa);
    this.#onIkeSpi(localSpi, true);
    this.#list(ikeSa);
    return ikeSa;
  }

  hasIkeSpi(localSpi: bigint): boolean {
    return this.#bySpi.has(localSpi) || this.ikeSas.some(({ attempt }) => attempt?.spi === localSpi);
  }

  findByInit(initKey: string): IkeSa | undefined {
    return this.#byInit.get(initKey);
  }

  rememberInit(initKey: string, ikeSa: IkeSa): void {
    ikeSa.initKey = initKey;
    this.#byInit.set(initKey, ikeSa);
  }

  established(ikeSa: IkeSa, now: number): void {
    settleDuplicates({ ikeSa, now });
    settleRenewal(ikeSa, now);
    if (ikeSa.state.name === "established") thinOut(ikeSa, now);
  }

  forget(ikeSa: IkeSa): void {
    if (this.#bySpi.delete(ikeSa.localSpi)) this.#onIkeSpi(ikeSa.localSpi, false);
    this.#unlist(ikeSa, ikeSa.connection?.name);
    const account = accountOf(ikeSa);
    const ofAccount = this.#byAccount.get(account);
    ofAccount?.delete(ikeSa);
    if (ofAccount?.size === 0) this.#byAccount.delete(account);
    if (ikeSa.initKey !== undefined) this.#byInit.delete(ikeSa.initKey);
  }

  /** RFC 7296 section 3.1: never zero; random, so that who has not seen our messages cannot name it. */
  newIkeSpi(): bigint {
    for (;;) {
      const octets = this.random.bytes(8);
      const spi = new DataView(octets.buffer, octets.byteOffset, 8).getBigUint64(0);
      if (spi !== 0n && !this.#bySpi.has(spi)) return spi;
    }
  }
}

const MAJOR_VERSION = 2;

function isFirstType(exchangeType: number): boolean {
  return exchangeType === ExchangeType.IKE_SA_INIT || exchangeType === ExchangeType.IKE_SESSION_RESUME;
}

/** The peer has not told its SPI yet. */
function isAlone({ state }: IkeSa): boolean {
  return state.name === "initiating" || state.name === "resuming";
}

const NO_ADDRESSES: AddressSource = { assign: () => "exhausted", release: () => {} };
