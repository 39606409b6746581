import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { sendStream, takeStream } from "../support/integrity/tcp-stream.ts";
import { until } from "../support/waiting.ts";
import type { Guest, GuestProgram } from "./guest.ts";
import { SENDING_PORT, TAKING_PORT } from "./stream-process.ts";

const STREAM_PROCESS = fileURLToPath(new URL("../../dist/test/guest/stream-process.js", import.meta.url));

/** What starts shell commands: the guest, or this machine in the network namespace of this thread. */
export type Machine = Pick<Guest, "start">;

export const HERE: Machine = {
  start: (command) => {
    const child = spawn("sh", ["-c", `exec ${command} 2>&1`], { stdio: ["ignore", "pipe", "inherit"] });
    const program = { out: "", ended: once(child, "close").then(([code]) => ({ code: Number(code ?? -1) })) };
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      program.out += text;
    });
    return program satisfies GuestProgram;
  },
};

export interface Way {
  readonly from: Machine;
  readonly to: Machine;
  readonly source: string;
  readonly destination: string;
}

/** Whether a ping with so many octets of payload is answered. */
export async function isAnswered({ from, source, destination }: Way, length: number): Promise<boolean> {
  // One at a time: ping waits long for the first answer and hardly for others. `-M dont`: what is too long goes in fragments.
  const ping = from.start(`ping -n -c 1 -W 10 -M dont -s ${length} -I ${source} ${destination}`);
  return (await ping.ended).code === 0;
}

/** TCP between this machine and the guest. */
export class GuestStreams {
  readonly #guest: Machine;
  readonly #program: GuestProgram;
  #count = 0;

  /** Settles when the guest's end is ready for all addresses that the guest has or will have. */
  static async open(guest: Machine): Promise<GuestStreams> {
    const program = guest.start(`${process.execPath} ${STREAM_PROCESS} run`);
    await until("the guest's end of streams listens", () => program.out.includes("listening"), {
      describe: () => program.out,
    });
    return new GuestStreams(guest, program);
  }

  private constructor(guest: Machine, program: GuestProgram) {
    this.#guest = guest;
    this.#program = program;
  }

  /** Sends octets, which the source address is the seed of. What was sent and what arrived, in the words of either end: equal when all is well. */
  async carry(
    { to, source, destination }: Way,
    octets: number,
  ): Promise<{ readonly sent: string; readonly arrived: string }> {
    const isThere = to === this.#guest;
    const [localAddress, host] = isThere ? [source, destination] : [destination, source];
    const socket = connect({ localAddress, host, port: isThere ? TAKING_PORT : SENDING_PORT });
    try {
      await once(socket, "connect");
      const ours = JSON.stringify(await this.#transfer(socket, isThere, { octets, seed: source }));
      await until("the guest has told of its end", () => this.#reports.length > this.#count, {
        describe: () => `${ours}\n${this.#program.out}`,
      });
      const theirs = this.#reports[this.#count++]!;
      return isThere ? { sent: ours, arrived: theirs } : { sent: theirs, arrived: ours };
    } finally {
      socket.destroy();
    }
  }

  #transfer(socket: Socket, isThere: boolean, what: { readonly octets: number; readonly seed: string }) {
    if (isThere) return sendStream(socket, what);
    socket.write(`${what.octets} ${what.seed}\n`);
    return takeStream(socket);
  }

  /** Its lines of JSON. */
  get #reports(): readonly string[] {
    return this.#program.out.match(/^\{.*\}$/gm) ?? [];
  }
}
