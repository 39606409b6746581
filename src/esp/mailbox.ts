import {
  MAILBOX_RECORD_HEADER_SIZE,
  RING_RECORDS_SIZE,
  WORKER_BASE,
  WORKER_MAILBOX_OFFSET,
  WORKER_SIZE,
} from "../../assembly/layout.ts";
import type { Path, SocketAddress } from "../platform/address.ts";
import { RingReader, RingWriter } from "./ring.ts";

/** An IKE message as it arrived, without the non-ESP marker. The octets are good until the next one is taken. */
export interface IkeDatagram {
  readonly octets: Uint8Array;
  readonly path: Path;
}

const LENGTH_OFFSET = 4;
const REMOTE_PORT_OFFSET = 6;
const LOCAL_PORT_OFFSET = 8;
const REMOTE_ADDRESS_LENGTH_OFFSET = 10;
const LOCAL_ADDRESS_LENGTH_OFFSET = 11;
/** "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255%1234567890" and some. */
const ADDRESS_LIMIT = 64;
const DATAGRAM_LIMIT = 65_535;
const ROOM = 2048;

/** The worker's end of its mailbox. */
export class MailboxWriter {
  readonly #ring: RingWriter;
  readonly #view: DataView;
  readonly #octets: Uint8Array;

  constructor(memory: WebAssembly.Memory, worker: number) {
    this.#ring = new RingWriter(memory, mailboxOf(worker));
    this.#view = new DataView(memory.buffer);
    this.#octets = new Uint8Array(memory.buffer);
  }

  /**
   * Puts a datagram in, whose octets lie in the shared memory. False when there is no room: strangers fill half of it at most, so that
   * whoever has an IKE SA with us finds some.
   */
  put(datagram: {
    readonly address: number;
    readonly length: number;
    readonly local: SocketAddress;
    readonly remote: SocketAddress;
    readonly isStranger: boolean;
  }): boolean {
    const { address, length, local, remote } = datagram;
    const addresses = remote.address.length + local.address.length;
    const size = (MAILBOX_RECORD_HEADER_SIZE + addresses + length + 3) & ~3;
    if (length > DATAGRAM_LIMIT || Math.max(remote.address.length, local.address.length) > ADDRESS_LIMIT) {
      return false;
    }
    const record = this.#ring.claim(size, datagram.isStranger ? RING_RECORDS_SIZE / 2 : RING_RECORDS_SIZE);
    if (record === 0) return false;

    const view = this.#view;
    view.setUint16(record + LENGTH_OFFSET, length, true);
    view.setUint16(record + REMOTE_PORT_OFFSET, remote.port, true);
    view.setUint16(record + LOCAL_PORT_OFFSET, local.port, true);
    view.setUint8(record + REMOTE_ADDRESS_LENGTH_OFFSET, remote.address.length);
    view.setUint8(record + LOCAL_ADDRESS_LENGTH_OFFSET, local.address.length);
    const text = record + MAILBOX_RECORD_HEADER_SIZE;
    writeText(this.#octets, text, remote.address + local.address);
    this.#octets.copyWithin(text + addresses, address, address + length);
    this.#ring.publish(size);
    return true;
  }

  /** True when the reader has not been called since it last began to read: whoever asks calls it now. */
  shouldRing(): boolean {
    return this.#ring.shouldRing();
  }
}

/** The host's end. */
export class MailboxReader {
  readonly #ring: RingReader;
  readonly #view: DataView;
  readonly #octets: Uint8Array;
  /** The same octets, to read addresses from. */
  readonly #text: Buffer;
  /** For datagrams of an ordinary length: a flood of them leaves no garbage. */
  readonly #room = new Uint8Array(ROOM);

  constructor(memory: WebAssembly.Memory, worker: number) {
    this.#ring = new RingReader(memory, mailboxOf(worker));
    this.#view = new DataView(memory.buffer);
    this.#octets = new Uint8Array(memory.buffer);
    this.#text = Buffer.from(memory.buffer);
  }

  /** Answers the bell. Whatever is put in from now on rings again. */
  answer(): void {
    this.#ring.answer();
  }

  /** Takes the oldest datagram out, or undefined when there is none. The octets are a copy that the next call overwrites. */
  take(): IkeDatagram | undefined {
    const record = this.#ring.peek();
    if (record === 0) return undefined;
    const view = this.#view;
    const length = view.getUint16(record + LENGTH_OFFSET, true);
    const remoteText = record + MAILBOX_RECORD_HEADER_SIZE;
    const localText = remoteText + view.getUint8(record + REMOTE_ADDRESS_LENGTH_OFFSET);
    const body = localText + view.getUint8(record + LOCAL_ADDRESS_LENGTH_OFFSET);
    const datagram: IkeDatagram = {
      octets: this.#copy(body, length),
      path: {
        remote: {
          address: this.#text.toString("latin1", remoteText, localText),
          port: view.getUint16(record + REMOTE_PORT_OFFSET, true),
        },
        local: {
          address: this.#text.toString("latin1", localText, body),
          port: view.getUint16(record + LOCAL_PORT_OFFSET, true),
        },
      },
    };
    this.#ring.release(record);
    return datagram;
  }

  #copy(at: number, length: number): Uint8Array {
    if (length > this.#room.length) return this.#octets.slice(at, at + length);
    const copy = this.#room.subarray(0, length);
    copy.set(this.#octets.subarray(at, at + length));
    return copy;
  }
}

function mailboxOf(worker: number): number {
  return WORKER_BASE + worker * WORKER_SIZE + WORKER_MAILBOX_OFFSET;
}

function writeText(octets: Uint8Array, at: number, text: string): void {
  for (let i = 0; i < text.length; i++) octets[at + i] = text.charCodeAt(i);
}
