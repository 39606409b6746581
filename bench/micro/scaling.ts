import { Worker } from "node:worker_threads";
import type { AeadName } from "./packets.ts";
import type { SubjectRecord } from "./record.ts";
import { toContenderRecord } from "./record.ts";
import { median } from "./sampler.ts";

const WORKERS = [1, 2];
const LENGTH = 1400;
const BATCH = 64;
const AEADS: readonly AeadName[] = ["aes-128-gcm", "aes-256-gcm", "chacha20-poly1305"];

/** Words of the mailbox of one worker. */
export const MAILBOX_ORDER = 0;
export const MAILBOX_DONE = 1;
const MAILBOX_SIZE = 8;

/** What a worker needs to know when it starts. */
export interface ScalingTask {
  readonly memory: WebAssembly.Memory;
  readonly worker: number;
  readonly aead: AeadName;
  readonly count: number;
  readonly length: number;
  readonly mailbox: SharedArrayBuffer;
  /** One float: nanoseconds for a batch, in the last slice. */
  readonly result: SharedArrayBuffer;
  readonly sliceMs: number;
}

/**
 * Two threads, each with a kernel of its own, sealing on one shared memory, against one of them while the other sleeps.
 * A sample of "two workers" is the time in which one batch is done by either.
 */
export async function measureScaling(
  memory: WebAssembly.Memory,
  settings: { readonly rounds: number; readonly sliceMs: number },
): Promise<readonly SubjectRecord[]> {
  const records: SubjectRecord[] = [];
  for (const aead of AEADS) records.push(await measureOne(memory, aead, settings));
  return records;
}

async function measureOne(
  memory: WebAssembly.Memory,
  aead: AeadName,
  { rounds, sliceMs }: { readonly rounds: number; readonly sliceMs: number },
): Promise<SubjectRecord> {
  const pairs = WORKERS.map((worker) => {
    const mailbox = new SharedArrayBuffer(MAILBOX_SIZE);
    const result = new SharedArrayBuffer(8);
    const task: ScalingTask = {
      memory,
      worker,
      aead,
      count: BATCH,
      length: LENGTH,
      mailbox,
      result,
      sliceMs,
    };
    const thread = new Worker(new URL("./scaling-worker.js", import.meta.url), { workerData: task });
    return { thread, words: new Int32Array(mailbox), ns: new Float64Array(result) };
  });
  type Pair = (typeof pairs)[number];

  /** Lets the given workers run for one slice, at the same time. */
  const runSlice = (running: readonly Pair[]): readonly number[] => {
    for (const { words } of running) {
      Atomics.store(words, MAILBOX_DONE, 0);
      Atomics.add(words, MAILBOX_ORDER, 1);
      Atomics.notify(words, MAILBOX_ORDER);
    }
    for (const { words } of running) {
      if (Atomics.wait(words, MAILBOX_DONE, 0, 30_000) === "timed-out") throw new Error("a worker is silent");
    }
    return running.map(({ ns }) => ns[0]!);
  };

  await Promise.all(pairs.map(({ thread }) => new Promise((resolve) => thread.once("message", resolve))));
  try {
    const one: number[] = [];
    const two: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const alone = pairs.flatMap((pair) => runSlice([pair]));
      const together = runSlice(pairs);
      one.push(alone.reduce((sum, ns) => sum + ns, 0) / alone.length);
      two.push(1 / together.reduce((sum, ns) => sum + 1 / ns, 0));
    }
    const contender = (name: string, samplesNs: readonly number[]) =>
      toContenderRecord({ name, samplesNs, medianNs: median(samplesNs) });
    return {
      group: "Two workers on one memory",
      name: `${aead} seal ${LENGTH} B`,
      operations: BATCH,
      octets: BATCH * LENGTH,
      contenders: [contender("two workers", two), contender("one worker", one)],
    };
  } finally {
    await Promise.all(pairs.map(({ thread }) => thread.terminate()));
  }
}
