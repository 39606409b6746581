import { ExchangeType, NotifyType } from "../iana/ikev2-parameters.ts";
import type { Path } from "../platform/address.ts";
import { encodePayloads, type HeaderFields } from "../wire/message.ts";
import type { Payload } from "../wire/payloads/payload.ts";
import { LONGEST_FRAMED_MESSAGE } from "../wire/tcp-encapsulation.ts";
import { formatEnd, peerSilent, refusalHeard, retransmitted } from "./events.ts";
import { fallBack } from "./exchanges/ike-session-resume.ts";
import type { IkeSa } from "./ike-sa.ts";
import { isKeyed, type Keyed } from "./ike-sa-state.ts";
import type { Outgoing } from "./impair.ts";
import { cover, textToSend } from "./intermediate-auth.ts";
import { isHopeless, waitFor } from "./patience.ts";
import { decodeWindowSize, encodeWindowSize, findNotify, notify } from "./payloads.ts";
import { tryTcp } from "./streams.ts";
import { type OutstandingRequest, type PendingRequest, RequestWindow, ResponseWindow } from "./window.ts";

/** The sending half of an IKE SA: requests, each repeated until it is answered, and answers, kept for repetition. */
export class Outbox {
  readonly requests = new RequestWindow();
  readonly responses = new ResponseWindow();
  /** When something last went out. */
  transmittedAt = 0;
  /** Where the newest request came from, and its answer goes (RFC 7296 section 2.11). */
  replyPath: Path | undefined;
  readonly #ikeSa: IkeSa;
  #isWindowAnnounced = false;

  constructor(ikeSa: IkeSa) {
    this.#ikeSa = ikeSa;
  }

  // ---- Requests -------------------------------------------------------------------------------------------

  /** Sends a request when the window is open, or queues it. False when too many wait already; what ends an SA, or what has begun, always finds a place. */
  request(request: PendingRequest, now: number): boolean {
    const isFree = UNREFUSED.includes(request.purpose.kind);
    if (!isFree && this.requests.queue.length >= this.#ikeSa.machine.limits.queuedRequestCount) return false;
    this.requests.enqueue(request);
    this.sendNext(now);
    if (this.requests.queue.length > 0) this.#makeRoom(now);
    return true;
  }

  /** Builds and sends what waits, as far as the window is open. */
  sendNext(now: number): void {
    const { state } = this.#ikeSa;
    if (!isKeyed(state) || this.requests.isExhausted) return;
    const isBeingReplaced = this.#ikeSa.pending.replacing(this.#ikeSa) !== undefined;
    const takeNext = () => this.requests.takeNext({ isBeingReplaced });
    for (let next = takeNext(); next !== undefined; next = takeNext()) {
      const payloads = next.build(this.#ikeSa);
      if (payloads === undefined) continue;
      const { purpose, exchangeType, fillTo, aside } = next;
      const messageId = this.requests.nextMessageId;
      const header = this.#header({ exchangeType, messageId, isResponse: false });
      const bare = this.#compose({ header, payloads: this.#announceWindow(payloads, exchangeType) });
      this.#cover(bare);
      if (fillTo === undefined) {
        const datagrams = this.#seal(state, bare);
        this.transmitRequest({ purpose, exchangeType, messageId, datagrams, aside }, now);
      } else {
        const filled = fill(bare, state.protection.roomBeside([...bare.payloads, FILLER], fillTo));
        const datagrams = this.#seal(state, filled, Number.POSITIVE_INFINITY);
        this.transmitRequest({ purpose, exchangeType, messageId, datagrams, bare }, now);
      }
    }
  }

  /** Opens the window with a finished request: the first transmission, and the timer for the next. */
  transmitRequest(
    request: Pick<
      OutstandingRequest,
      "purpose" | "exchangeType" | "messageId" | "datagrams" | "bare" | "filled" | "aside"
    >,
    now: number,
  ): void {
    this.stopRetransmitting(request.messageId);
    const outstanding: OutstandingRequest = { ...request, sentAt: now, transmissions: 1 };
    this.requests.open(outstanding);
    this.transmittedAt = now;
    this.#transmitAgain(outstanding);
    this.#retransmitLater(outstanding, now);
  }

  /** The request is answered: it is not repeated any more. */
  stopRetransmitting(messageId: number): void {
    this.#ikeSa.machine.timers.cancel(this.requests.find(messageId)?.timer);
    this.requests.close(messageId);
  }

  /** No request waits for its answer any more, and none for its turn. */
  abandonRequests(): void {
    for (const { messageId } of this.requests.allOutstanding) this.stopRetransmitting(messageId);
    this.requests.clear();
  }

  /** The path is another one, or is there again: what waits for an answer goes out at once, as patiently as at first. */
  hurry(now: number): void {
    const { state } = this.#ikeSa;
    for (const request of this.requests.allOutstanding) {
      const { purpose, exchangeType, messageId, datagrams, bare } = request;
      if (request.aside !== undefined) this.#ikeSa.mobility.notThere(purpose);
      if (bare !== undefined && isKeyed(state)) {
        // How long it may be on this path is not known.
        const short = this.#seal(state, bare);
        this.transmitRequest({ purpose, exchangeType, messageId, datagrams: short }, now);
      } else this.transmitRequest({ purpose, exchangeType, messageId, datagrams }, now);
    }
  }

  /**
   * An unprotected answer says that the peer has no such SA: the request goes out again soon, and is given up soon. A peer whose
   * rekeying we have answered may well have none yet; it asks again until it has our answer (RFC 7296 section 2.1).
   */
  doubt(messageId: number, now: number): void {
    if (this.#ikeSa.isUnconfirmed) return;
    const request = this.requests.find(messageId);
    if (request === undefined || request.doubtedAfter !== undefined) return;
    request.doubtedAfter = request.transmissions;
    this.#ikeSa.machine.report(refusalHeard(this.#ikeSa, "INVALID_IKE_SPI"));
    this.#ikeSa.machine.timers.cancel(request.timer);
    this.#retransmitLater(request, now);
  }

  /** Requests that went out more than once get all the time that they have once more. */
  beginAgain(now: number): void {
    for (const request of this.requests.allOutstanding) {
      if (request.transmissions === 1) continue;
      this.#ikeSa.machine.timers.cancel(request.timer);
      request.transmissions = 1;
      request.sentAt = now;
      this.#retransmitLater(request, now);
    }
  }

  #retransmitLater(request: OutstandingRequest, now: number): void {
    request.timer = this.#ikeSa.machine.timers.set({
      at: now + waitFor(this.#ikeSa, request, now),
      reason: "retransmit",
      fire: (then) => this.#retransmit(request, then),
    });
  }

  #retransmit(request: OutstandingRequest, now: number): void {
    const { machine } = this.#ikeSa;
    const isHopelessNow = isHopeless(this.#ikeSa, request, now);
    const isEnough = isHopelessNow || request.transmissions >= machine.limits.probeTransmissionCount;
    if (request.bare !== undefined && isEnough) {
      this.#strip(request, now);
      return;
    }
    if (isHopelessNow && request.purpose.kind === "resume") {
      fallBack(this.#ikeSa, `no answer to ${request.transmissions} transmissions`, now);
      return;
    }
    if (isHopelessNow) {
      this.#giveUp(request.transmissions, now);
      return;
    }
    const isRecalled = request.aside !== undefined && isEnough;
    if (isRecalled) {
      // Nobody is there. Whether the peer is where it was has to be answered all the same.
      request.aside = undefined;
      this.#ikeSa.mobility.notThere(request.purpose);
    }
    request.transmissions++;
    const isTested = request.transmissions >= machine.limits.testingTransmissionCount && !isRecalled;
    if ((request.aside ?? this.#ikeSa.path).stream !== undefined && !isRecalled) {
      // RFC 9329 section 6.2: TCP does that, for as long as the connection stands; the next one begins with it.
      if (isTested) this.#testPaths(request);
      this.#retransmitLater(request, now);
      return;
    }
    machine.counters.retransmitted += request.datagrams.length;
    machine.report(retransmitted(this.#ikeSa, request));
    this.transmittedAt = now;
    this.#transmitAgain(request);
    if (request.purpose.kind === "init" || request.purpose.kind === "resume")
      tryTcp(this.#ikeSa, request.transmissions, now);
    if (isTested) this.#testPaths(request);
    this.#ikeSa.mobility.repeatOldAnswers();
    this.#retransmitLater(request, now);
  }

  /** What waits for an answer goes along another path too: the peer may be there. */
  repeatAlong(path: Path): void {
    for (const { datagrams, bare } of this.requests.allOutstanding) {
      if (bare === undefined) this.#transmit(datagrams, path);
    }
  }

  /** RFC 4555 section 3.10: the same request along other paths, in case that this one has stopped working. */
  #testPaths(request: OutstandingRequest): void {
    if (request.aside !== undefined) return;
    const { mobility } = this.#ikeSa;
    for (const path of mobility.nextAlternatives()) {
      this.#transmit(request.datagrams, path);
      mobility.repeatOldAnswers(path);
    }
    const detour = mobility.transports.detourFor(request);
    if (detour !== undefined) this.#transmit(request.datagrams, detour);
  }

  /**
   * Sends a message that was filled up without its filler from now on, under its message ID, and the filled one beside it. The peer has
   * as long to answer as with any other request: what came before shows nothing but that it was too long. RFC 7296 section 2.1 has
   * repetitions identical. A peer that the filled one never reaches sees the other alone; and one that has it, and whose answer was lost,
   * gets it again. RFC 7383 section 2.5.1 would have it in fragments, which strongSwan takes for something else in an INFORMATIONAL exchange.
   */
  #strip(
    { purpose, exchangeType, messageId, bare, datagrams: filled }: OutstandingRequest,
    now: number,
  ): void {
    const { state } = this.#ikeSa;
    if (bare === undefined || !isKeyed(state)) return;
    const datagrams = this.#seal(state, bare);
    this.transmitRequest({ purpose, exchangeType, messageId, datagrams, filled }, now);
  }

  /** Something waits: a probe of the path is not worth waiting for. */
  #makeRoom(now: number): void {
    for (const request of this.requests.allOutstanding) {
      const { purpose } = request;
      if (request.bare === undefined || purpose.kind !== "path-probe") continue;
      this.#strip({ ...request, purpose: { ...purpose, isCutShort: true } }, now);
    }
  }

  #giveUp(transmissions: number, now: number): void {
    const ikeSa = this.#ikeSa;
    ikeSa.machine.report(peerSilent(ikeSa, transmissions));
    const message = `${formatEnd(ikeSa.path.remote)} does not answer (${transmissions} transmissions)`;
    ikeSa.close({ reason: "timeout", message }, now);
  }

  // ---- Answers --------------------------------------------------------------------------------------------

  /** Answers a request, and keeps the octets for when it is repeated. */
  answer(answer: {
    readonly exchangeType: number;
    readonly messageId: number;
    readonly payloads: readonly Payload[];
  }): void {
    const { state } = this.#ikeSa;
    if (!isKeyed(state)) return;
    const { exchangeType, messageId, payloads } = answer;
    const header = this.#header({ exchangeType, messageId, isResponse: true });
    const outgoing = this.#compose({ header, payloads: this.#announceWindow(payloads, exchangeType) });
    this.#cover(outgoing);
    this.answerWith(messageId, this.#seal(state, outgoing));
  }

  answerWith(messageId: number, datagrams: readonly Uint8Array[]): void {
    this.responses.answered(messageId, datagrams);
    this.#transmit(datagrams, this.replyPath ?? this.#ikeSa.path);
  }

  /** An answer once more, to where the request came from again. */
  answerAgain(messageId: number, path: Path): void {
    this.#ikeSa.machine.counters.answeredAgain++;
    this.#transmit(this.responses.answerTo(messageId) ?? [], path);
  }

  /** Every answer that is kept, once more, though nobody has asked. */
  repeatAnswers(path: Path): void {
    for (const datagrams of this.responses.answers) this.#transmit(datagrams, path);
  }

  // ---- Window ---------------------------------------------------------------------------------------------

  /**
   * RFC 7296 section 2.3: says once, in IKE_AUTH, how many requests of the peer we take at a time. A rekeyed IKE SA begins
   * with one again (section 1.3.2), so there it is said in the first message of ours.
   */
  #announceWindow(payloads: readonly Payload[], exchangeType: number): readonly Payload[] {
    const { state, role, machine } = this.#ikeSa;
    const { windowSize } = machine.limits;
    const isAuthRequest =
      state.name === "authenticating" && role === "initiator" && exchangeType === ExchangeType.IKE_AUTH;
    const isDue = state.name === "established" || isAuthRequest;
    if (windowSize <= 1 || this.#isWindowAnnounced || !isDue) return payloads;
    this.#isWindowAnnounced = true;
    this.responses.widen(windowSize);
    return [...payloads, notify(NotifyType.SET_WINDOW_SIZE, encodeWindowSize(windowSize))];
  }

  /** Takes what the peer says about its own window; the last word counts. */
  heedWindow(payloads: readonly Payload[]): void {
    const said = findNotify(payloads, NotifyType.SET_WINDOW_SIZE);
    const size = said && decodeWindowSize(said.data);
    if (size === undefined || size === 0) return;
    this.requests.size = Math.min(size, this.#ikeSa.machine.limits.peerWindowSizeMax);
  }

  #header(facts: Pick<HeaderFields, "exchangeType" | "messageId" | "isResponse">): HeaderFields {
    const { initiatorSpi, responderSpi, role } = this.#ikeSa;
    return { initiatorSpi, responderSpi, isInitiator: role === "initiator", ...facts };
  }

  #cover({ header, payloads }: Outgoing): void {
    if (header.exchangeType !== ExchangeType.IKE_INTERMEDIATE) return;
    cover(this.#ikeSa, textToSend(header, encodePayloads(payloads)), header);
  }

  #compose(outgoing: Outgoing): Outgoing {
    const { impair } = this.#ikeSa.machine;
    return impair === undefined ? outgoing : impair(outgoing);
  }

  /** In fragments where one datagram would be longer than `atMost` octets, or than the path takes. */
  #seal(
    { protection }: Keyed,
    { header, payloads }: Outgoing,
    atMost = this.#fragmentLength,
  ): readonly Uint8Array[] {
    return protection.seal(header, payloads, atMost);
  }

  get #fragmentLength(): number {
    const { machine, prober, path } = this.#ikeSa;
    // RFC 9329 section 7.5.
    if (path.stream !== undefined) return LONGEST_FRAMED_MESSAGE;
    return Math.min(machine.limits.fragmentLength, prober.carriedLength);
  }

  #transmitAgain({ datagrams, bare, filled = [], aside }: OutstandingRequest): void {
    const path = aside ?? this.#ikeSa.path;
    this.#transmit(datagrams, path, bare === undefined);
    this.#transmit(filled, path, false);
  }

  #transmit(datagrams: readonly Uint8Array[], path: Path, mayFragment = true): void {
    const { machine } = this.#ikeSa;
    for (const octets of datagrams) {
      machine.counters.transmitted++;
      machine.emit({ kind: "transmit", octets, path, ...(!mayFragment && { mayFragment }) });
    }
  }
}

/** A notification that no peer knows, and that each passes over (RFC 7296 section 3.10.1). */
const FILLER = notify(NotifyType.IKEBANA_FILLER);

function fill({ header, payloads }: Outgoing, length: number): Outgoing {
  return { header, payloads: [...payloads, { ...FILLER, data: new Uint8Array(length) }] };
}

const UNREFUSED: readonly PendingRequest["purpose"]["kind"][] = [
  "follow-up",
  "delete-ike-sa",
  "delete-child-sas",
  "authentication-failed",
];
