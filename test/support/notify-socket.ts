import {
  AF_UNIX,
  MSG_DONTWAIT,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
} from "../../src/platform/system-calls/constants.ts";
import { succeed } from "../../src/platform/system-calls/errno.ts";
import { createLinuxSystemCalls } from "../../src/platform/system-calls/linux-system-calls.ts";
import { until } from "./waiting.ts";

/** The service manager's end of sd_notify(3): keeps what it is told. */
export class NotifySocket {
  readonly #systemCalls = createLinuxSystemCalls();
  readonly #descriptor: number;
  readonly #room = new Uint8Array(4096);
  readonly #messages: string[] = [];

  /** A path that everybody may write to, or "@name", which belongs to the network namespace that this is called in. */
  constructor(path: string) {
    const calls = this.#systemCalls;
    this.#descriptor = succeed("socket", calls.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const isAbstract = path.startsWith("@");
    const name = Buffer.from(isAbstract ? `\0${path.slice(1)}` : `${path}\0`);
    const before = process.umask(0);
    succeed("bind", calls.bind(this.#descriptor, Uint8Array.of(AF_UNIX, 0, ...name)));
    process.umask(before);
  }

  /** All that has been told so far, a message each. */
  get messages(): readonly string[] {
    for (;;) {
      const length = this.#systemCalls.recv(this.#descriptor, this.#room, MSG_DONTWAIT);
      if (length <= 0) return this.#messages;
      this.#messages.push(Buffer.from(this.#room.subarray(0, length)).toString());
    }
  }

  count(assignment: string): number {
    return this.messages.filter((message) => message.split("\n").includes(assignment)).length;
  }

  /** Waits until it has been told so one time more. */
  async oneMore(assignment: string): Promise<void> {
    const before = this.count(assignment);
    await until(`another ${assignment}`, () => this.count(assignment) > before, {
      describe: () => this.messages.join("; "),
    });
  }

  close(): void {
    this.#systemCalls.close(this.#descriptor);
  }
}
