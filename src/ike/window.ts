import type { Payload } from "../wire/payloads/payload.ts";
import type { ChildAttempt } from "./child-sa.ts";
import type { IkeAttempt } from "./exchanges/rekey-ike-sa.ts";
import type { IkeSa } from "./ike-sa.ts";
import { RFC_LIMITS } from "./limits.ts";

/** Why a request was sent, and so what its answer means. */
type RequestPurpose =
  | { readonly kind: "init" }
  | { readonly kind: "auth" }
  | { readonly kind: "liveness"; readonly isCommanded: boolean }
  | { readonly kind: "create-child-sa"; readonly attempt: ChildAttempt }
  | { readonly kind: "rekey-ike-sa"; readonly attempt: IkeAttempt }
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
}

/** A request that was sent and not answered yet. */
export interface OutstandingRequest {
  readonly purpose: RequestPurpose;
  readonly exchangeType: number;
  readonly messageId: number;
  /** One datagram, or the fragments of one message. The same octets go out each time (RFC 7296 section 2.1). */
  readonly datagrams: readonly Uint8Array[];
  readonly sentAt: number;
  /** How often it was transmitted. */
  transmissions: number;
}

/** Our requests: one at a time, since no peer of ours was ever asked for more (RFC 7296 section 2.3). */
export class RequestWindow {
  #nextMessageId = 0;
  #outstanding: OutstandingRequest | undefined;
  readonly #queue: PendingRequest[] = [];
  #isHeld = false;

  get outstanding(): OutstandingRequest | undefined {
    return this.#outstanding;
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
    return this.#isHeld;
  }

  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    this.#isHeld = false;
  }

  enqueue(request: PendingRequest): void {
    this.#queue.push(request);
  }

  /** The next request to send, when none is outstanding. */
  takeNext(): PendingRequest | undefined {
    return this.#outstanding === undefined && !this.#isHeld ? this.#queue.shift() : undefined;
  }

  /** Everything that waits, for another IKE SA to send. */
  takeAll(): PendingRequest[] {
    return this.#queue.splice(0);
  }

  open(request: OutstandingRequest): void {
    this.#outstanding = request;
    this.#nextMessageId = request.messageId + 1;
  }

  /** The answer came. */
  close(): void {
    this.#outstanding = undefined;
  }

  clear(): void {
    this.#outstanding = undefined;
    this.clearQueue();
  }

  clearQueue(): void {
    this.#queue.length = 0;
  }
}

/** The peer's requests: the next one is processed, the last one is answered again with the same octets, no other is heard. */
export class ResponseWindow {
  #nextMessageId = 0;
  #lastAnswer: readonly Uint8Array[] | undefined;
  #isDeferred = false;

  get nextMessageId(): number {
    return this.#nextMessageId;
  }

  get lastAnswer(): readonly Uint8Array[] | undefined {
    return this.#lastAnswer;
  }

  /** "deferred": the request is being worked on, and its answer is to come. */
  place(messageId: number): "next" | "repeated" | "deferred" | "outside" {
    if (messageId === this.#nextMessageId) return this.#isDeferred ? "deferred" : "next";
    if (messageId === this.#nextMessageId - 1 && this.#lastAnswer !== undefined) return "repeated";
    return "outside";
  }

  defer(): void {
    this.#isDeferred = true;
  }

  answered(messageId: number, datagrams: readonly Uint8Array[]): void {
    this.#isDeferred = false;
    this.#nextMessageId = messageId + 1;
    this.#lastAnswer = datagrams;
  }
}
