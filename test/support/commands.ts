import { MSG_DONTWAIT } from "../../src/platform/system-calls/constants.ts";
import type { SystemCalls } from "../../src/platform/system-calls/system-calls.ts";

/** Standard input of a process that was started with pipes: a socket, which can be polled and read without waiting. */
export const STDIN = 0;

/** Lines that arrive on standard input, for a process that never returns to its event loop. */
export class Commands {
  readonly #systemCalls: SystemCalls;
  readonly #room = new Uint8Array(65_536);
  #text = "";
  /** Whether whoever gave the commands is gone. */
  isOver = false;

  constructor(systemCalls: SystemCalls) {
    this.#systemCalls = systemCalls;
  }

  /** The next whole line, if there is one. */
  next(): string | undefined {
    const length = this.#systemCalls.recv(STDIN, this.#room, MSG_DONTWAIT);
    if (length > 0) this.#text += Buffer.from(this.#room.subarray(0, length)).toString();
    if (length === 0) this.isOver = true;
    const end = this.#text.indexOf("\n");
    if (end < 0) return undefined;
    const line = this.#text.slice(0, end);
    this.#text = this.#text.slice(end + 1);
    return line;
  }
}
