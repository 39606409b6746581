import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { until } from "../support/waiting.ts";
import type { Guest, GuestProgram } from "./guest.ts";

const TCP_END = fileURLToPath(new URL("../support/integrity/tcp-end.mjs", import.meta.url));

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

/** Sends octets by TCP, which the source address is the seed of. What was sent and what arrived, in the words of either end: equal when all is well. */
export async function carryStream(
  { from, to, source, destination }: Way,
  octets: number,
): Promise<{ readonly sent: string; readonly arrived: string }> {
  const end = `${process.execPath} ${TCP_END}`;
  const sink = to.start(`${end} sink ${destination} 9000`);
  await until("the sink listens", () => sink.out.includes("listening"), { describe: () => sink.out });
  const stream = from.start(`timeout 30 ${end} source ${source} ${destination} 9000 ${octets} ${source}`);
  await stream.ended;
  await until("the stream arrives", () => reportIn(sink) !== "", { describe: () => sink.out + stream.out });
  return { sent: reportIn(stream), arrived: reportIn(sink) };
}

/** The line of JSON among what it wrote. */
function reportIn({ out }: GuestProgram): string {
  return /^\{.*\}$/m.exec(out)?.[0] ?? "";
}
