import {
  MAILBOX_BELL_OFFSET,
  MAILBOX_HEAD_OFFSET,
  MAILBOX_RECORD_HEADER_SIZE,
  MAILBOX_RECORDS_OFFSET,
  MAILBOX_RECORDS_SIZE,
  MAILBOX_TAIL_OFFSET,
  WORKER_BASE,
  WORKER_MAILBOX_OFFSET,
  WORKER_SIZE,
} from "../../assembly/layout.ts";
import type { Path, SocketAddress } from "../platform/address.ts";

/** An IKE message as it arrived, without the non-ESP marker. The octets are good until the next one is taken. */
export interface IkeDatagram {
  readonly octets: Uint8Array;
  readonly path: Path;
}

// A ring of records with one writer and one reader. A record is never split: where the end of the area is too near, a size
// of zero sends the reader back to the start. The writer moves the tail only, the reader the head only; head == tail is empty,
// so the writer never lets the tail catch up.

interface RecordFields {
  readonly view: DataView;
  readonly octets: Uint8Array;
  /** The same octets, to read addresses from. */
  readonly text: Buffer;
  readonly words: Int32Array;
  readonly base: number;
  readonly records: number;
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

/** The worker's end. */
export class MailboxWriter {
  readonly #fields: RecordFields;

  constructor(memory: WebAssembly.Memory, worker: number) {
    this.#fields = fieldsOf(memory, worker);
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
    const at = this.#claim(size, datagram.isStranger);
    if (at === undefined) return false;

    const { view, octets, records } = this.#fields;
    const record = records + at;
    view.setUint32(record, size, true);
    view.setUint16(record + LENGTH_OFFSET, length, true);
    view.setUint16(record + REMOTE_PORT_OFFSET, remote.port, true);
    view.setUint16(record + LOCAL_PORT_OFFSET, local.port, true);
    view.setUint8(record + REMOTE_ADDRESS_LENGTH_OFFSET, remote.address.length);
    view.setUint8(record + LOCAL_ADDRESS_LENGTH_OFFSET, local.address.length);
    const text = record + MAILBOX_RECORD_HEADER_SIZE;
    writeText(octets, text, remote.address + local.address);
    octets.copyWithin(text + addresses, address, address + length);
    this.#moveTail((at + size) % MAILBOX_RECORDS_SIZE);
    return true;
  }

  /** True when the reader has not been called since it last began to read: whoever asks calls it now. */
  shouldRing(): boolean {
    const { words, base } = this.#fields;
    return Atomics.exchange(words, (base + MAILBOX_BELL_OFFSET) >>> 2, 1) === 0;
  }

  /** Where a record of `size` octets may go, or undefined when there is no room. */
  #claim(size: number, isStranger: boolean): number | undefined {
    const { words, base, view, records } = this.#fields;
    const tail = Atomics.load(words, (base + MAILBOX_TAIL_OFFSET) >>> 2);
    const head = Atomics.load(words, (base + MAILBOX_HEAD_OFFSET) >>> 2);
    const used = tail >= head ? tail - head : MAILBOX_RECORDS_SIZE - head + tail;
    if (isStranger && used + size > MAILBOX_RECORDS_SIZE / 2) return undefined;
    if (tail < head) return tail + size < head ? tail : undefined;
    const end = tail + size;
    if (end < MAILBOX_RECORDS_SIZE || (end === MAILBOX_RECORDS_SIZE && head > 0)) return tail;
    if (size >= head) return undefined;
    view.setUint32(records + tail, 0, true);
    this.#moveTail(0);
    return 0;
  }

  #moveTail(tail: number): void {
    Atomics.store(this.#fields.words, (this.#fields.base + MAILBOX_TAIL_OFFSET) >>> 2, tail);
  }
}

/** The host's end. */
export class MailboxReader {
  readonly #fields: RecordFields;
  /** For datagrams of an ordinary length: a flood of them leaves no garbage. */
  readonly #room = new Uint8Array(ROOM);

  constructor(memory: WebAssembly.Memory, worker: number) {
    this.#fields = fieldsOf(memory, worker);
  }

  /** Answers the bell. Whatever is put in from now on rings again. */
  answer(): void {
    Atomics.store(this.#fields.words, (this.#fields.base + MAILBOX_BELL_OFFSET) >>> 2, 0);
  }

  /** Takes the oldest datagram out, or undefined when there is none. The octets are a copy that the next call overwrites. */
  take(): IkeDatagram | undefined {
    const { words, base, view, text, records } = this.#fields;
    const tail = Atomics.load(words, (base + MAILBOX_TAIL_OFFSET) >>> 2);
    let head = Atomics.load(words, (base + MAILBOX_HEAD_OFFSET) >>> 2);
    if (head === tail) return undefined;
    if (view.getUint32(records + head, true) === 0) {
      head = 0;
      if (head === tail) {
        this.#moveHead(head);
        return undefined;
      }
    }
    const record = records + head;
    const size = view.getUint32(record, true);
    const length = view.getUint16(record + LENGTH_OFFSET, true);
    const remoteText = record + MAILBOX_RECORD_HEADER_SIZE;
    const localText = remoteText + view.getUint8(record + REMOTE_ADDRESS_LENGTH_OFFSET);
    const body = localText + view.getUint8(record + LOCAL_ADDRESS_LENGTH_OFFSET);
    const datagram: IkeDatagram = {
      octets: this.#copy(body, length),
      path: {
        remote: {
          address: text.toString("latin1", remoteText, localText),
          port: view.getUint16(record + REMOTE_PORT_OFFSET, true),
        },
        local: {
          address: text.toString("latin1", localText, body),
          port: view.getUint16(record + LOCAL_PORT_OFFSET, true),
        },
      },
    };
    this.#moveHead((head + size) % MAILBOX_RECORDS_SIZE);
    return datagram;
  }

  #copy(at: number, length: number): Uint8Array {
    if (length > this.#room.length) return this.#fields.octets.slice(at, at + length);
    const copy = this.#room.subarray(0, length);
    copy.set(this.#fields.octets.subarray(at, at + length));
    return copy;
  }

  #moveHead(head: number): void {
    Atomics.store(this.#fields.words, (this.#fields.base + MAILBOX_HEAD_OFFSET) >>> 2, head);
  }
}

function fieldsOf(memory: WebAssembly.Memory, worker: number): RecordFields {
  const base = WORKER_BASE + worker * WORKER_SIZE + WORKER_MAILBOX_OFFSET;
  return {
    view: new DataView(memory.buffer),
    octets: new Uint8Array(memory.buffer),
    text: Buffer.from(memory.buffer),
    words: new Int32Array(memory.buffer),
    base,
    records: base + MAILBOX_RECORDS_OFFSET,
  };
}

function writeText(octets: Uint8Array, at: number, text: string): void {
  for (let i = 0; i < text.length; i++) octets[at + i] = text.charCodeAt(i);
}
