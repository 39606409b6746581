import type { PrivateKey } from "../crypto/jobs.ts";
import type { Path } from "../platform/address.ts";
import type { Payload } from "../wire/payloads/payload.ts";
import type { ChildAttempt } from "./child-sa.ts";
import type { FollowUps } from "./exchanges/ike-followup-ke.ts";
import type { IkeAttempt } from "./exchanges/rekey-ike-sa.ts";
import type { IkeSa } from "./ike-sa.ts";
import type { Outgoing } from "./impair.ts";
import { RFC_LIMITS } from "./limits.ts";
import type { AddressUpdate } from "./mobility/mobility.ts";
import type { PathProbe } from "./path-prober.ts";
import type { TimerHandle } from "./timers.ts";

/** Why a request was sent, and so what its answer means. */
type RequestPurpose =
  | { readonly kind: "init" }
  /** IKE_SESSION_RESUME. */
  | { readonly kind: "resume" }
  | { readonly kind: "auth" }
  /** A key exchange between IKE_SA_INIT and IKE_AUTH. */
  | { readonly kind: "intermediate"; readonly group: number; readonly privateKey: PrivateKey }
  | { readonly kind: "liveness"; readonly isCommanded: boolean }
  /** `isCutShort`: others wait for its place in the window. */
  | { readonly kind: "path-probe"; readonly probe: PathProbe; readonly isCutShort: boolean }
  /** The path has changed. */
  | { readonly kind: "update-addresses"; readonly update: AddressUpdate }
  /** The peer is told where it can call us. */
  | { readonly kind: "tell-addresses" }
  /** Whether the peer is at the end of the path. */
  | { readonly kind: "verify-path"; readonly update: AddressUpdate }
  | { readonly kind: "create-child-sa"; readonly attempt: ChildAttempt }
  | { readonly kind: "rekey-ike-sa"; readonly attempt: IkeAttempt }
  /** A further key exchange behind either of these. */
  | { readonly kind: "follow-up"; readonly followUps: FollowUps; readonly privateKey: PrivateKey }
  /** The peer is told to go elsewhere. */
  | { readonly kind: "redirect" }
  | { readonly kind: "delete-ike-sa" }
  | {
      readonly kind: "delete-child-sas";
      readonly inboundSpis: readonly number[];
      /** The peer's names of the same, as far as there are any. */
      readonly outboundSpis: readonly number[];
    }
  /** The responder did not convince us (RFC 7296 section 2.21.2). */
  | { readonly kind: "authentication-failed" };

/** A request that waits for its turn; it is built when the window opens, from the state of that time. */
export interface PendingRequest {
  readonly purpose: RequestPurpose;
  readonly exchangeType: number;
  /** `ikeSa` is the one that sends it: another one than at first when it was rekeyed meanwhile. Undefined drops the request. */
  readonly build: (ikeSa: IkeSa) => readonly Payload[] | undefined;
  /** Where it goes at first, in place of the IKE SA's path: whether the peer is there is the question. */
  readonly aside?: Path | undefined;
  /** Octets of the one datagram that the message becomes, by filler in it, and which is not fragmented on its way. */
  readonly fillTo?: number | undefined;
}

/** A request that was sent and not answered yet. */
export interface OutstandingRequest {
  readonly purpose: RequestPurpose;
  readonly exchangeType: number;
  readonly messageId: number;
  /** One datagram, or the fragments of one message. The same octets go out each time (RFC 7296 section 2.1). */
  readonly datagrams: readonly Uint8Array[];
  /** Of a message that was filled up, as long as it goes out so: the same without. */
  readonly bare?: Outgoing | undefined;
  /** What was filled up, beside what is not any more. */
  readonly filled?: readonly Uint8Array[] | undefined;
  /** When it was transmitted first, or last begun again. */
  sentAt: number;
  /** Where it goes in place of the IKE SA's path, as long as an answer from there may come. */
  aside?: Path | undefined;
  /** The TCP connection that it went through as well, since UDP is silent. */
  triedBy?: number | undefined;
  /** How often it was transmitted. */
  transmissions: number;
  /** The next repetition. */
  timer?: TimerHandle | undefined;
  /** How often it had been transmitted when somebody, maybe the peer, answered INVALID_IKE_SPI without protection. */
  doubtedAfter?: number | undefined;
}

/** Our requests: as many at a time as the peer takes (RFC 7296 section 2.3), the others in a queue. */
export class RequestWindow {
  /** How many requests may be unanswered at once. */
  size = 1;
  #nextMessageId = 0;
  /** By message ID, the oldest first. */
  readonly #outstanding = new Map<number, OutstandingRequest>();
  readonly #queue: PendingRequest[] = [];
  #holdCount = 0;

  /** The oldest request without an answer. */
  get outstanding(): OutstandingRequest | undefined {
    return this.allOutstanding[0];
  }

  get allOutstanding(): readonly OutstandingRequest[] {
    return [...this.#outstanding.values()];
  }

  get queue(): readonly PendingRequest[] {
    return this.#queue;
  }

  get nextMessageId(): number {
    return this.#nextMessageId;
  }

  get isExhausted(): boolean {
    return this.#nextMessageId > RFC_LIMITS.messageIdMax;
  }

  /** Whether an answer has come whose keys are still being computed. */
  get isHeld(): boolean {
    return this.#holdCount > 0;
  }

  hold(): void {
    this.#holdCount++;
  }

  release(): void {
    this.#holdCount--;
  }

  find(messageId: number): OutstandingRequest | undefined {
    return this.#outstanding.get(messageId);
  }

  /** What goes on with something that has begun comes before all else. */
  enqueue(request: PendingRequest): void {
    if (request.purpose.kind === "follow-up") this.#queue.unshift(request);
    else this.#queue.push(request);
  }

  /**
   * The next request to send, when there is room for it. `isBeingReplaced`: the peer is about to replace the IKE SA, and what would change
   * SAs waits for it (RFC 7296 section 2.25.2).
   */
  takeNext({ isBeingReplaced }: { readonly isBeingReplaced: boolean }): PendingRequest | undefined {
    const index = this.#queue.findIndex(({ purpose }) => !isBeingReplaced || !changesSas(purpose));
    const next = this.#queue[index];
    if (next === undefined || this.isHeld || !this.#hasRoomFor(next)) return undefined;
    this.#queue.splice(index, 1);
    return next;
  }

  /**
   * RFC 7296 section 2.3: request X waits for the answers to all up to X less the window. What replaces the IKE SA goes
   * alone, since nothing may be changed in an SA that is being replaced (section 2.25.2).
   */
  #hasRoomFor({ purpose }: PendingRequest): boolean {
    const { allOutstanding } = this;
    const [oldest] = allOutstanding;
    if (oldest === undefined) return true;
    if (goesAlone(purpose) || allOutstanding.some((request) => goesAlone(request.purpose))) return false;
    return oldest.messageId + this.size > this.#nextMessageId;
  }

  /** Everything that waits, for another IKE SA to send. */
  takeAll(): PendingRequest[] {
    return this.#queue.splice(0);
  }

  /** One that is sent anew under its message ID may have others behind it. */
  open(request: OutstandingRequest): void {
    this.#outstanding.set(request.messageId, request);
    this.#nextMessageId = Math.max(this.#nextMessageId, request.messageId + 1);
  }

  /** The answer came. */
  close(messageId: number): void {
    this.#outstanding.delete(messageId);
  }

  clear(): void {
    this.#outstanding.clear();
    this.clearQueue();
  }

  clearQueue(): void {
    this.#queue.length = 0;
  }
}

function goesAlone(purpose: RequestPurpose): boolean {
  const { kind } = purpose;
  if (kind === "follow-up") return purpose.followUps.isForIkeSa;
  return kind === "rekey-ike-sa" || kind === "init" || kind === "resume" || kind === "auth";
}

function changesSas({ kind }: RequestPurpose): boolean {
  return kind === "rekey-ike-sa" || kind === "create-child-sa" || kind === "delete-child-sas";
}

/** "deferred": the request is being worked on, and its answer is to come. */
export type RequestPlace = "next" | "repeated" | "deferred" | "outside";

/**
 * The peer's requests: those within the window are processed in whatever order they come; what was answered is answered
 * again with the same octets, for as long as the peer may ask for it; no other is heard.
 */
export class ResponseWindow {
  #size = 1;
  #nextMessageId = 0;
  #highestAnswered = -1;
  /** By message ID; never more than the window is wide. */
  readonly #answers = new Map<number, readonly Uint8Array[]>();
  readonly #deferred = new Set<number>();

  /** The lowest message ID that has no answer. */
  get nextMessageId(): number {
    return this.#nextMessageId;
  }

  get hasAnswers(): boolean {
    return this.#answers.size > 0;
  }

  /** How many answers are kept. */
  get answerCount(): number {
    return this.#answers.size;
  }

  get answers(): Iterable<readonly Uint8Array[]> {
    return this.#answers.values();
  }

  answerTo(messageId: number): readonly Uint8Array[] | undefined {
    return this.#answers.get(messageId);
  }

  place(messageId: number): RequestPlace {
    if (this.#answers.has(messageId)) return "repeated";
    if (this.#deferred.has(messageId)) return "deferred";
    const isWithin = messageId >= this.#nextMessageId && messageId < this.#nextMessageId + this.#size;
    return isWithin ? "next" : "outside";
  }

  /**
   * From now on the peer may send so many requests before it has the answer to the first. That is said in our first protected
   * message, so all that may have been answered before is IKE_SA_INIT, which nobody who has keys asks for again.
   */
  widen(size: number): void {
    this.#size = size;
    this.#answers.clear();
  }

  defer(messageId: number): void {
    this.#deferred.add(messageId);
  }

  answered(messageId: number, datagrams: readonly Uint8Array[]): void {
    this.#deferred.delete(messageId);
    this.#answers.set(messageId, datagrams);
    this.#highestAnswered = Math.max(this.#highestAnswered, messageId);
    while (this.#answers.has(this.#nextMessageId)) this.#nextMessageId++;
    // Whoever sent this one has the answers to all that came a window before it.
    for (const kept of this.#answers.keys()) {
      if (kept <= this.#highestAnswered - this.#size) this.#answers.delete(kept);
    }
  }
}
