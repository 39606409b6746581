import { randomBytes } from "node:crypto";
import type { Kernel } from "../../src/esp/kernel.ts";
import { KernelBatch } from "./kernel-batch.ts";
import { type AeadName, type EtmName, KEY_LENGTHS, makePackets } from "./packets.ts";
import { expectEqual, type Subject } from "./subject.ts";

/** Each run sets up this many SAs, one after another: slots and tables are not in the cache when their turn comes. */
const SLOTS = 64;

/** What a key costs before the first packet: key schedule and tables. */
export function* saSetupSubjects(kernel: Kernel, buffer: SharedArrayBuffer): Generator<Subject> {
  for (const aead of Object.keys(KEY_LENGTHS) as (AeadName | EtmName)[])
    yield saSetupSubject(kernel, buffer, aead);
}

function saSetupSubject(kernel: Kernel, buffer: SharedArrayBuffer, aead: AeadName | EtmName): Subject {
  const key = randomBytes(KEY_LENGTHS[aead]);
  const batch = new KernelBatch(kernel, { buffer, worker: 0, aead });
  const run = () => {
    for (let slot = 0; slot < SLOTS; slot++) batch.expandKeyAgain(key.length, slot);
  };
  batch.putKey(key);
  return {
    group: "Setting up an SA",
    name: aead,
    operations: SLOTS,
    octets: 0,
    contenders: [{ name: "kernel", run }],
    prove() {
      run();
      const packets = makePackets(aead, { key, count: 3, length: 512 });
      for (const slot of [0, SLOTS - 1]) {
        batch.put(packets, { slot, isSealed: false });
        batch.seal();
        const expected = Buffer.concat(packets.map(({ sealed }) => sealed));
        expectEqual(
          aead,
          new Map<string, Uint8Array>([
            ["kernel", batch.sealed()],
            ["node:crypto", expected],
          ]),
        );
      }
      batch.putKey(key);
    },
  };
}
