import type { LentCiphers } from "../../src/platform/native-ciphers/lent-ciphers.ts";
import { type Lender, lendersFor } from "./lending.ts";
import type { AeadName } from "./packets.ts";
import type { SubjectRecord } from "./record.ts";
import { toContenderRecord } from "./record.ts";
import { median } from "./sampler.ts";
import { runSlice, type SliceTask, SliceThread } from "./slice-threads.ts";

const WORKERS = [1, 2];
const LENGTH = 1400;
const BATCH = 64;
const AEADS: readonly AeadName[] = ["aes-128-gcm", "aes-256-gcm", "chacha20-poly1305"];

/** What a worker needs to know when it starts. */
export interface ScalingTask extends SliceTask {
  readonly memory: WebAssembly.Memory;
  readonly worker: number;
  readonly aead: AeadName;
  readonly count: number;
  readonly length: number;
  readonly sliceMs: number;
  /** Whether its kernel is lent the processor's ciphers. */
  readonly lends: boolean;
}

/**
 * Two threads, each with a kernel of its own, sealing on one shared memory, against one of them while the other sleeps.
 * A sample of "two workers" is the time in which one batch is done by either.
 */
export async function measureScaling(
  memory: WebAssembly.Memory,
  lent: LentCiphers,
  settings: { readonly rounds: number; readonly sliceMs: number },
): Promise<readonly SubjectRecord[]> {
  const records: SubjectRecord[] = [];
  for (const aead of AEADS) {
    for (const lender of lendersFor(aead, lent))
      records.push(await measureOne(memory, { aead, ...lender }, settings));
  }
  return records;
}

async function measureOne(
  memory: WebAssembly.Memory,
  { aead, title, lends }: Lender & { readonly aead: AeadName },
  { rounds, sliceMs }: { readonly rounds: number; readonly sliceMs: number },
): Promise<SubjectRecord> {
  const threads = WORKERS.map((worker) => {
    const task: Omit<ScalingTask, keyof SliceTask> = {
      memory,
      worker,
      aead,
      count: BATCH,
      length: LENGTH,
      sliceMs,
      lends,
    };
    return new SliceThread(new URL("./scaling-worker.js", import.meta.url), task);
  });
  await Promise.all(threads.map((thread) => thread.next()));
  try {
    const one: number[] = [];
    const two: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const alone = threads.flatMap((thread) => runSlice([thread]));
      const together = runSlice(threads);
      one.push(alone.reduce((sum, ns) => sum + ns, 0) / alone.length);
      two.push(1 / together.reduce((sum, ns) => sum + 1 / ns, 0));
    }
    const contender = (name: string, samplesNs: readonly number[]) =>
      toContenderRecord({ name, samplesNs, medianNs: median(samplesNs) });
    return {
      group: "Two workers on one memory",
      name: `${aead}, ${title}, seal ${LENGTH} B`,
      operations: BATCH,
      octets: BATCH * LENGTH,
      contenders: [contender("two workers", two), contender("one worker", one)],
    };
  } finally {
    await Promise.all(threads.map(({ thread }) => thread.terminate()));
  }
}
