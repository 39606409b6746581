import { randomBytes } from "node:crypto";
import { createSharedMemory, loadKernel } from "../../src/esp/kernel.ts";
import { lanesOf, rolesOf, type WorkerRole } from "../../src/esp/lanes.ts";
import { immediateQuiescence } from "../../src/esp/quiescence.ts";
import { Sad } from "../../src/esp/sad.ts";
import { SelectorTable } from "../../src/esp/selector-table.ts";
import { Spd } from "../../src/esp/spd.ts";
import { EncryptionTransform, TrafficSelectorType, TransformType } from "../../src/iana/ikev2-parameters.ts";
import type { LentCiphers } from "../../src/platform/native-ciphers/lent-ciphers.ts";
import { type Lender, lendersFor } from "./lending.ts";
import type { SubjectRecord } from "./record.ts";
import { toContenderRecord } from "./record.ts";
import { median } from "./sampler.ts";
import { runSlice, type SliceTask, SliceThread } from "./slice-threads.ts";

const TUNNELS = 2;
const LENGTH = 1400;
/** Packets of a round, each way: what a burst has room for. */
const BATCH = 40;

const CIPHERS = [
  { name: "aes-256-gcm", id: EncryptionTransform.ENCR_AES_GCM_16, keyLength: 256 },
  { name: "chacha20-poly1305", id: EncryptionTransform.ENCR_CHACHA20_POLY1305 },
];

/** What a data worker needs to know when it starts. */
export interface LaneTask extends SliceTask {
  readonly memory: WebAssembly.Memory;
  readonly role: WorkerRole;
  /** Inner packets of one round. */
  readonly packets: readonly Uint8Array[];
  readonly sliceMs: number;
  /** Whether its kernel is lent the processor's ciphers. */
  readonly lends: boolean;
}

/** What it says first: what it makes of a round of packets, if it seals. What it is told then: what to open, if it opens. */
export interface LaneGreeting {
  readonly sealed: readonly Uint8Array[];
}

/**
 * The packet path of a gateway with two busy tunnels, both ways, between devices that are never empty and cost a copy: one data worker that
 * does all of it against two that share it. A sample of "two workers" is the time in which both have done their part.
 */
export async function measureLanes(
  lent: LentCiphers,
  settings: { readonly rounds: number; readonly sliceMs: number },
): Promise<readonly SubjectRecord[]> {
  const records: SubjectRecord[] = [];
  for (const cipher of CIPHERS) {
    for (const lender of lendersFor(cipher.name, lent))
      records.push(await measureOne(cipher, lender, settings));
  }
  return records;
}

type Cipher = (typeof CIPHERS)[number];

async function measureOne(
  cipher: Cipher,
  { title, lends }: Lender,
  { rounds, sliceMs }: { readonly rounds: number; readonly sliceMs: number },
): Promise<SubjectRecord> {
  const gateways = await Promise.all(
    [1, 2].map((workers) => startGateway(workers, cipher, { sliceMs, lends })),
  );
  try {
    const samples: number[][] = [[], []];
    for (let round = 0; round < rounds; round++) {
      for (const [i, threads] of gateways.entries()) samples[i]!.push(Math.max(...runSlice(threads)));
    }
    const contender = (name: string, samplesNs: readonly number[]) =>
      toContenderRecord({ name, samplesNs, medianNs: median(samplesNs) });
    return {
      group: "Two tunnels, both ways, on two workers",
      name: `${cipher.name}, ${title}, ${LENGTH} B`,
      operations: 2 * BATCH,
      octets: 2 * BATCH * LENGTH,
      contenders: [contender("two workers", samples[1]!), contender("one worker", samples[0]!)],
    };
  } finally {
    await Promise.all(gateways.flat().map(({ thread }) => thread.terminate()));
  }
}

/** Child SAs that talk to themselves, without a replay window: what was sealed once can be opened for ever. */
async function startGateway(
  workers: number,
  cipher: Cipher,
  settings: Pick<LaneTask, "sliceMs" | "lends">,
): Promise<SliceThread[]> {
  const memory = createSharedMemory();
  const kernel = loadKernel(memory, 0);
  const shared = {
    memory,
    selectors: new SelectorTable(memory),
    quiescence: immediateQuiescence(() => {}),
  };
  const random = { bytes: (length: number) => randomBytes(length) };
  const sad = new Sad({ ...shared, kernel, lanes: lanesOf(workers), random });
  const spd = new Spd({ ...shared, sad });
  const { name: _, ...transform } = cipher;
  for (let tunnel = 0; tunnel < TUNNELS; tunnel++) {
    const inboundSpi = sad.allocateSpi()!;
    const key = randomBytes(36);
    const address = addressOf(tunnel);
    const ours = [
      {
        type: TrafficSelectorType.TS_IPV4_ADDR_RANGE,
        protocol: 0,
        startPort: 0,
        endPort: 65_535,
        startAddress: address,
        endAddress: address,
      },
    ];
    sad.install({
      inboundSpi,
      outboundSpi: inboundSpi,
      encryption: { type: TransformType.ENCR, ...transform },
      esn: false,
      inboundKey: Buffer.from(key),
      outboundKey: Buffer.from(key),
      selectors: { local: ours, remote: ours },
      path: { socket: 0, peer: new Uint8Array(16), control: new Uint8Array(0) },
      replayWindowPackets: 0,
      packetLimit: Number.POSITIVE_INFINITY,
      octetLimit: Number.POSITIVE_INFINITY,
      copyDscp: "out",
      clampsMss: true,
      df: "set",
    });
    spd.set(tunnel, { action: "protect", inboundSpi });
  }
  const packets = Array.from({ length: BATCH }, (_, i) => innerPacket(addressOf(i % TUNNELS)));
  const threads = rolesOf(workers).map((role) => {
    const task: Omit<LaneTask, keyof SliceTask> = { memory, role, packets, ...settings };
    return new SliceThread(new URL("./lane-worker.js", import.meta.url), task);
  });
  const greetings = await Promise.all(threads.map((thread) => thread.next<LaneGreeting>()));
  const sealed = greetings.flatMap((greeting) => greeting.sealed);
  const ready = threads.map((thread) => thread.next());
  for (const { thread } of threads) thread.postMessage({ sealed } satisfies LaneGreeting);
  await Promise.all(ready);
  return threads;
}

function addressOf(tunnel: number): Uint8Array {
  return Uint8Array.of(10, 0, 0, 1 + tunnel);
}

/** UDP from an address to itself. */
function innerPacket(address: Uint8Array): Uint8Array {
  const packet = new Uint8Array(randomBytes(LENGTH));
  const view = new DataView(packet.buffer);
  view.setUint32(0, 0x4500_0000 | LENGTH);
  view.setUint32(4, 0);
  view.setUint32(8, 0x4011_0000);
  packet.set(address, 12);
  packet.set(address, 16);
  return packet;
}
