import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import {
  DESCRIPTOR_LENGTH_OFFSET,
  DESCRIPTOR_SEQUENCE_OFFSET,
  DESCRIPTOR_SIZE,
  DESCRIPTOR_SOURCE_OFFSET,
  SA_BASE,
  SA_SLOT_SIZE,
  SA_WORKER_OFFSET,
  WORKER_BASE,
  WORKER_DESCRIPTORS_OFFSET,
  WORKER_SIZE,
  WORKER_TUN_SLAB_OFFSET,
} from "../../assembly/layout.ts";
import { innerPacket } from "../support/inner-packets.ts";
import { CHACHA20_POLY1305, EspBed } from "./esp-bed.ts";

const BATCHES = 500;
const BATCH = 64;

/** Seals the same batch over and over on its own region and tells the numbers it was given. With `owner` it takes itself for the SA's worker each time. */
const SEALER = `
  const { parentPort, workerData } = require("node:worker_threads");
  const { memory, worker, kernelUrl, descriptors, size, sequence, batches, batch, gate, owner } = workerData;
  import(kernelUrl).then(({ loadKernel }) => {
    const kernel = loadKernel(memory, worker);
    const view = new DataView(memory.buffer);
    const numbers = new Float64Array(batches * batch);
    // Both begin at the same moment.
    const words = new Int32Array(gate);
    if (Atomics.add(words, 0, 1) === 1) Atomics.notify(words, 0);
    else Atomics.wait(words, 0, 1, 5000);
    for (let i = 0; i < batches; i++) {
      if (owner !== undefined) view.setUint8(owner, worker);
      kernel.espEncapsulateBatch(0, batch);
      for (let k = 0; k < batch; k++) {
        numbers[i * batch + k] = Number(view.getBigUint64(descriptors + k * size + sequence, true));
      }
    }
    parentPort.postMessage(numbers);
  });
`;

test("of two threads only the SA's worker seals", async () => {
  const bed = new EspBed();
  const child = bed.install({ cipher: CHACHA20_POLY1305 });
  bed.protect(child);
  const [own, other] = await sealInBoth(bed, undefined);
  expect([...own!]).toEqual(Array.from({ length: BATCHES * BATCH }, (_, i) => i + 1));
  expect(other!.every((number) => number === 0)).toBe(true);
  expect(bed.sad.traffic(child.inboundSpi)!.outbound).toMatchObject({ packets: own!.length });
});

test("two threads that both take themselves for the SA's worker never take the same number, and so never the same nonce", async () => {
  const bed = new EspBed();
  const child = bed.install({ cipher: CHACHA20_POLY1305 });
  bed.protect(child);
  const sa = SA_BASE + bed.sad.outboundOf(child.inboundSpi)!.slot * SA_SLOT_SIZE;
  const results = await sealInBoth(bed, sa + SA_WORKER_OFFSET);
  const taken = results.map((numbers) => [...numbers].filter((number) => number > 0));
  const all = new Set(taken.flat());
  const total = taken.reduce((sum, { length }) => sum + length, 0);
  for (const { length } of taken) expect(length).toBeGreaterThan(BATCHES);
  expect(all.size).toBe(total);
  expect(Math.min(...all)).toBe(1);
  expect(Math.max(...all)).toBe(total);
  expect(bed.sad.traffic(child.inboundSpi)!.outbound).toMatchObject({ packets: total, sequence: total });
});

/** The numbers of workers 1 and 2; 0 where they were given none. */
function sealInBoth(bed: EspBed, owner: number | undefined): Promise<Float64Array[]> {
  const packet = innerPacket({ source: "10.1.0.1", destination: "10.2.0.1" });
  const gate = new SharedArrayBuffer(4);
  return Promise.all(
    [1, 2].map((worker) => {
      const region = WORKER_BASE + worker * WORKER_SIZE;
      bed.octets.set(packet, region + WORKER_TUN_SLAB_OFFSET);
      for (let i = 0; i < BATCH; i++) {
        const descriptor = region + WORKER_DESCRIPTORS_OFFSET + i * DESCRIPTOR_SIZE;
        bed.view.setUint32(descriptor + DESCRIPTOR_SOURCE_OFFSET, region + WORKER_TUN_SLAB_OFFSET, true);
        bed.view.setUint32(descriptor + DESCRIPTOR_LENGTH_OFFSET, packet.length, true);
      }
      return numbersOf({
        memory: bed.memory,
        worker,
        kernelUrl: new URL("../../dist/src/esp/kernel.js", import.meta.url).href,
        descriptors: region + WORKER_DESCRIPTORS_OFFSET,
        size: DESCRIPTOR_SIZE,
        sequence: DESCRIPTOR_SEQUENCE_OFFSET,
        batches: BATCHES,
        batch: BATCH,
        gate,
        owner,
      });
    }),
  );
}

function numbersOf(workerData: Record<string, unknown>): Promise<Float64Array> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(SEALER, { eval: true, workerData });
    worker.once("message", resolve);
    worker.once("error", reject);
  });
}
