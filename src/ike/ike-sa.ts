import { wipe } from "../bytes/wipe.ts";
import { wipeIkeKeys } from "../crypto/keymat.ts";
import type { EapGrants } from "../eap/session.ts";
import { ExchangeType } from "../iana/ikev2-parameters.ts";
import type { Credential } from "../pki/credential.ts";
import type { Path } from "../platform/address.ts";
import type { ConnectionPolicy, Identity } from "../policy/connection.ts";
import type { InternalConfiguration } from "../policy/internal-configuration/configuration.ts";
import type { AddressLease } from "../pool/address-pools.ts";
import type { Header, Message } from "../wire/message.ts";
import type { Answer, Closing, Fault } from "./answer.ts";
import type { ChildAttempt, ChildSa } from "./child-sa.ts";
import { removeChildSa } from "./child-sa-deletion.ts";
import type { ClientGuess, FirstImpression } from "./client-guess.ts";
import { type ClientSession, endSession } from "./client-session.ts";
import type { DropCounter } from "./counters.ts";
import { thinOut } from "./crowding.ts";
import { processRequest, processResponse } from "./dispatch.ts";
import { endLogin } from "./eap-conversation.ts";
import { formatEnd, ikeSaDeleted, ikeSaFailed, rekeyFailed } from "./events.ts";
import { giveUpOnHint, processInitResponse } from "./exchanges/ike-sa-init-response.ts";
import { processResumeResponse } from "./exchanges/ike-session-resume.ts";
import { endIkeAttempt, type IkeAttempt, preferRival, rekeyIkeSa } from "./exchanges/rekey-ike-sa.ts";
import type { HalfOpenPlace } from "./half-open.ts";
import { type Authenticating, type IkeSaState, isKeyed, type Keyed } from "./ike-sa-state.ts";
import { describe, Inbox } from "./inbox.ts";
import { dropConfiguration, releaseAddresses } from "./internal-addresses.ts";
import type { Trigger } from "./io.ts";
import { keepAlive } from "./keepalive.ts";
import { lifetimeOf } from "./lifetimes.ts";
import { watchLiveness } from "./liveness.ts";
import type { Machine } from "./machine.ts";
import { Mobility } from "./mobility/mobility.ts";
import { isSamePath } from "./mobility/ways.ts";
import { Outbox } from "./outbox.ts";
import { PathProber } from "./path-prober.ts";
import { deleteIkeSa } from "./payloads.ts";
import { PendingExchanges } from "./pending-exchanges.ts";
import { PostponedChildren } from "./postponed-children.ts";
import { authenticated, watchAuthentication } from "./reauthentication.ts";
import type { SentTo } from "./redirect/follow.ts";
import type { RedirectSupport } from "./redirect/send-away.ts";
import { renew } from "./renewal.ts";
import type { TicketFamily } from "./resumption/ticket-office.ts";
import { endTickets } from "./resumption/tickets.ts";
import { noteStream } from "./streams.ts";
import { NamedTimers } from "./timers.ts";
import { TokenBucket } from "./token-bucket.ts";

/** Timers of an SA that is to stay. */
const LIFETIMES = [
  "rekey",
  "renew",
  "ticket",
  "reauthenticate",
  "expire",
  "path-mtu",
  "stream",
  "udp",
] as const;

export type Role = "initiator" | "responder";

/** A message on its way in. */
interface Received {
  /** The machine's own and stay as they are; the message views them. */
  readonly octets: Uint8Array;
  readonly message: Message;
  readonly path: Path;
  readonly now: number;
}

export interface IkeSaFacts {
  readonly machine: Machine;
  readonly role: Role;
  readonly localSpi: bigint;
  readonly path: Path;
  readonly state: IkeSaState;
  readonly connection: ConnectionPolicy | undefined;
  readonly now: number;
}

/** One IKE SA, from the first message to the last: its windows, timers, keys and children. The exchanges themselves are in `exchanges/`. */
export class IkeSa {
  readonly machine: Machine;
  readonly role: Role;
  readonly localSpi: bigint;
  readonly createdAt: number;
  readonly timers: NamedTimers;
  readonly outbox: Outbox;
  readonly childSas: ChildSa[] = [];
  /** Child SAs of ours that are on their way. */
  readonly childAttempts = new Set<ChildAttempt>();
  /** What the peer did not make, and is asked for again. */
  readonly postponed: PostponedChildren;
  /** What the peer has begun, and needs further key exchanges for. */
  readonly pending: PendingExchanges;
  /** What the path to the peer carries. */
  readonly prober: PathProber;
  /** How it moves to another path. */
  readonly mobility: Mobility;

  peerSpi = 0n;
  path: Path;
  state: IkeSaState;
  remoteIdentity: Identity | undefined;
  /** Responder: the place held among the half-open SAs. */
  halfOpenPlace: HalfOpenPlace | undefined;
  /** Key under which the endpoint finds repeated IKE_SA_INIT requests. */
  initKey: string | undefined;
  supportsFragmentation = false;
  /** Initiator: where we were sent to, in place of the configured address. */
  sentTo: SentTo | undefined;
  /** Responder: the peer can be sent elsewhere. */
  redirectSupport: RedirectSupport | undefined;
  /** Initiator: the peer takes an IKE_AUTH without a child SA (RFC 6023). */
  supportsChildless = false;
  /** Whether the NAT_DETECTION payloads of the peer say that an end sits behind a NAT. */
  isBehindNat = false;
  isPeerBehindNat = false;
  /** Whether both sides do NAT traversal. */
  traversesNats = false;
  /** HashAlgorithm numbers that the peer verifies signatures with (RFC 7427 section 4); none when it did not say. */
  signatureHashes: readonly number[] = [];
  /** Responder: our AUTH was made with RSA and SHA-1, since the peer announced no hash (RFC 7296 section 3.8). */
  signsWithSha1 = false;
  /** Initiator: the certificate to show, where there is a choice. */
  credential: Credential | undefined;
  /** Both sides have said that they could use a PPK. */
  hasBothUsePpk = false;
  /** There is a PPK in its keys, or in those that it was rekeyed from. */
  hasPpk = false;
  /** Responder: who has logged in, by its EAP identity. */
  user: string | undefined;
  /** What that login rested on, where accounts are ours. */
  account: Uint8Array | undefined;
  /** Responder: how the peer looked at first, until it has shown who it is. */
  impression: FirstImpression | undefined;
  /** Responder: which client the peer seems to be, where many share a connection. */
  client: ClientGuess | undefined;
  /** What RADIUS grants with the login. */
  grants: EapGrants | undefined;
  /** Of a gateway's client; with its heir once that has taken over. */
  session: ClientSession | undefined;
  /** Addresses that the peer has from us. */
  lease: AddressLease | undefined;
  /** What we have from the network behind the peer. */
  configuration: InternalConfiguration | undefined;
  /** The packet that calls for a child SA, until that is offered. */
  trigger: Trigger | undefined;
  /** Responder: the peer says that it has no other SA with us (RFC 7296 section 2.4). */
  receivedInitialContact = false;
  /** Lowest of the two nonces, kept to settle simultaneous connections (as RFC 7296 section 2.8.1 does for rekeying). */
  lowestNonce: Uint8Array = new Uint8Array(0);
  /** From the first message to the last of IKE_AUTH. */
  negotiationMs = 0;
  /** Our attempt to replace this IKE SA. */
  attempt: IkeAttempt | undefined;
  /** The IKE SA that has taken over. */
  successor: IkeSa | undefined;
  /** The IKE SA that this one may take over from: ours and the peer's rekeying crossed, and it is not decided which stays. */
  predecessor: IkeSa | undefined;
  /** The peer's rekeying made this one, and nothing shows yet that our answer has reached the peer. */
  isUnconfirmed = false;
  /** Initiator: the same attempt by UDP or TCP, as this one is not. Its end is not told of: the other may yet succeed. */
  twin: IkeSa | undefined;
  /** Since when no TCP connection has brought anything, where the last one has broken, and how often another was opened since. */
  streamLostAt: number | undefined;
  streamTries = 0;
  /** When the last authentic message came that nobody had sent before. */
  heardAt = 0;
  /** A round trip, as far as is known, or more. */
  roundTripMs = 0;
  /** Since when child SAs send and get nothing back, as far as we have looked. */
  unansweredSince: number | undefined;
  /** When a hint last made us ask, and when we last told the peer of its stray ESP. */
  hintedAt = Number.NEGATIVE_INFINITY;
  strayReportedAt = Number.NEGATIVE_INFINITY;

  /** Whether it was us who connected, however often the IKE SA has been rekeyed since. */
  isCaller: boolean;

  /** Until when what was shown in IKE_AUTH holds, however often the IKE SA is rekeyed; undefined is for ever. */
  authenticUntil: number | undefined;

  /** What the peer will show when it has lost this IKE SA. */
  crashToken: Uint8Array | undefined;

  /** It goes on with a session that was resumed by a ticket. */
  isResumed = false;
  /** Gateway: of the tickets that the peer has from us. */
  ticketFamily: TicketFamily | undefined;
  /** Client: until when the ticket is good that we have for this connection. */
  ticketUntil: number | undefined;

  /** Attempts to rekey it that came to nothing. */
  failedRekeys = 0;
  /** Key exchanges of ours in a row of which the peer knows nothing any more. */
  statesNotFound = 0;
  /** The IKE SA that could not be rekeyed, and that this one is to take the place of. */
  renews: IkeSa | undefined;
  /** CREATE_CHILD_SA requests of the peer, of this IKE SA and of those that it has replaced. */
  creations: TokenBucket;

  readonly #inbox: Inbox;
  #connection: ConnectionPolicy | undefined;
  #isUnwanted = false;

  constructor(facts: IkeSaFacts) {
    this.machine = facts.machine;
    this.role = facts.role;
    this.isCaller = facts.role === "initiator";
    this.localSpi = facts.localSpi;
    this.path = facts.path;
    this.state = facts.state;
    this.#connection = facts.connection;
    this.createdAt = facts.now;
    this.timers = new NamedTimers(facts.machine.timers);
    this.outbox = new Outbox(this);
    this.creations = new TokenBucket(facts.machine.limits.peerCreationsPerSecond);
    this.postponed = new PostponedChildren(this);
    this.pending = new PendingExchanges(this);
    this.prober = new PathProber(this);
    this.mobility = new Mobility(this);
    this.#inbox = new Inbox(this);
  }

  /** What we know the peer to be: at once for an initiator, after authentication for a responder. */
  get connection(): ConnectionPolicy | undefined {
    return this.#connection;
  }

  set connection(connection: ConnectionPolicy | undefined) {
    const before = this.#connection?.name;
    this.#connection = connection;
    if (connection?.name !== before) this.machine.connected(this, before);
  }

  get initiatorSpi(): bigint {
    return this.role === "initiator" ? this.localSpi : this.peerSpi;
  }

  get responderSpi(): bigint {
    return this.role === "initiator" ? this.peerSpi : this.localSpi;
  }

  /** The IKE SA that carries the child SAs now: this one, or the last that has taken over. */
  get heir(): IkeSa {
    return this.successor === undefined ? this : this.successor.heir;
  }

  /** Whether anything authentic has come in it. */
  get hasHeard(): boolean {
    return this.#inbox.hasHeard;
  }

  // ---- Receiving ------------------------------------------------------------------------------------------

  receive(received: Received): void {
    const { message, path, now } = received;
    const { header } = message;
    const { state } = this;
    switch (state.name) {
      case "initiating":
        if (header.exchangeType !== ExchangeType.IKE_SA_INIT || !header.isResponse) break;
        processInitResponse(this, received);
        return;
      case "resuming":
        if (header.exchangeType !== ExchangeType.IKE_SESSION_RESUME || !header.isResponse) break;
        processResumeResponse(this, received);
        return;
      case "authenticating":
      case "established":
      case "rekeyed":
      case "deleting":
        if (header.exchangeType === ExchangeType.IKE_SA_INIT) break;
        if (header.exchangeType === ExchangeType.IKE_SESSION_RESUME) break;
        this.#receiveProtected(state, received);
        return;
      case "closed":
        this.#answerFromGrave(header, path, now);
        return;
      case "responding":
      case "agreeing":
        break;
    }
    this.drop("unexpected", `${describe(header)} in state ${state.name}`, path, now);
  }

  #receiveProtected(state: Keyed, received: Received): void {
    const { path, now } = received;
    const incoming = this.#inbox.open(state, received);
    if (incoming === undefined) return;
    if (incoming.header.isResponse) this.isUnconfirmed = false;
    else this.#confirm(now);
    // An authentic message newer than all before it: the peer is where it came from (RFC 7296 section 2.23).
    if (incoming.isNewest && this.#mayFollow(path)) this.#follow(path, now);
    noteStream(this, path);
    if (!incoming.header.isResponse) this.outbox.replyPath = path;
    if (incoming.header.isResponse) processResponse(this, incoming, { path, now });
    else processRequest(this, incoming, { path, now });
  }

  /**
   * RFC 7296 section 2.23: only a NAT moves a peer that does not say so; whoever sits behind one itself does not follow, since
   * a datagram that somebody catches and sends on would draw it away. Who was called through a NAT has a fixed place in it, and
   * has to follow its callers. Up to the end of IKE_AUTH the port moves in any case. With MOBIKE the peer says so, and what it sends
   * another way may be to find out whether that works (RFC 4555 section 3.8). Of TCP connections the caller knows which one is the last;
   * whoever was called takes the one that it hears by (RFC 9329 section 6.1).
   */
  #mayFollow({ stream }: Path): boolean {
    const { stream: current } = this.path;
    if (this.isCaller && (stream !== undefined || current !== undefined)) return false;
    if (stream !== undefined) return current !== undefined || !this.mobility.isAgreed;
    if (this.state.name === "authenticating") return true;
    if (this.mobility.isAgreed) return false;
    return this.isPeerBehindNat && !(this.isBehindNat && this.isCaller);
  }

  #follow(path: Path, now: number): void {
    // The delete of an IKE SA that was replaced may be the first that comes from the new address.
    const { heir } = this;
    if (heir !== this && !heir.#inbox.hasHeard) heir.#follow(path, now);
    if (!isSamePath(path, this.path)) this.mobility.follow(path, now);
  }

  // ---- Life -----------------------------------------------------------------------------------------------

  /** The peer is who it says it is. */
  establish(now: number): void {
    const { state } = this;
    if (state.name !== "authenticating") return;
    const { proposal, keys, protection } = state;
    state.intermediate?.earlier?.protection.wipe();
    this.state = { name: "established", proposal, keys, protection, establishedAt: now };
    this.negotiationMs = now - this.createdAt;
    this.roundTripMs = Math.max(this.roundTripMs, this.negotiationMs);
    this.#leaveHalfOpen();
    this.timers.cancel("half-open");
    authenticated(this, now);
    this.begin(now);
  }

  /** There are keys and a peer: liveness and lifetimes are watched from here on. */
  begin(now: number): void {
    this.heardAt = now;
    this.machine.identified(this);
    watchLiveness(this, now);
    keepAlive(this, now);
    this.prober.begin(now);
    watchAuthentication(this, now);
    const lifetime = lifetimeOf(this, now);
    if (lifetime === undefined) return;
    const { rekeyAt, expireAt } = lifetime;
    const why = rekeyAt === undefined ? "the client has not rekeyed it" : "rekeying it has failed";
    const closing = { reason: "expired", message: `its lifetime is over, and ${why}` };
    this.timers.set("expire", expireAt, (then) => this.terminate(closing, then));
    if (rekeyAt === undefined) return;
    this.rekeyAt(rekeyAt);
    this.timers.set("renew", expireAt - this.machine.limits.renewalMarginMs, (then) => {
      if (this.failedRekeys > 0) renew(this, then);
    });
  }

  rekeyAt(at: number): void {
    this.timers.set("rekey", at, () => rekeyIkeSa(this));
  }

  requestDeletion(now: number): void {
    this.outbox.request(
      {
        purpose: { kind: "delete-ike-sa" },
        exchangeType: ExchangeType.INFORMATIONAL,
        build: () => [deleteIkeSa()],
      },
      now,
    );
  }

  /** The peer has the IKE SA that its rekeying has made. What we said before it had may have been in vain. */
  #confirm(now: number): void {
    if (!this.isUnconfirmed) return;
    this.isUnconfirmed = false;
    this.outbox.beginAgain(now);
  }

  /** What the user wanted while IKE_AUTH was under way. */
  settle(now: number): void {
    if (this.state.name !== "established") return;
    if (this.#isUnwanted) this.terminate({ reason: "terminated", message: "it is not wanted any more" }, now);
    else this.machine.established(this, now);
  }

  /** Ends the SA in order: what the peer knows of is deleted with it. */
  terminate(closing: Closing, now: number): void {
    switch (this.state.name) {
      case "initiating":
      case "resuming":
      case "agreeing":
      case "responding":
        this.close(closing, now);
        return;
      case "authenticating":
        // The peer may hold an established SA; it is deleted once we know.
        if (this.role === "initiator") this.#isUnwanted = true;
        else this.close(closing, now);
        return;
      case "established": {
        this.attempt?.rival?.terminate(closing, now);
        const { name: _, ...keyed } = this.state;
        this.#removeChildSas(closing.message);
        this.#giveBack(closing);
        this.outbox.requests.clearQueue();
        this.pending.clear();
        this.state = { name: "deleting", ...keyed };
        for (const reason of LIFETIMES) this.timers.cancel(reason);
        this.postponed.clear();
        this.#reportEnd(closing);
        this.requestDeletion(now);
        return;
      }
      case "rekeyed":
      case "deleting":
      case "closed":
        return;
    }
  }

  /** It is wanted after all. */
  want(): void {
    this.#isUnwanted = false;
  }

  /** AUTH is done with: its keys and messages are not needed any more. */
  forgetHandshake(): void {
    if (this.state.name === "established") wipe(this.state.keys.skPi, this.state.keys.skPr);
  }

  /**
   * The peer answered something that we cannot go on from, while it believes the SA to be up: it is told (RFC 7296 section
   * 2.21.2), and nothing is set up here.
   */
  breakOff({ notify, ...closing }: Fault, now: number): void {
    const { state } = this;
    if (state.name === "established") this.terminate(closing, now);
    if (state.name === "deleting") this.close(closing, now);
    if (state.name !== "authenticating") return;
    if (state.offer !== undefined) {
      this.machine.emit({ kind: "release-spi", inboundSpi: state.offer.inboundSpi });
    }
    endLogin(state.eap);
    this.timers.cancel("half-open");
    this.#reportFailure(closing, now);
    const { proposal, keys, protection } = state;
    this.state = { name: "deleting", proposal, keys, protection, establishedAt: now };
    this.outbox.request(
      {
        purpose: { kind: "authentication-failed" },
        exchangeType: ExchangeType.INFORMATIONAL,
        build: () => [notify],
      },
      now,
    );
  }

  /** The responder has shown who it is, and will not have us: what it has of us is deleted. `closing`: and that is the end of it. */
  leave(now: number, closing?: Closing): void {
    const { state } = this;
    if (state.name !== "authenticating") return;
    if (state.offer !== undefined) {
      this.machine.emit({ kind: "release-spi", inboundSpi: state.offer.inboundSpi });
    }
    endLogin(state.eap);
    this.timers.cancel("half-open");
    if (closing !== undefined) this.#reportFailure(closing, now);
    this.state = { ...this.#keyed(state), name: "deleting", establishedAt: now };
    this.requestDeletion(now);
  }

  /** The peer has shown who it is, and goes elsewhere: it is to delete this IKE SA, which carries nothing. */
  sendAway(now: number): void {
    const { state, machine } = this;
    if (state.name !== "authenticating") return;
    this.state = { ...this.#keyed(state), name: "rekeyed", establishedAt: now };
    this.#leaveHalfOpen();
    this.timers.cancel("half-open");
    machine.identified(this);
    this.timers.set("expire", now + machine.limits.sentAwayLingerMs, (then) => {
      this.close({ reason: "redirected", message: "the peer was sent elsewhere" }, then);
    });
    thinOut(this, now);
  }

  #keyed(state: Authenticating): Keyed {
    state.intermediate?.earlier?.protection.wipe();
    const { proposal, keys, protection } = state;
    return { proposal, keys, protection };
  }

  reportRekeyFailure(facts: Parameters<typeof rekeyFailed>[1]): void {
    this.machine.report(rekeyFailed(this, facts));
  }

  /** Answers a CREATE_CHILD_SA request that had to wait for a key exchange. */
  answerLater(messageId: number, { payloads, closing }: Answer, now: number): void {
    this.outbox.answer({ exchangeType: ExchangeType.CREATE_CHILD_SA, messageId, payloads });
    if (closing !== undefined) this.close(closing, now);
  }

  /** Answers an IKE_AUTH request that had to wait for a signature, a certificate or a login. */
  answerAuthLater(messageId: number, { payloads, closing }: Answer, now: number): void {
    this.outbox.answer({ exchangeType: ExchangeType.IKE_AUTH, messageId, payloads });
    if (closing === undefined) this.settle(now);
    else this.close(closing, now);
  }

  /** A responder that does not get as far as IKE_AUTH is forgotten. */
  limitHalfOpen(now: number): void {
    const at = now + this.machine.limits.halfOpenTimeoutMs;
    this.timers.set("half-open", at, (then) => {
      this.close(
        { reason: "timeout", message: `${formatEnd(this.path.remote)} did not go on to IKE_AUTH` },
        then,
      );
    });
  }

  /** Somebody else needs its place among the half-open SAs more. */
  makeRoom(now: number): void {
    const message = `${formatEnd(this.path.remote)} took too long, and others wait`;
    this.close({ reason: "timeout", message }, now);
  }

  /** A login may take longer, and not for ever, on either side. */
  limitLogin(now: number): void {
    this.timers.set("half-open", now + this.machine.limits.eapTimeoutMs, (then) => {
      this.close(
        { reason: "timeout", message: `the login with ${formatEnd(this.path.remote)} took too long` },
        then,
      );
    });
  }

  /** Waits a little for a real answer behind an unprotected error. */
  awaitBetterAnswer(now: number): void {
    if (this.timers.has("hint")) return;
    this.timers.set("hint", now + this.machine.limits.hintGraceMs, (then) => giveUpOnHint(this, then));
  }

  ignoreHint(): void {
    this.timers.cancel("hint");
  }

  /** Ends the SA here and now. Keys are overwritten; only the last answer stays for a while. */
  close(closing: Closing, now: number): void {
    if (this.state.name === "closed") return;
    const rival = this.attempt?.rival;
    endIkeAttempt(this);
    this.pending.clear();
    // The peer has deleted this one because it has another: its attempt has won over ours.
    if (rival?.predecessor === this) preferRival(rival, now);
    // The peer has deleted this one, or has asked for the other in vain for so long that it does not any more.
    if (this.successor !== undefined) this.successor.#confirm(now);
    const { state } = this;
    this.timers.clear();
    this.postponed.clear();
    for (const attempt of this.childAttempts) {
      const { offer } = attempt;
      if (offer !== undefined) this.machine.emit({ kind: "release-spi", inboundSpi: offer.inboundSpi });
      attempt.offer = undefined;
      wipe(...(attempt.followUps?.secrets ?? []));
    }
    this.childAttempts.clear();
    this.#inbox.clear();
    this.outbox.abandonRequests();
    this.#removeChildSas(closing.message);
    this.#giveBack(closing);
    if (state.name === "authenticating" && state.offer !== undefined) {
      this.machine.emit({ kind: "release-spi", inboundSpi: state.offer.inboundSpi });
    }
    if (state.name === "authenticating") endLogin(state.eap);
    if (isKeyed(state)) {
      state.protection.wipe();
      wipeIkeKeys(state.keys);
    }
    if (state.name === "authenticating") {
      state.intermediate?.earlier?.protection.wipe();
      if (state.unmixed !== undefined) wipeIkeKeys(state.unmixed);
    }
    if (state.name === "established") this.#reportEnd(closing);
    else if (state.name !== "deleting" && state.name !== "rekeyed" && this.twin === undefined)
      this.#reportFailure(closing, now);
    if (this.twin !== undefined) this.twin.twin = undefined;
    this.twin = undefined;

    const { hasAnswers, nextMessageId } = this.outbox.responses;
    this.state = {
      name: "closed",
      answersLeft: this.machine.limits.lingerAnswerCount,
    };
    // An IKE_SA_INIT that comes again simply begins anew.
    const hasOnlyInit = this.initKey !== undefined && nextMessageId === 1;
    if (!hasAnswers || hasOnlyInit) {
      this.forget();
      return;
    }
    this.timers.set("linger", now + this.machine.limits.lingerMs, () => this.forget());
    if (this.halfOpenPlace !== undefined) this.machine.halfOpen.fail(this.halfOpenPlace, () => this.forget());
  }

  /** Of two that cross, the one that goes before it has carried anything goes unnoticed. */
  #reportEnd(closing: Closing): void {
    if (this.predecessor === undefined) this.machine.report(ikeSaDeleted(this, closing));
  }

  #reportFailure(closing: Closing, now: number): void {
    const tell = () => ikeSaFailed(this, closing);
    if (this.connection === undefined) this.machine.reportUnverified(tell, now);
    else this.machine.report(tell());
  }

  #removeChildSas(reason: string): void {
    for (const childSa of [...this.childSas]) removeChildSa(this, childSa, { reason });
  }

  #giveBack(closing: Closing): void {
    endSession(this, closing);
    endTickets(this, closing);
    releaseAddresses(this);
    dropConfiguration(this);
  }

  #leaveHalfOpen(): void {
    if (this.halfOpenPlace !== undefined) this.machine.halfOpen.leave(this.halfOpenPlace);
    this.halfOpenPlace = undefined;
  }

  /** Not even the last answers stay. */
  forget(): void {
    this.timers.clear();
    this.#leaveHalfOpen();
    this.machine.forget(this);
  }

  /** There is no key left to tell a repeated request from a forged one, so the answer goes out a limited number of times. */
  #answerFromGrave(header: Header, path: Path, now: number): void {
    if (this.state.name !== "closed") return;
    const isRepeated = !header.isResponse && this.outbox.responses.place(header.messageId) === "repeated";
    if (!isRepeated || this.state.answersLeft === 0) {
      this.drop("unexpected", `${describe(header)} for an SA that is closed`, path, now);
      return;
    }
    this.state.answersLeft--;
    this.outbox.answerAgain(header.messageId, path);
  }

  drop(counter: DropCounter, reason: string, path: Path, now: number): void {
    this.machine.drop({ counter, reason, from: formatEnd(path.remote) }, now);
  }
}
