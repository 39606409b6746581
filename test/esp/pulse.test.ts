import { expect, test } from "vitest";
import { WORKER_BASE, WORKER_EPOCH_OFFSET, WORKER_SIZE } from "../../assembly/layout.ts";
import { createSharedMemory } from "../../src/esp/index.ts";
import { WorkerPulse } from "../../src/esp/pulse.ts";

test("workers have a pulse as long as each of them goes round when it is woken", () => {
  const memory = createSharedMemory();
  const words = new Int32Array(memory.buffer);
  let alive = [1, 2];
  const goRound = (): void => {
    for (const worker of alive) words[(WORKER_BASE + worker * WORKER_SIZE + WORKER_EPOCH_OFFSET) >>> 2]!++;
  };
  const pulse = new WorkerPulse({ memory, workers: [1, 2], wake: goRound });
  expect([pulse.take(), pulse.take(), pulse.take()]).toEqual([true, true, true]);
  alive = [1];
  expect([pulse.take(), pulse.take(), pulse.take()]).toEqual([true, false, false]);
  alive = [1, 2];
  expect([pulse.take(), pulse.take()]).toEqual([false, true]);
  // It comes round.
  words[(WORKER_BASE + WORKER_SIZE + WORKER_EPOCH_OFFSET) >>> 2] = 0x7fff_ffff;
  expect([pulse.take(), pulse.take()]).toEqual([true, true]);
});
