import { wipe } from "../bytes/wipe.ts";
import type { IkeKeys } from "../crypto/keymat.ts";
import { createMessageCipher, type MessageCipher } from "../crypto/message-cipher.ts";
import type { Random } from "../platform/random.ts";
import {
  encodePayloads,
  encodeProtectedEnvelope,
  type HeaderFields,
  type PayloadChain,
  type ProtectedEnvelope,
} from "../wire/message.ts";
import type { Payload, PayloadOf } from "../wire/payloads/payload.ts";
import type { Proposal } from "../wire/payloads/proposal.ts";
import { suiteOf } from "./proposals.ts";

/** Seals and opens the messages of one IKE SA, and cuts long ones (RFC 7296 section 3.14, RFC 7383). Holds its keys until `wipe`. */
export class MessageProtection {
  readonly #outbound: MessageCipher;
  readonly #inbound: MessageCipher;
  readonly #random: Random;
  /** Messages above this many octets go out in fragments; undefined when the peer cannot put them together. */
  readonly #fragmentLength: number | undefined;

  constructor(facts: {
    readonly proposal: Proposal;
    readonly keys: IkeKeys;
    readonly role: "initiator" | "responder";
    readonly random: Random;
    readonly fragmentLength: number | undefined;
  }) {
    const { proposal, keys, role } = facts;
    const { encryption, integrity } = suiteOf(proposal);
    const suite = { encryption, integrity };
    const initiator = createMessageCipher({ ...suite, encryptionKey: keys.skEi, integrityKey: keys.skAi });
    const responder = createMessageCipher({ ...suite, encryptionKey: keys.skEr, integrityKey: keys.skAr });
    this.#outbound = role === "initiator" ? initiator : responder;
    this.#inbound = role === "initiator" ? responder : initiator;
    this.#random = facts.random;
    this.#fragmentLength = facts.fragmentLength;
  }

  /** Lengths that a message in one datagram can have: the least, and how far they lie apart. */
  get grain(): { readonly first: number; readonly size: number } {
    return { first: this.#lengthOf([]), size: this.#outbound.blockLength };
  }

  /** The most octets that one of the payloads may grow by, so that the message is one datagram of `length` octets or less. */
  roomBeside(payloads: readonly Payload[], length: number): number {
    const room = Math.max(0, length - this.#lengthOf(payloads));
    return room - (room % this.#outbound.blockLength);
  }

  /** One datagram, or as many as the message needs where none may be longer than `atMost`. */
  seal(header: HeaderFields, payloads: readonly Payload[], atMost?: number): readonly Uint8Array[] {
    return this.sealChain(header, encodePayloads(payloads), atMost);
  }

  /** The same for payloads that are laid out already. Overwrites them. */
  sealChain(
    header: HeaderFields,
    { firstType, octets: plaintext }: PayloadChain,
    atMost = this.#fragmentLength,
  ): readonly Uint8Array[] {
    const whole = this.#envelope({ header, firstType, plaintextLength: plaintext.length });
    const limit = this.#fragmentLength === undefined ? undefined : atMost;
    if (limit === undefined || whole.octets.length <= limit) {
      this.#fill(whole, plaintext);
      wipe(plaintext);
      return [whole.octets];
    }

    const share = this.#plaintextOfFragment(header, limit);
    const total = Math.ceil(plaintext.length / share);
    const datagrams: Uint8Array[] = [];
    for (let number = 1; number <= total; number++) {
      const part = plaintext.subarray((number - 1) * share, number * share);
      const fragment = { number, total };
      const envelope = this.#envelope({ header, firstType, plaintextLength: part.length, fragment });
      this.#fill(envelope, part);
      datagrams.push(envelope.octets);
    }
    wipe(plaintext);
    return datagrams;
  }

  /** The octets inside, or undefined for a message that is not from the peer. */
  open(payload: PayloadOf<"encrypted"> | PayloadOf<"encrypted-fragment">): Uint8Array | undefined {
    return this.#inbound.open({ aad: payload.aad, body: payload.body });
  }

  wipe(): void {
    this.#outbound.wipe();
    this.#inbound.wipe();
  }

  #envelope(message: {
    readonly header: HeaderFields;
    readonly firstType: number;
    readonly plaintextLength: number;
    readonly fragment?: { readonly number: number; readonly total: number };
  }): ProtectedEnvelope {
    const { header, firstType, plaintextLength, ...rest } = message;
    const bodyLength = this.#outbound.bodyLength(plaintextLength);
    return encodeProtectedEnvelope({ ...header, firstType, bodyLength, ...rest });
  }

  #lengthOf(payloads: readonly Payload[]): number {
    const { firstType, octets: plaintext } = encodePayloads(payloads);
    const { length } = this.#envelope({
      header: ANY_HEADER,
      firstType,
      plaintextLength: plaintext.length,
    }).octets;
    wipe(plaintext);
    return length;
  }

  #fill({ octets, aadLength, bodyOffset }: ProtectedEnvelope, plaintext: Uint8Array): void {
    const iv = this.#outbound.nextIv(this.#random);
    octets.set(this.#outbound.seal({ aad: octets.subarray(0, aadLength), plaintext, iv }), bodyOffset);
  }

  /** The most plaintext that a fragment of `limit` octets holds, whatever the padding of the cipher. */
  #plaintextOfFragment(header: HeaderFields, limit: number): number {
    const fragment = { number: 1, total: 1 };
    const overhead = this.#envelope({ header, firstType: 0, plaintextLength: 0, fragment }).octets.length;
    return Math.max(1, limit - overhead - this.#outbound.blockLength);
  }
}

/** All headers are of one length. */
const ANY_HEADER: HeaderFields = {
  initiatorSpi: 0n,
  responderSpi: 0n,
  exchangeType: 0,
  isInitiator: true,
  isResponse: false,
  messageId: 0,
};
