import type { Path } from "../platform/address.ts";
import type { HeaderFields } from "../wire/message.ts";
import type { Payload } from "../wire/payloads/payload.ts";
import { formatEnd, peerSilent, retransmitted } from "./events.ts";
import type { IkeSa } from "./ike-sa.ts";
import { isKeyed } from "./ike-sa-state.ts";
import { type PendingRequest, RequestWindow, ResponseWindow } from "./window.ts";

/** The sending half of an IKE SA: requests one at a time, repeated until they are answered, and answers, kept for repetition. */
export class Outbox {
  readonly requests = new RequestWindow();
  readonly responses = new ResponseWindow();
  readonly #ikeSa: IkeSa;

  constructor(ikeSa: IkeSa) {
    this.#ikeSa = ikeSa;
  }

  // ---- Requests -------------------------------------------------------------------------------------------

  /** Sends a request when the window is open, or queues it. False when too many wait already. */
  request(request: PendingRequest, now: number): boolean {
    if (this.requests.queue.length >= this.#ikeSa.machine.limits.queuedRequestCount) return false;
    this.requests.enqueue(request);
    this.sendNext(now);
    return true;
  }

  /** Builds and sends what waits, now that nothing is outstanding. */
  sendNext(now: number): void {
    const { state } = this.#ikeSa;
    if (!isKeyed(state) || this.requests.isExhausted) return;
    for (let next = this.requests.takeNext(); next !== undefined; next = this.requests.takeNext()) {
      const payloads = next.build(this.#ikeSa);
      if (payloads === undefined) continue;
      const { exchangeType } = next;
      const messageId = this.requests.nextMessageId;
      const header = this.#header({ exchangeType, messageId, isResponse: false });
      const datagrams = state.protection.seal(header, payloads);
      this.transmitRequest({ ...next, messageId, datagrams }, now);
    }
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
    this.requests.open({ purpose, exchangeType, messageId, datagrams, sentAt: now, transmissions: 1 });
    this.#transmit(datagrams, this.#ikeSa.path);
    this.#retransmitAfter(1, now);
  }

  /** The request is answered: it is not repeated any more. */
  stopRetransmitting(): void {
    this.#ikeSa.timers.cancel("retransmit");
    this.requests.close();
  }

  #retransmitAfter(transmissions: number, now: number): void {
    const at = now + this.#wait(transmissions);
    this.#ikeSa.timers.set("retransmit", at, (then) => this.#retransmit(then));
  }

  #retransmit(now: number): void {
    const { outstanding } = this.requests;
    const { machine } = this.#ikeSa;
    if (outstanding === undefined) return;
    if (outstanding.transmissions >= machine.limits.transmissionCount) {
      this.#giveUp(outstanding.transmissions, now);
      return;
    }
    outstanding.transmissions++;
    machine.counters.retransmitted += outstanding.datagrams.length;
    machine.report(retransmitted(this.#ikeSa, outstanding));
    this.#transmit(outstanding.datagrams, this.#ikeSa.path);
    this.#retransmitAfter(outstanding.transmissions, now);
  }

  /** Exponential back-off with a ceiling and some chance (RFC 7296 section 2.4). */
  #wait(transmissions: number): number {
    const { limits, random } = this.#ikeSa.machine;
    const growing = limits.retransmitFirstMs * limits.retransmitFactor ** (transmissions - 1);
    const octets = random.bytes(2);
    const chance = ((octets[0]! << 8) | octets[1]!) / 0x1_0000;
    return Math.min(growing, limits.retransmitMaxMs) * (1 + limits.retransmitJitter * chance);
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
    this.answerWith(messageId, state.protection.seal(header, payloads));
  }

  answerWith(messageId: number, datagrams: readonly Uint8Array[]): void {
    this.responses.answered(messageId, datagrams);
    this.#transmit(datagrams, this.#ikeSa.path);
  }

  /** The last answer once more, to where the request came from again. */
  answerAgain(path: Path): void {
    this.#ikeSa.machine.counters.answeredAgain++;
    this.#transmit(this.responses.lastAnswer ?? [], path);
  }

  #header(facts: Pick<HeaderFields, "exchangeType" | "messageId" | "isResponse">): HeaderFields {
    const { initiatorSpi, responderSpi, role } = this.#ikeSa;
    return { initiatorSpi, responderSpi, isInitiator: role === "initiator", ...facts };
  }

  #transmit(datagrams: readonly Uint8Array[], path: Path): void {
    const { machine } = this.#ikeSa;
    for (const octets of datagrams) {
      machine.counters.transmitted++;
      machine.emit({ kind: "transmit", octets, path });
    }
  }
}
