import { concat } from "../../bytes/concat.ts";
import { wipe } from "../../bytes/wipe.ts";

/**
 * What stands behind Type in EAP-TLS, RFC 5216 section 3:
 *
 *   Flags (1) | TLS Message Length (4), if L is set | TLS Data
 *
 * A message of TLS that is too long for one packet travels in fragments; each but the last has M, is acknowledged by a packet without
 * data, and the first tells the length of the whole.
 */
const LENGTH_INCLUDED = 0x80;
const MORE_FRAGMENTS = 0x40;
const START = 0x20;

/** TLS Data in a packet. With all headers around it, it fits into one datagram on any path of IPv6. */
const FRAGMENT_LENGTH = 1024;
/** Of one message of TLS, which may be a whole flight: long chains, and room for post-quantum signatures. */
const LONGEST_MESSAGE = 65_536;

/** Opens a conversation, RFC 5216 section 2.1.1. */
export const START_DATA: Uint8Array = Uint8Array.of(START);
/** Acknowledges a fragment, and answers what needs no other answer. */
export const EMPTY_DATA: Uint8Array = Uint8Array.of(0);

/** Whether this is a Start, and nothing else. */
export function isStart(data: Uint8Array): boolean {
  // The lower bits are reserved; methods that were made after this one have their version there.
  return data.length === 1 && (data[0]! & (START | MORE_FRAGMENTS | LENGTH_INCLUDED)) === START;
}

/** Whether this acknowledges a fragment: no data, nothing announced. */
export function isAcknowledgement(data: Uint8Array): boolean {
  return data.length === 0 || (data.length === 1 && (data[0]! & (START | MORE_FRAGMENTS)) === 0);
}

/** A message of TLS on its way out. */
export class OutgoingMessage {
  readonly #message: Uint8Array;
  #sent = 0;

  constructor(message: Uint8Array) {
    this.#message = message;
  }

  get isSent(): boolean {
    return this.#sent >= this.#message.length;
  }

  /** Data of the next packet. */
  next(): Uint8Array {
    const fragment = this.#message.subarray(this.#sent, this.#sent + FRAGMENT_LENGTH);
    const isFirst = this.#sent === 0;
    this.#sent += fragment.length;
    const more = this.isSent ? 0 : MORE_FRAGMENTS;
    if (!isFirst) return concat(Uint8Array.of(more), fragment);
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, this.#message.length);
    return concat(Uint8Array.of(LENGTH_INCLUDED | more), length, fragment);
  }
}

export type IncomingStep =
  | { readonly kind: "acknowledge" }
  | { readonly kind: "message"; readonly message: Uint8Array }
  | { readonly kind: "failure"; readonly reason: string };

/** Puts a message of TLS together from the packets that it comes in. */
export class IncomingMessage {
  #fragments: Uint8Array[] = [];
  #length = 0;
  /** What the first fragment has announced. */
  #announced: number | undefined;

  receive(data: Uint8Array): IncomingStep {
    const flags = data[0] ?? 0;
    const isLengthIncluded = (flags & LENGTH_INCLUDED) !== 0;
    if (isLengthIncluded && data.length < 5) return failed(`a length of ${data.length - 1} octets`);
    const fragment = data.subarray(isLengthIncluded ? 5 : 1);
    const more = (flags & MORE_FRAGMENTS) !== 0;
    if (isLengthIncluded) {
      const length = new DataView(data.buffer, data.byteOffset + 1, 4).getUint32(0);
      if (this.#announced !== undefined && this.#announced !== length) return failed("two lengths");
      this.#announced = length;
    }
    const limit = Math.min(this.#announced ?? LONGEST_MESSAGE, LONGEST_MESSAGE);
    if (this.#length + fragment.length > limit || (this.#announced ?? 0) > LONGEST_MESSAGE) {
      return failed(`a message of TLS longer than ${limit} octets`);
    }
    if (more && fragment.length === 0) return failed("a fragment without data");
    this.#fragments.push(fragment.slice());
    this.#length += fragment.length;
    if (more) return { kind: "acknowledge" };
    if (this.#announced !== undefined && this.#announced !== this.#length) {
      return failed(`${this.#length} octets of TLS where ${this.#announced} were announced`);
    }
    const message = concat(...this.#fragments);
    this.clear();
    return { kind: "message", message };
  }

  clear(): void {
    wipe(...this.#fragments);
    this.#fragments = [];
    this.#length = 0;
    this.#announced = undefined;
  }
}

function failed(reason: string): IncomingStep {
  return { kind: "failure", reason };
}
