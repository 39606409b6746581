import { randomBytes } from "node:crypto";
import { parentPort, workerData } from "node:worker_threads";
import { loadKernel } from "../../src/esp/kernel.ts";
import { KernelBatch } from "./kernel-batch.ts";
import { KEY_LENGTHS, makePackets } from "./packets.ts";
import { MAILBOX_DONE, MAILBOX_ORDER, type ScalingTask } from "./scaling.ts";
import { expectEqual } from "./subject.ts";

const { memory, worker, aead, count, length, mailbox, result, sliceMs } = workerData as ScalingTask;
const words = new Int32Array(mailbox);
const nsPerBatch = new Float64Array(result);

const key = randomBytes(KEY_LENGTHS[aead]);
const packets = makePackets(aead, { key, count, length });
const batch = new KernelBatch(loadKernel(memory, worker), { buffer: memory.buffer, worker, aead });
batch.expandKey(key, worker);
batch.put(packets, { slot: worker, isSealed: false });
runFor(200);
prove();
parentPort!.postMessage("ready");

for (let order = 0; ; order++) {
  Atomics.wait(words, MAILBOX_ORDER, order);
  nsPerBatch[0] = runFor(sliceMs);
  prove();
  Atomics.store(words, MAILBOX_DONE, 1);
  Atomics.notify(words, MAILBOX_DONE);
}

/** Nanoseconds for a batch. */
function runFor(ms: number): number {
  const begin = performance.now();
  let now = begin;
  let batches = 0;
  for (; now - begin < ms; now = performance.now()) {
    batch.seal();
    batches++;
  }
  return ((now - begin) * 1e6) / batches;
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
