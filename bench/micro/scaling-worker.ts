import { randomBytes } from "node:crypto";
import { parentPort, workerData } from "node:worker_threads";
import { loadKernel } from "../../src/esp/kernel.ts";
import { openNativeCiphers } from "../../src/platform/native-ciphers/native-ciphers.ts";
import { KernelBatch } from "./kernel-batch.ts";
import { KEY_LENGTHS, makePackets } from "./packets.ts";
import type { ScalingTask } from "./scaling.ts";
import { serveSlices, timeBatches } from "./slice-threads.ts";
import { expectEqual } from "./subject.ts";

const task = workerData as ScalingTask;
const { memory, worker, aead, count, length, sliceMs, lends } = task;

const key = randomBytes(KEY_LENGTHS[aead]);
const packets = makePackets(aead, { key, count, length });
const kernel = loadKernel(memory, worker, lends ? openNativeCiphers(memory) : {});
const batch = new KernelBatch(kernel, { buffer: memory.buffer, worker, aead });
batch.expandKey(key, worker);
batch.put(packets, { slot: worker, isSealed: false });
runFor(200);
prove();
parentPort!.postMessage("ready");

serveSlices(task, () => {
  const ns = runFor(sliceMs);
  prove();
  return ns;
});

/** Nanoseconds for a batch. */
function runFor(ms: number): number {
  return timeBatches(ms, () => batch.seal());
}

/** What this worker sealed while the other one ran is right. */
function prove(): void {
  const expected = Buffer.concat(packets.map(({ sealed }) => sealed));
  expectEqual(
    `worker ${worker}`,
    new Map<string, Uint8Array>([
      ["kernel", batch.sealed()],
      ["node:crypto", expected],
    ]),
  );
}
