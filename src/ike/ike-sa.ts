import { wipe } from "../bytes/wipe.ts";
import { wipeIkeKeys } from "../crypto/keymat.ts";
import { WireError } from "../errors/index.ts";
import { ExchangeType, NotifyType, nameOf } from "../iana/ikev2-parameters.ts";
import type { Path } from "../platform/address.ts";
import type { ConnectionPolicy, Identity } from "../policy/connection.ts";
import { decodePayloads, type Header, type HeaderFields, type Message } from "../wire/message.ts";
import type { Payload, PayloadOf } from "../wire/payloads/payload.ts";
import type { ChildSa } from "./child-sa.ts";
import {
  childSaDeleted,
  formatEnd,
  ikeSaDeleted,
  ikeSaFailed,
  pathChanged,
  peerAlive,
  peerSilent,
  retransmitted,
} from "./events.ts";
import { processAuthRequest, processAuthResponse } from "./exchanges/ike-auth.ts";
import { giveUpOnHint, processInitResponse } from "./exchanges/ike-sa-init.ts";
import { processInformationalRequest, processInformationalResponse } from "./exchanges/informational.ts";
import type { HalfOpenPlace } from "./half-open.ts";
import type { Authenticating, Established, IkeSaState } from "./ike-sa-state.ts";
import type { DropCounter, Machine } from "./machine.ts";
import {
  deleteChildSas,
  deleteIkeSa,
  findUnknownCritical,
  notify,
  unsupportedCriticalPayload,
} from "./payloads.ts";
import { Reassembly } from "./reassembly.ts";
import type { DeadlineReason, TimerHandle } from "./timers.ts";
import { type PendingRequest, RequestWindow, ResponseWindow } from "./window.ts";

export type Role = "initiator" | "responder";

/** What a processed request is answered with, and whether the SA ends there. */
export interface Answer {
  readonly payloads: readonly Payload[];
  readonly closing?: Closing;
}

/** Why an SA ends. */
export interface Closing {
  /** A notification in registry spelling, or "timeout", "peer-deleted", "terminated", "replaced", "protocol-error". */
  readonly reason: string;
  /** A whole sentence. */
  readonly message: string;
  /** What was offered and what was allowed, where that is the reason. */
  readonly offered?: readonly string[];
  readonly allowed?: readonly string[];
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
  readonly requests = new RequestWindow();
  readonly responses = new ResponseWindow();
  readonly childSas: ChildSa[] = [];

  peerSpi = 0n;
  path: Path;
  state: IkeSaState;
  /** What we know the peer to be: at once for an initiator, after authentication for a responder. */
  connection: ConnectionPolicy | undefined;
  remoteIdentity: Identity | undefined;
  /** Responder: the place held among the half-open SAs. */
  halfOpenPlace: HalfOpenPlace | undefined;
  /** Key under which the endpoint finds repeated IKE_SA_INIT requests. */
  initKey: string | undefined;
  supportsFragmentation = false;
  /** Whether the NAT_DETECTION payloads of the peer say that an end sits behind a NAT. */
  isBehindNat = false;
  isPeerBehindNat = false;
  /** Responder: the peer says that it has no other SA with us (RFC 7296 section 2.4). */
  receivedInitialContact = false;
  /** Lowest of the two nonces, kept to settle simultaneous connections (as RFC 7296 section 2.8.1 does for rekeying). */
  lowestNonce: Uint8Array = new Uint8Array(0);
  /** From the first message to the last of IKE_AUTH. */
  negotiationMs = 0;

  readonly #reassembly: { readonly requests: Reassembly; readonly responses: Reassembly };
  readonly #timers = new Map<DeadlineReason, TimerHandle>();
  #lastHeardAt = 0;
  #isUnwanted = false;

  constructor(facts: IkeSaFacts) {
    this.machine = facts.machine;
    this.role = facts.role;
    this.localSpi = facts.localSpi;
    this.path = facts.path;
    this.state = facts.state;
    this.connection = facts.connection;
    this.createdAt = facts.now;
    const bounds = { limits: facts.machine.limits, budget: facts.machine.reassemblyBudget };
    this.#reassembly = { requests: new Reassembly(bounds), responses: new Reassembly(bounds) };
  }

  get initiatorSpi(): bigint {
    return this.role === "initiator" ? this.localSpi : this.peerSpi;
  }

  get responderSpi(): bigint {
    return this.role === "initiator" ? this.peerSpi : this.localSpi;
  }

  // ---- Receiving ------------------------------------------------------------------------------------------

  /** `octets` are the machine's own and stay as they are; the message views them. */
  receive(received: {
    readonly octets: Uint8Array;
    readonly message: Message;
    readonly path: Path;
    readonly now: number;
  }): void {
    const { message, path, now } = received;
    const { header } = message;
    switch (this.state.name) {
      case "initiating":
        if (header.exchangeType !== ExchangeType.IKE_SA_INIT || !header.isResponse) break;
        processInitResponse(this, received);
        return;
      case "authenticating":
      case "established":
      case "deleting":
        if (header.exchangeType === ExchangeType.IKE_SA_INIT) break;
        this.#receiveProtected(message, path, now);
        return;
      case "closed":
        this.#answerFromGrave(header, path, now);
        return;
      case "responding":
      case "agreeing":
        break;
    }
    this.drop("unexpected", `${describe(header)} in state ${this.state.name}`, path, now);
  }

  #receiveProtected(message: Message, path: Path, now: number): void {
    const { header } = message;
    const state = this.state as Authenticating | Established;
    const sealed = message.payloads.find(
      (payload) => payload.kind === "encrypted" || payload.kind === "encrypted-fragment",
    );
    if (sealed === undefined) {
      this.drop("unexpected", `${describe(header)} without protection`, path, now);
      return;
    }

    // The window is looked at first, since that costs nothing.
    const place = header.isResponse ? this.#placeOfResponse(header) : this.responses.place(header.messageId);
    if (place === "outside") {
      this.drop("outsideWindow", `message ID ${header.messageId} of ${describe(header)}`, path, now);
      return;
    }
    if (!header.isResponse && state.name === "authenticating" && !this.#isAuthRequestExpected(header)) {
      this.drop("unexpected", `${describe(header)} before authentication`, path, now);
      return;
    }
    const plaintext = state.protection.open(sealed);
    if (plaintext === undefined) {
      this.drop("forged", `${describe(header)} fails the integrity check`, path, now);
      return;
    }
    this.#lastHeardAt = now;

    if (place === "repeated") {
      // RFC 7383 section 2.6.1: only the first fragment of a repeated request brings the answer out again.
      if (sealed.kind === "encrypted-fragment" && sealed.fragmentNumber !== 1) return;
      this.machine.counters.answeredAgain++;
      this.#transmitAll(this.responses.lastAnswer ?? [], path);
      return;
    }

    const whole = this.#reassemble({ header, sealed, plaintext, path, now });
    if (whole === undefined) return;
    // An authentic message newer than all before it: the peer is where it came from (RFC 7296 section 2.23).
    this.#follow(path);

    const payloads = decodeInner(whole);
    if (header.isResponse) this.#processResponse(payloads, now);
    else this.#processRequest(header, payloads, now);
  }

  #placeOfResponse(header: Header): "next" | "outside" {
    const { outstanding } = this.requests;
    const isAnswer =
      outstanding?.messageId === header.messageId && outstanding.exchangeType === header.exchangeType;
    return isAnswer ? "next" : "outside";
  }

  #isAuthRequestExpected(header: Header): boolean {
    return this.role === "responder" && header.exchangeType === ExchangeType.IKE_AUTH;
  }

  #reassemble(received: {
    readonly header: Header;
    readonly sealed: PayloadOf<"encrypted"> | PayloadOf<"encrypted-fragment">;
    readonly plaintext: Uint8Array;
    readonly path: Path;
    readonly now: number;
  }): Inner | undefined {
    const { header, sealed, plaintext, path, now } = received;
    const reassembly = header.isResponse ? this.#reassembly.responses : this.#reassembly.requests;
    if (sealed.kind === "encrypted") {
      reassembly.clear();
      return { firstType: sealed.nextPayload, octets: plaintext };
    }
    if (!this.supportsFragmentation) {
      this.drop("fragmentRefused", "fragments were not agreed on", path, now);
      return undefined;
    }
    const result = reassembly.add({
      messageId: header.messageId,
      number: sealed.fragmentNumber,
      total: sealed.totalFragments,
      nextPayload: sealed.nextPayload,
      plaintext,
    });
    if (result.kind === "refused") this.drop("fragmentRefused", result.reason, path, now);
    if (result.kind === "need-more") {
      const at = now + this.machine.limits.reassemblyTimeoutMs;
      this.#setTimer("reassembly", at, () => this.#clearReassembly());
    }
    if (result.kind !== "whole") return undefined;
    return { firstType: result.nextPayload, octets: result.plaintext };
  }

  #clearReassembly(): void {
    this.#reassembly.requests.clear();
    this.#reassembly.responses.clear();
  }

  #processRequest(header: Header, payloads: readonly Payload[] | WireError, now: number): void {
    const { exchangeType, messageId } = header;
    const answer = this.#answerTo(exchangeType, payloads, now);
    if (answer === undefined) return;
    this.answer({ exchangeType, messageId, payloads: answer.payloads });
    if (answer.closing !== undefined) this.close(answer.closing, now);
    else if (exchangeType === ExchangeType.IKE_AUTH) this.settle(now);
  }

  #answerTo(exchangeType: number, payloads: readonly Payload[] | WireError, now: number): Answer | undefined {
    if (payloads instanceof WireError) return invalidSyntax(payloads.message);
    const critical = findUnknownCritical(payloads);
    if (critical !== undefined) return this.#refuseCritical(critical);
    switch (exchangeType) {
      case ExchangeType.IKE_AUTH:
        if (this.state.name === "authenticating") return processAuthRequest(this, { payloads, now });
        return invalidSyntax("IKE_AUTH for an SA that is authenticated");
      case ExchangeType.INFORMATIONAL:
        return processInformationalRequest(this, { payloads, now });
      case ExchangeType.CREATE_CHILD_SA:
        // RFC 7296 section 2.25.2 while we delete; section 1.3 for an implementation with one child in IKE_AUTH.
        return {
          payloads: [
            notify(
              this.state.name === "deleting" ? NotifyType.TEMPORARY_FAILURE : NotifyType.NO_ADDITIONAL_SAS,
            ),
          ],
        };
      default:
        return invalidSyntax(`exchange type ${nameOf(ExchangeType, exchangeType)}`);
    }
  }

  #refuseCritical(critical: PayloadOf<"unknown">): Answer {
    const answer = { payloads: [unsupportedCriticalPayload(critical)] };
    if (this.state.name !== "authenticating") return answer;
    // RFC 7296 section 2.21.2: in IKE_AUTH this ends the SA.
    const message = `the peer demands payload type ${critical.payloadType}, which we do not know`;
    return { ...answer, closing: { reason: "UNSUPPORTED_CRITICAL_PAYLOAD", message } };
  }

  #processResponse(payloads: readonly Payload[] | WireError, now: number): void {
    const { outstanding } = this.requests;
    if (outstanding === undefined) return;
    this.#cancelTimer("retransmit");
    this.requests.close();
    if (payloads instanceof WireError) {
      this.close(
        { reason: "INVALID_SYNTAX", message: `the peer's answer makes no sense: ${payloads.message}` },
        now,
      );
      return;
    }
    const critical = findUnknownCritical(payloads);
    if (critical !== undefined) {
      const message = `the peer's answer demands payload type ${critical.payloadType}, which we do not know`;
      this.close({ reason: "UNSUPPORTED_CRITICAL_PAYLOAD", message }, now);
      return;
    }

    const { purpose, sentAt } = outstanding;
    switch (purpose.kind) {
      case "auth":
        processAuthResponse(this, { payloads, now });
        break;
      case "liveness":
        if (purpose.isCommanded) this.machine.report(peerAlive(this, now - sentAt));
        processInformationalResponse(this, { payloads, now });
        break;
      case "delete-child-sas":
        processInformationalResponse(this, { payloads, now });
        break;
      case "delete-ike-sa":
      case "authentication-failed":
        this.close({ reason: "terminated", message: "the peer has confirmed the deletion" }, now);
        break;
      case "init":
        break;
    }
    this.sendNext(now);
  }

  // ---- Sending --------------------------------------------------------------------------------------------

  /** Sends a request when the window is open, or queues it. False when too many wait already. */
  request(request: PendingRequest, now: number): boolean {
    if (this.requests.queue.length >= this.machine.limits.queuedRequestCount) return false;
    this.requests.enqueue(request);
    this.sendNext(now);
    return true;
  }

  /** Builds and sends what waits, now that nothing is outstanding. */
  sendNext(now: number): void {
    if (!isKeyed(this.state) || this.requests.isExhausted) return;
    const next = this.requests.takeNext();
    if (next === undefined) return;
    const { exchangeType } = next;
    const messageId = this.requests.nextMessageId;
    const header = this.#header({ exchangeType, messageId, isResponse: false });
    const datagrams = this.state.protection.seal(header, next.build());
    this.transmitRequest({ ...next, messageId, datagrams }, now);
  }

  /** Opens the window with a finished request: the first transmission, and the timer for the next. */
  transmitRequest(
    request: Omit<PendingRequest, "build"> & {
      readonly messageId: number;
      readonly datagrams: readonly Uint8Array[];
    },
    now: number,
  ): void {
    const { purpose, exchangeType, messageId, datagrams } = request;
    const outstanding = { purpose, exchangeType, messageId, datagrams, sentAt: now, transmissions: 1 };
    this.requests.open(outstanding);
    this.#transmitAll(datagrams, this.path);
    this.#setTimer("retransmit", now + this.#retransmitWait(1), (at) => this.#retransmit(at));
  }

  #retransmit(now: number): void {
    const { outstanding } = this.requests;
    if (outstanding === undefined) return;
    if (outstanding.transmissions >= this.machine.limits.transmissionCount) {
      this.#givenUp(outstanding.transmissions, now);
      return;
    }
    outstanding.transmissions++;
    this.machine.counters.retransmitted += outstanding.datagrams.length;
    this.machine.report(retransmitted(this, outstanding));
    this.#transmitAll(outstanding.datagrams, this.path);
    const at = now + this.#retransmitWait(outstanding.transmissions);
    this.#setTimer("retransmit", at, (then) => this.#retransmit(then));
  }

  /** Exponential back-off with a ceiling and some chance (RFC 7296 section 2.4). */
  #retransmitWait(transmissions: number): number {
    const limits = this.machine.limits;
    const growing = limits.retransmitFirstMs * limits.retransmitFactor ** (transmissions - 1);
    const octets = this.machine.random.bytes(2);
    const chance = ((octets[0]! << 8) | octets[1]!) / 0x1_0000;
    return Math.min(growing, limits.retransmitMaxMs) * (1 + limits.retransmitJitter * chance);
  }

  #givenUp(transmissions: number, now: number): void {
    this.machine.report(peerSilent(this, transmissions));
    const peer = formatEnd(this.path.remote);
    this.close(
      { reason: "timeout", message: `${peer} does not answer (${transmissions} transmissions)` },
      now,
    );
  }

  /** Answers a request, and keeps the octets for when it is repeated. */
  answer(answer: {
    readonly exchangeType: number;
    readonly messageId: number;
    readonly payloads: readonly Payload[];
  }): void {
    if (!isKeyed(this.state)) return;
    const { exchangeType, messageId, payloads } = answer;
    const header = this.#header({ exchangeType, messageId, isResponse: true });
    this.answerWith(messageId, this.state.protection.seal(header, payloads));
  }

  answerWith(messageId: number, datagrams: readonly Uint8Array[]): void {
    this.responses.answered(messageId, datagrams);
    this.#transmitAll(datagrams, this.path);
  }

  /** The last answer once more, for a request that came again. */
  answerAgain(path: Path): void {
    this.machine.counters.answeredAgain++;
    this.#transmitAll(this.responses.lastAnswer ?? [], path);
  }

  #header(facts: Pick<HeaderFields, "exchangeType" | "messageId" | "isResponse">): HeaderFields {
    const { initiatorSpi, responderSpi } = this;
    return { initiatorSpi, responderSpi, isInitiator: this.role === "initiator", ...facts };
  }

  #transmitAll(datagrams: readonly Uint8Array[], path: Path): void {
    for (const octets of datagrams) {
      this.machine.counters.transmitted++;
      this.machine.emit({ kind: "transmit", octets, path });
    }
  }

  #follow(path: Path): void {
    const { remote, local } = this.path;
    const isSame =
      remote.address === path.remote.address &&
      remote.port === path.remote.port &&
      local.address === path.local.address &&
      local.port === path.local.port;
    if (isSame) return;
    this.path = path;
    if (this.childSas.length === 0 && this.state.name !== "established") return;
    for (const { inboundSpi } of this.childSas)
      this.machine.emit({ kind: "move-child-sa", inboundSpi, path });
    this.machine.report(pathChanged(this, remote));
  }

  // ---- Life -----------------------------------------------------------------------------------------------

  /** The peer is who it says it is. */
  establish(now: number): void {
    const { state } = this;
    if (state.name !== "authenticating") return;
    const { proposal, keys, protection } = state;
    this.state = { name: "established", proposal, keys, protection, establishedAt: now };
    this.negotiationMs = now - this.createdAt;
    this.#leaveHalfOpen();
    this.#cancelTimer("half-open");
    this.#lastHeardAt = now;
    this.#watchLiveness(now);
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
        const { name: _, ...keyed } = this.state;
        this.#removeChildSas(closing.message);
        this.requests.clearQueue();
        this.state = { name: "deleting", ...keyed };
        this.machine.report(ikeSaDeleted(this, closing));
        this.request(
          {
            purpose: { kind: "delete-ike-sa" },
            exchangeType: ExchangeType.INFORMATIONAL,
            build: () => [deleteIkeSa()],
          },
          now,
        );
        return;
      }
      case "deleting":
      case "closed":
        return;
    }
  }

  /** AUTH is done with: its keys and messages are not needed any more. */
  forgetHandshake(): void {
    if (this.state.name === "established") wipe(this.state.keys.skPi, this.state.keys.skPr);
  }

  /** The responder has not shown who it is: nothing is set up here, and it is told (RFC 7296 section 2.21.2). */
  rejectPeer(closing: Closing, now: number): void {
    const { state } = this;
    if (state.name !== "authenticating") return;
    if (state.offer !== undefined) {
      this.machine.emit({ kind: "release-spi", inboundSpi: state.offer.inboundSpi });
    }
    this.#reportFailure(closing, now);
    const { proposal, keys, protection } = state;
    this.state = { name: "deleting", proposal, keys, protection, establishedAt: now };
    this.request(
      {
        purpose: { kind: "authentication-failed" },
        exchangeType: ExchangeType.INFORMATIONAL,
        build: () => [notify(NotifyType.AUTHENTICATION_FAILED)],
      },
      now,
    );
  }

  /** Deletes child SAs here, and asks the peer to do the same (RFC 7296 section 1.4.1). */
  deleteChildSas(
    childSas: readonly ChildSa[],
    facts: { readonly reason: string; readonly now: number },
  ): void {
    const inboundSpis = childSas.map(({ inboundSpi }) => inboundSpi);
    if (inboundSpis.length === 0) return;
    for (const childSa of childSas) this.removeChildSa(childSa, facts.reason);
    this.askToDelete(inboundSpis, facts.now);
  }

  askToDelete(inboundSpis: readonly number[], now: number): void {
    this.request(
      {
        purpose: { kind: "delete-child-sas", inboundSpis },
        exchangeType: ExchangeType.INFORMATIONAL,
        build: () => [deleteChildSas(inboundSpis)],
      },
      now,
    );
  }

  removeChildSa(childSa: ChildSa, reason: string): void {
    const index = this.childSas.indexOf(childSa);
    if (index < 0) return;
    this.childSas.splice(index, 1);
    const { inboundSpi, outboundSpi } = childSa;
    this.machine.emit({ kind: "remove-child-sa", inboundSpi, outboundSpi });
    this.machine.report(childSaDeleted(this, { childSa, reason }));
  }

  /** Asks whether the peer is there (RFC 7296 section 2.4). */
  checkLiveness(facts: { readonly isCommanded: boolean; readonly now: number }): boolean {
    if (this.state.name !== "established") return false;
    return this.request(
      {
        purpose: { kind: "liveness", isCommanded: facts.isCommanded },
        exchangeType: ExchangeType.INFORMATIONAL,
        build: () => [],
      },
      facts.now,
    );
  }

  #watchLiveness(now: number): void {
    const { livenessMs } = this.machine.limits;
    // Compared as a time, not as a difference: a fraction lost in rounding must not make the timer due for ever.
    const due = this.#lastHeardAt + livenessMs;
    if (now >= due && this.requests.outstanding === undefined) {
      this.checkLiveness({ isCommanded: false, now });
    }
    if (this.state.name !== "established") return;
    this.#setTimer("liveness", now >= due ? now + livenessMs : due, (then) => this.#watchLiveness(then));
  }

  /** A responder that does not get as far as IKE_AUTH is forgotten. */
  limitHalfOpen(now: number): void {
    const at = now + this.machine.limits.halfOpenTimeoutMs;
    this.#setTimer("half-open", at, (then) => {
      this.close(
        { reason: "timeout", message: `${formatEnd(this.path.remote)} did not go on to IKE_AUTH` },
        then,
      );
    });
  }

  /** Waits a little for a real answer behind an unprotected error. */
  awaitBetterAnswer(now: number): void {
    if (this.#timers.has("hint")) return;
    this.#setTimer("hint", now + this.machine.limits.hintGraceMs, (then) => giveUpOnHint(this, then));
  }

  ignoreHint(): void {
    this.#cancelTimer("hint");
  }

  /** IKE_SA_INIT is answered: it is not repeated any more. */
  stopRetransmitting(): void {
    this.#cancelTimer("retransmit");
    this.requests.close();
  }

  /** Ends the SA here and now. Keys are overwritten; only the last answer stays for a while. */
  close(closing: Closing, now: number): void {
    const { state } = this;
    if (state.name === "closed") return;
    for (const handle of this.#timers.values()) this.machine.timers.cancel(handle);
    this.#timers.clear();
    this.#clearReassembly();
    this.requests.clear();
    this.#removeChildSas(closing.message);
    if (state.name === "authenticating" && state.offer !== undefined) {
      this.machine.emit({ kind: "release-spi", inboundSpi: state.offer.inboundSpi });
    }
    if (isKeyed(state)) {
      state.protection.wipe();
      wipeIkeKeys(state.keys);
    }
    if (state.name === "established") this.machine.report(ikeSaDeleted(this, closing));
    else if (state.name !== "deleting") this.#reportFailure(closing, now);

    const { lastAnswer, nextMessageId } = this.responses;
    this.state = {
      name: "closed",
      lastMessageId: nextMessageId - 1,
      lastAnswer: lastAnswer ?? [],
      answersLeft: this.machine.limits.lingerAnswerCount,
    };
    // An IKE_SA_INIT that comes again simply begins anew.
    const hasOnlyInit = this.role === "responder" && nextMessageId === 1;
    if (lastAnswer === undefined || hasOnlyInit) this.#forget();
    else this.#setTimer("linger", now + this.machine.limits.lingerMs, () => this.#forget());
  }

  #reportFailure(closing: Closing, now: number): void {
    const event = ikeSaFailed(this, closing);
    if (this.connection === undefined) this.machine.reportUnverified(event, now);
    else this.machine.report(event);
  }

  #removeChildSas(reason: string): void {
    for (const childSa of [...this.childSas]) this.removeChildSa(childSa, reason);
  }

  #leaveHalfOpen(): void {
    if (this.halfOpenPlace !== undefined) this.machine.halfOpen.leave(this.halfOpenPlace);
    this.halfOpenPlace = undefined;
  }

  #forget(): void {
    this.#leaveHalfOpen();
    this.machine.forget(this);
  }

  /** There is no key left to tell a repeated request from a forged one, so the answer goes out a limited number of times. */
  #answerFromGrave(header: Header, path: Path, now: number): void {
    if (this.state.name !== "closed") return;
    const isRepeated = !header.isResponse && header.messageId === this.state.lastMessageId;
    if (!isRepeated || this.state.answersLeft === 0) {
      this.drop("unexpected", `${describe(header)} for an SA that is closed`, path, now);
      return;
    }
    this.state.answersLeft--;
    this.machine.counters.answeredAgain++;
    this.#transmitAll(this.state.lastAnswer, path);
  }

  drop(counter: DropCounter, reason: string, path: Path, now: number): void {
    this.machine.drop({ counter, reason, from: formatEnd(path.remote) }, now);
  }

  #setTimer(reason: DeadlineReason, at: number, fire: (now: number) => void): void {
    this.#cancelTimer(reason);
    const handle = this.machine.timers.set({
      at,
      reason,
      fire: (now) => {
        this.#timers.delete(reason);
        fire(now);
      },
    });
    this.#timers.set(reason, handle);
  }

  #cancelTimer(reason: DeadlineReason): void {
    this.machine.timers.cancel(this.#timers.get(reason));
    this.#timers.delete(reason);
  }
}

interface Inner {
  readonly firstType: number;
  readonly octets: Uint8Array;
}

function isKeyed(
  state: IkeSaState,
): state is Exclude<IkeSaState, { name: "initiating" | "responding" | "agreeing" | "closed" }> {
  return state.name === "authenticating" || state.name === "established" || state.name === "deleting";
}

function decodeInner(inner: Inner): readonly Payload[] | WireError {
  try {
    return decodePayloads(inner);
  } catch (error) {
    if (error instanceof WireError) return error;
    throw error;
  }
}

/** RFC 7296 section 2.21.3: who sends nonsense with the right keys loses the SA. */
function invalidSyntax(why: string): Answer {
  return {
    payloads: [notify(NotifyType.INVALID_SYNTAX)],
    closing: { reason: "INVALID_SYNTAX", message: `the peer's request makes no sense: ${why}` },
  };
}

function describe(header: Header): string {
  return `${nameOf(ExchangeType, header.exchangeType)} ${header.isResponse ? "response" : "request"} ${header.messageId}`;
}
