import { NotifyType, PayloadType } from "../iana/ikev2-parameters.ts";
import { IkeSpiFilter } from "./ike-spi-filter.ts";

/** What an IKE datagram is before anybody has decoded it. */
export const MAIL_NONSENSE = 0;
/** Of an IKE SA of ours, as far as can be told. */
export const MAIL_KNOWN = 1;
/** Of somebody whom we do not know, within what all of these may send. */
export const MAIL_STRANGER = 2;
/** Beyond what strangers, or one IKE SA, may send. */
export const MAIL_BEYOND = 3;

// What strangers may send in a second, all of them together. A datagram costs the host about 20 us, most of it the answer that leaves:
// a flood takes less than half of one core from it. Who shows a cookie, which only the host can check, has an allowance of his own.
const STRANGERS_PER_SECOND = 20_000;
const COOKIES_PER_SECOND = 5_000;
/** A burst may bring so many milliseconds' worth. */
const BURST_MS = 100;
// Who has made us take an SPI, with a cookie and no more, or has seen one on its way, gets no further with it than this. Four requests at
// once of 32 fragments each are as much as an honest peer has to say.
const PER_SPI_IN_BURST = 128;
/** SPIs that share their low bits share an allowance. */
const SPI_ALLOWANCES = 4096;

/**
 * Looks at the header of IKE datagrams in the data worker. Nonsense, and what strangers send beyond their allowance, ends here, for less
 * than it costs to hand it over.
 */
export class MailTriage {
  readonly #octets: Uint8Array;
  readonly #spis: IkeSpiFilter;
  #strangers = (STRANGERS_PER_SECOND * BURST_MS) / 1000;
  #cookies = (COOKIES_PER_SECOND * BURST_MS) / 1000;
  readonly #ofSpis = new Uint8Array(SPI_ALLOWANCES);
  #at = 0;
  #spisAt = 0;

  constructor(memory: WebAssembly.Memory) {
    this.#octets = new Uint8Array(memory.buffer);
    this.#spis = new IkeSpiFilter(memory);
  }

  /** Allows what has become due by `now`, in milliseconds. */
  refill(now: number): void {
    const elapsed = Math.min(Math.max(0, now - this.#at), BURST_MS);
    this.#at = now;
    this.#strangers = refilled(this.#strangers, elapsed, STRANGERS_PER_SECOND);
    this.#cookies = refilled(this.#cookies, elapsed, COOKIES_PER_SECOND);
    if (now - this.#spisAt < BURST_MS) return;
    this.#spisAt = now;
    this.#ofSpis.fill(0);
  }

  /** MAIL_* for the datagram at an address of the memory, without non-ESP marker. */
  sort(at: number, length: number): number {
    if (length < HEADER_LENGTH || this.#u32(at + LENGTH_OFFSET) !== length) return MAIL_NONSENSE;
    const isInitiator = (this.#octets[at + FLAGS_OFFSET]! & FLAG_INITIATOR) !== 0;
    // RFC 7296 section 3.1: the flag says which of the two SPIs is the sender's.
    const local = at + (isInitiator ? RESPONDER_SPI_OFFSET : INITIATOR_SPI_OFFSET);
    const low = this.#u32(local + 4);
    if ((low !== 0 || this.#u32(local) !== 0) && this.#spis.mayHave(low)) {
      return this.#takeOf(low) ? MAIL_KNOWN : MAIL_BEYOND;
    }
    return this.#takeFor(at, length) ? MAIL_STRANGER : MAIL_BEYOND;
  }

  #takeOf(spi: number): boolean {
    const at = spi & (SPI_ALLOWANCES - 1);
    if (this.#ofSpis[at] === PER_SPI_IN_BURST) return false;
    this.#ofSpis[at]!++;
    return true;
  }

  /** RFC 7296 section 2.6: the cookie is the first payload. */
  #takeFor(at: number, length: number): boolean {
    const octets = this.#octets;
    const showsCookie =
      octets[at + NEXT_PAYLOAD_OFFSET] === NOTIFY &&
      length > NOTIFY_TYPE_OFFSET + 2 &&
      octets[at + NOTIFY_TYPE_OFFSET] === COOKIE >>> 8 &&
      octets[at + NOTIFY_TYPE_OFFSET + 1] === (COOKIE & 0xff);
    if (showsCookie) {
      if (this.#cookies < 1) return false;
      this.#cookies--;
      return true;
    }
    if (this.#strangers < 1) return false;
    this.#strangers--;
    return true;
  }

  #u32(at: number): number {
    const octets = this.#octets;
    return ((octets[at]! << 24) | (octets[at + 1]! << 16) | (octets[at + 2]! << 8) | octets[at + 3]!) >>> 0;
  }
}

function refilled(allowance: number, elapsed: number, perSecond: number): number {
  return Math.min(allowance + (elapsed * perSecond) / 1000, (perSecond * BURST_MS) / 1000);
}

// IKE header, RFC 7296 section 3.1, and a Notify payload right behind it, section 3.10.
const INITIATOR_SPI_OFFSET = 0;
const RESPONDER_SPI_OFFSET = 8;
const NEXT_PAYLOAD_OFFSET = 16;
const FLAGS_OFFSET = 19;
const LENGTH_OFFSET = 24;
const HEADER_LENGTH = 28;
const NOTIFY_TYPE_OFFSET = 34;
const FLAG_INITIATOR = 0x08;
const NOTIFY = PayloadType.N;
const { COOKIE } = NotifyType;
