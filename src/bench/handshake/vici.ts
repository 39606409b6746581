import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { PlatformError } from "../../errors/index.ts";

// How strongSwan is told what to do: src/libcharon/plugins/vici/README.md of its sources. A packet is its length (4 octets), a type, the name of a command
// and a message; a message is a row of elements, each a type with names and values behind their lengths.

const COMMAND = 0;
const ANSWER = 1;

const Element = {
  SECTION_START: 1,
  SECTION_END: 2,
  KEY_VALUE: 3,
  LIST_START: 4,
  LIST_ITEM: 5,
  LIST_END: 6,
} as const;

const OPEN_PATIENCE_MS = 10_000;
const OPEN_INTERVAL_MS = 5;

/** One connection to strongSwan. It answers one request after the other. */
export class Vici {
  readonly #socket: Socket;
  #received = Buffer.alloc(0);
  #answer: ((packet: Buffer) => void) | undefined;
  #fail: ((error: Error) => void) | undefined;

  /** strongSwan lets few wait at its door: whoever finds it full comes again. */
  static async open(path: string): Promise<Vici> {
    for (const end = performance.now() + OPEN_PATIENCE_MS; ; await sleep(OPEN_INTERVAL_MS)) {
      const socket = connect(path);
      try {
        await once(socket, "connect");
        return new Vici(socket);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EAGAIN" || performance.now() > end) throw error;
      }
    }
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (octets: Buffer) => this.#take(octets));
    const end = (): void => this.#fail?.(new PlatformError("strongSwan has closed its control socket"));
    socket.on("close", end).on("error", end);
  }

  /** The values on the outermost level of what it answers. Throws PlatformError when it does not know the command, or ends. */
  async request(
    command: string,
    values: Readonly<Record<string, string>>,
  ): Promise<ReadonlyMap<string, string>> {
    const packet = await new Promise<Buffer>((resolve, reject) => {
      this.#answer = resolve;
      this.#fail = reject;
      this.#socket.write(encodeCommand(command, values));
    });
    if (packet[0] !== ANSWER) throw new PlatformError(`strongSwan does not know ${command}`);
    return valuesIn(packet.subarray(1));
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(octets: Buffer): void {
    this.#received = Buffer.concat([this.#received, octets]);
    while (this.#received.length >= 4) {
      const end = 4 + this.#received.readUInt32BE(0);
      if (this.#received.length < end) return;
      const packet = this.#received.subarray(4, end);
      this.#received = this.#received.subarray(end);
      this.#answer?.(packet);
    }
  }
}

export function encodeCommand(command: string, values: Readonly<Record<string, string>>): Uint8Array {
  const elements = Object.entries(values).flatMap(([key, value]) => {
    const length = Buffer.alloc(2);
    length.writeUInt16BE(Buffer.byteLength(value));
    return [Buffer.of(Element.KEY_VALUE), named(key), length, Buffer.from(value)];
  });
  const body = Buffer.concat([Buffer.of(COMMAND), named(command), ...elements]);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(body.length);
  return Buffer.concat([head, body]);
}

/** Values of sections and lists are passed over. Throws PlatformError for an element that nobody knows. */
export function valuesIn(message: Buffer): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  let depth = 0;
  let at = 0;
  const text = (lengthSize: 1 | 2): string => {
    const length = message.readUIntBE(at, lengthSize);
    at += lengthSize + length;
    return message.toString("utf8", at - length, at);
  };
  while (at < message.length) {
    const kind = message[at++];
    switch (kind) {
      case Element.SECTION_START:
      case Element.LIST_START:
        text(1);
        depth++;
        break;
      case Element.SECTION_END:
      case Element.LIST_END:
        depth--;
        break;
      case Element.LIST_ITEM:
        text(2);
        break;
      case Element.KEY_VALUE: {
        const key = text(1);
        const value = text(2);
        if (depth === 0) values.set(key, value);
        break;
      }
      default:
        throw new PlatformError(`strongSwan answers with an element of type ${kind}`);
    }
  }
  return values;
}

function named(name: string): Uint8Array {
  return Buffer.concat([Buffer.of(Buffer.byteLength(name)), Buffer.from(name)]);
}
