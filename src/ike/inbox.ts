import { WireError } from "../errors/index.ts";
import { ExchangeType, NotifyType, nameOf } from "../iana/ikev2-parameters.ts";
import type { Path } from "../platform/address.ts";
import { decodePayloads, type Header, type Message, type PayloadChain } from "../wire/message.ts";
import type { Payload, PayloadOf } from "../wire/payloads/payload.ts";
import { showsCrash } from "./crash-detection.ts";
import type { IkeSa } from "./ike-sa.ts";
import type { Keyed } from "./ike-sa-state.ts";
import { receivedText } from "./intermediate-auth.ts";
import type { MessageProtection } from "./message-protection.ts";
import { findNotify } from "./payloads.ts";
import { Reassembly } from "./reassembly.ts";
import type { RequestPlace } from "./window.ts";

/** A whole message that is authentic and whose turn it is. What is inside of it may still make no sense. */
export interface Incoming {
  readonly header: Header;
  readonly payloads: readonly Payload[] | WireError;
  /** Of an IKE_INTERMEDIATE message: what AUTH covers of it. */
  readonly text?: Uint8Array;
  /** Nothing of the same direction and kind that was sent behind it has come before. */
  readonly isNewest: boolean;
}

interface Received {
  readonly header: Header;
  readonly path: Path;
  readonly now: number;
}

/** The receiving half of an IKE SA: window, integrity, repetition, fragments. */
export class Inbox {
  readonly #ikeSa: IkeSa;
  /** What is being put together, by kind and message ID: never more than both windows are wide. */
  readonly #fragments = new Map<string, Reassembly>();
  readonly #newest = { request: -1, response: -1 };

  constructor(ikeSa: IkeSa) {
    this.#ikeSa = ikeSa;
  }

  /** The message when there is one to process; else it was dropped, answered again, or kept as a fragment. */
  open(
    { protection }: Keyed,
    { message, path, now }: { readonly message: Message; readonly path: Path; readonly now: number },
  ): Incoming | undefined {
    const ikeSa = this.#ikeSa;
    const { header } = message;
    const sealed = message.payloads.find(
      (payload) => payload.kind === "encrypted" || payload.kind === "encrypted-fragment",
    );
    if (sealed === undefined) {
      const { payloads } = message;
      if (header.isResponse && showsCrash(ikeSa, payloads)) {
        ikeSa.close(
          { reason: "peer-restarted", message: "the peer was started again, and shows that it has lost it" },
          now,
        );
        return undefined;
      }
      // A peer that has not heard of an IKE SA yet does not know it, and it is not said that it never will.
      // Neither may others who are where it was asked for as well.
      const isFromPeer = path.remote.address === ikeSa.path.remote.address;
      const mayKnow = isFromPeer && (this.hasHeard || !ikeSa.mobility.isAgreed);
      if (header.isResponse && mayKnow && findNotify(payloads, NotifyType.INVALID_IKE_SPI) !== undefined) {
        ikeSa.outbox.doubt(header.messageId, now);
      }
      ikeSa.drop("unexpected", `${describe(header)} without protection`, path, now);
      return undefined;
    }
    // The window is looked at first, since that costs nothing.
    const place = this.#placeOf(header);
    if (place === "outside") {
      ikeSa.drop("outsideWindow", `message ID ${header.messageId} of ${describe(header)}`, path, now);
      return undefined;
    }
    if (!this.#isAllowed(header)) {
      ikeSa.drop("unexpected", `${describe(header)} before authentication`, path, now);
      return undefined;
    }
    const plaintext = this.#protectionOf(header, protection).open(sealed);
    if (plaintext === undefined) {
      ikeSa.drop("forged", `${describe(header)} fails the integrity check`, path, now);
      return undefined;
    }
    if (place === "deferred") return undefined;
    if (place === "repeated") {
      // RFC 7383 section 2.6.1: only the first fragment of a repeated request brings the answer out again.
      if (sealed.kind === "encrypted" || sealed.fragmentNumber === 1)
        ikeSa.outbox.answerAgain(header.messageId, path);
      return undefined;
    }
    const chain = this.#assemble(sealed, plaintext, { header, path, now });
    if (chain === undefined) return undefined;
    // RFC 7296 section 2.4: only a fresh message shows that the peer lives; anybody can send an old one again.
    ikeSa.heardAt = now;
    const incoming = { header, payloads: decodeInner(chain), isNewest: this.#note(header) };
    if (header.exchangeType !== ExchangeType.IKE_INTERMEDIATE) return incoming;
    const { aad } = sealed;
    return { ...incoming, text: receivedText({ aad, isFragment: sealed.kind !== "encrypted" }, chain) };
  }

  /** A request that comes again, since its answer was lost, is protected as it was. */
  #protectionOf({ isResponse, messageId }: Header, present: MessageProtection): MessageProtection {
    const { state } = this.#ikeSa;
    const earlier = state.name === "authenticating" ? state.intermediate?.earlier : undefined;
    return !isResponse && earlier?.messageId === messageId ? earlier.protection : present;
  }

  /** Within a window messages overtake one another. */
  #note({ isResponse, messageId }: Header): boolean {
    const kind = isResponse ? "response" : "request";
    if (messageId <= this.#newest[kind]) return false;
    this.#newest[kind] = messageId;
    return true;
  }

  /** Whether anything authentic has come. */
  get hasHeard(): boolean {
    return this.#newest.request >= 0 || this.#newest.response >= 0;
  }

  /** Forgets fragments. */
  clear(): void {
    if (this.#fragments.size === 0) return;
    for (const reassembly of this.#fragments.values()) reassembly.clear();
    this.#fragments.clear();
  }

  #placeOf(header: Header): RequestPlace {
    const { requests, responses } = this.#ikeSa.outbox;
    if (!header.isResponse) return responses.place(header.messageId);
    const asked = requests.find(header.messageId);
    return asked?.exchangeType === header.exchangeType ? "next" : "outside";
  }

  /** Before authentication the only requests are IKE_INTERMEDIATE, as far as agreed on, and IKE_AUTH, from the initiator; who does not go on with a login may say so. */
  #isAllowed(header: Header): boolean {
    const { state, role } = this.#ikeSa;
    if (header.isResponse || state.name !== "authenticating") return true;
    if (role !== "responder") return false;
    const mayGiveUp = state.eap !== undefined && header.exchangeType === ExchangeType.INFORMATIONAL;
    if (header.exchangeType === ExchangeType.IKE_INTERMEDIATE) return state.intermediate !== undefined;
    return mayGiveUp || header.exchangeType === ExchangeType.IKE_AUTH;
  }

  #reassembly(key: string): Reassembly {
    const { limits, reassemblyBudget: budget } = this.#ikeSa.machine;
    const reassembly = this.#fragments.get(key) ?? new Reassembly({ limits, budget });
    this.#fragments.set(key, reassembly);
    return reassembly;
  }

  #discard(key: string): void {
    this.#fragments.get(key)?.clear();
    this.#fragments.delete(key);
  }

  #assemble(
    sealed: PayloadOf<"encrypted"> | PayloadOf<"encrypted-fragment">,
    plaintext: Uint8Array,
    { header, path, now }: Received,
  ): PayloadChain | undefined {
    const ikeSa = this.#ikeSa;
    const key = `${header.isResponse ? "response" : "request"} ${header.messageId}`;
    if (sealed.kind === "encrypted") {
      this.#discard(key);
      return { firstType: sealed.nextPayload, octets: plaintext };
    }
    if (!ikeSa.supportsFragmentation) {
      ikeSa.drop("fragmentRefused", "fragments were not agreed on", path, now);
      return undefined;
    }
    const result = this.#reassembly(key).add({
      messageId: header.messageId,
      number: sealed.fragmentNumber,
      total: sealed.totalFragments,
      nextPayload: sealed.nextPayload,
      plaintext,
      isFromStranger: ikeSa.state.name === "authenticating",
    });
    switch (result.kind) {
      case "whole":
        this.#discard(key);
        return { firstType: result.nextPayload, octets: result.plaintext };
      case "need-more":
        ikeSa.timers.set("reassembly", now + ikeSa.machine.limits.reassemblyTimeoutMs, () => this.clear());
        return undefined;
      case "refused":
        ikeSa.drop("fragmentRefused", result.reason, path, now);
        return undefined;
    }
  }
}

/** "IKE_AUTH request 1" */
export function describe(header: Header): string {
  const exchange = nameOf(ExchangeType, header.exchangeType);
  return `${exchange} ${header.isResponse ? "response" : "request"} ${header.messageId}`;
}

function decodeInner(chain: PayloadChain): readonly Payload[] | WireError {
  try {
    return decodePayloads(chain);
  } catch (error) {
    if (error instanceof WireError) return error;
    throw error;
  }
}
