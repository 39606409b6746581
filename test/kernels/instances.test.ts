import { expect, test } from "vitest";
import {
  JOB_AAD_LENGTH_OFFSET,
  JOB_AAD_OFFSET,
  JOB_CONTEXT_OFFSET,
  JOB_DESTINATION_OFFSET,
  JOB_LENGTH_OFFSET,
  JOB_NONCE_OFFSET,
  JOB_SIZE,
  JOB_SOURCE_OFFSET,
  JOB_TAG_OFFSET,
  SA_AEAD_OFFSET,
  SA_BASE,
  TABLES_END,
  WORKER_BASE,
  WORKER_COUNT,
  WORKER_RECEIVE_OFFSET,
  WORKER_SCRATCH_OFFSET,
  WORKER_SCRATCH_SIZE,
  WORKER_SIZE,
} from "../../assembly/layout.ts";
import { createSharedMemory, loadKernel } from "../../src/esp/kernel.ts";
import { AES_GMAC, encryptThenMac } from "../support/encrypt-then-mac.ts";
import { AES_GCM, CHACHA20_POLY1305, SeededRandom } from "../support/kernel.ts";

const CANARY = 0x5c;
const OTHERS = [0, 1, 3, 4];
const OWN = 2;

test.each([
  { name: "AES-GCM", aead: AES_GCM },
  { name: "ChaCha20-Poly1305", aead: CHACHA20_POLY1305 },
  { name: "AES-GMAC", aead: AES_GMAC },
  ...(["cbc", "ctr", "null"] as const).flatMap((cipher) =>
    (["sha1", "sha512"] as const).map((hash) => ({
      name: `AES-${cipher} with ${hash}`,
      aead: encryptThenMac({ cipher, keyLength: cipher === "null" ? 0 : 32, hash }),
    })),
  ),
])("$name writes to the region of its own worker only, and leaves constants as they are", ({ aead }) => {
  const memory = createSharedMemory();
  const octets = new Uint8Array(memory.buffer);
  const view = new DataView(memory.buffer);
  for (const worker of OTHERS) loadKernel(memory, worker);
  const kernel = loadKernel(memory, OWN);
  const random = new SeededRandom(1);

  const region = WORKER_BASE + OWN * WORKER_SIZE;
  const jobs = region + aead.jobsOffset;
  const arena = region + WORKER_RECEIVE_OFFSET;
  const context = SA_BASE + SA_AEAD_OFFSET;
  const keyOctets = random.octets(aead.keyLengths.at(-1)!);
  octets.set(keyOctets, arena);
  const places = { context, slot: 0, key: arena, keyLength: keyOctets.length, keyOctets };
  aead.expandKey(kernel, places);
  const count = 70;
  for (let i = 0; i < count; i++) {
    const job = jobs + i * JOB_SIZE;
    const packet = arena + i * 2048;
    const length = i * 25 - ((i * 25) % aead.textUnit);
    view.setUint32(job + JOB_CONTEXT_OFFSET, context, true);
    view.setUint32(job + JOB_AAD_OFFSET, packet, true);
    view.setUint32(job + JOB_AAD_LENGTH_OFFSET, 16, true);
    view.setUint32(job + JOB_SOURCE_OFFSET, packet + 16, true);
    view.setUint32(job + JOB_DESTINATION_OFFSET, packet + 16, true);
    view.setUint32(job + JOB_LENGTH_OFFSET, length, true);
    view.setUint32(job + JOB_TAG_OFFSET, packet + 16 + length, true);
    octets.set(random.octets(12), job + JOB_NONCE_OFFSET);
  }

  const scratches = OTHERS.map((worker) => WORKER_BASE + worker * WORKER_SIZE + WORKER_SCRATCH_OFFSET);
  for (const scratch of scratches) octets.fill(CANARY, scratch, scratch + WORKER_SCRATCH_SIZE);
  const constants = octets.slice(0, TABLES_END);
  const before = octetsOfOthers(octets);
  aead.sealBatch(kernel, jobs, count);
  aead.openBatch(kernel, jobs, count);
  expect(octetsOfOthers(octets)).toEqual(before);
  expect(Buffer.compare(constants, octets.subarray(0, TABLES_END))).toBe(0);
});

/** The scratch areas of the other workers, and the octets around this one's region. */
function octetsOfOthers(octets: Uint8Array): readonly string[] {
  const begin = WORKER_BASE + OWN * WORKER_SIZE;
  const pieces = [
    ...OTHERS.map((worker) => WORKER_BASE + worker * WORKER_SIZE + WORKER_SCRATCH_OFFSET).map((scratch) =>
      octets.slice(scratch, scratch + WORKER_SCRATCH_SIZE),
    ),
    octets.slice(begin - 65536, begin),
    octets.slice(begin + WORKER_SIZE, begin + WORKER_SIZE + 65536),
  ];
  expect(OTHERS.length).toBe(WORKER_COUNT - 1);
  return pieces.map((piece) => Buffer.from(piece).toString("latin1"));
}
