import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import {
  COMMAND_STOP,
  RING_SIZE,
  WORKER_BASE,
  WORKER_COMMAND_OFFSET,
  WORKER_SIZE,
} from "../../assembly/layout.ts";
import { createSharedMemory, loadKernel } from "../../src/esp/kernel.ts";
import { lanesOf, rolesOf, type WorkerRole } from "../../src/esp/lanes.ts";
import { WorkerQuiescence } from "../../src/esp/quiescence.ts";
import { Sad } from "../../src/esp/sad.ts";
import { SelectorTable } from "../../src/esp/selector-table.ts";
import { Spd } from "../../src/esp/spd.ts";
import { readTallies } from "../../src/esp/tally.ts";
import { innerPacket } from "../support/inner-packets.ts";
import { SeededRandom } from "../support/kernel.ts";
import { trafficSelector } from "../support/traffic-selectors.ts";
import { AES_128_GCM, AES_256_CBC_SHA1, CHACHA20_POLY1305 } from "./esp-bed.ts";

// Data workers in threads of their own, on one memory. Their child SAs talk to themselves: what one worker seals, one of them opens. The
// wire between them sends datagrams to the wrong worker, and twice, and the host replaces and removes SAs all the while.

const TUNNELS = 6;
const REKEYS = 48;
/** Packets of each worker that sends. */
const MOST = 200_000;
const CIPHERS = [AES_128_GCM, CHACHA20_POLY1305, AES_256_CBC_SHA1];

test("lanes: every worker has something to do, and each half of an SA one worker", () => {
  for (const workers of [1, 2, 3, 4]) {
    const lanes = lanesOf(workers);
    const roles = rolesOf(workers);
    expect(roles.map(({ worker }) => worker)).toEqual(Array.from({ length: workers }, (_, i) => i + 1));
    expect(roles.every(({ sends, receives }) => sends || receives)).toBe(true);
    expect(new Set(lanes.map(({ receiver }) => receiver)).size).toBe(lanes.length);
    for (const { companion, sends, worker } of roles) {
      if (companion === undefined) continue;
      expect(roles[companion - 1]).toMatchObject({ sends, companion: worker });
    }
  }
  for (const workers of [0, 5, 1.5, Number.NaN]) expect(() => lanesOf(workers)).toThrow(RangeError);
});

test.each([1, 2, 3, 4])(
  "%i workers take no number twice, open nothing twice, and seal nothing with what was removed",
  { timeout: 60_000 },
  async (workers) => {
    const team = new Team(workers);
    await team.start();
    const gone = new Map<number, number[]>();
    const replayed: number[] = [];
    const tunnels = Array.from({ length: TUNNELS }, (_, tunnel) => team.install(tunnel, 0));
    for (let i = 0; i < REKEYS; i++) {
      const tunnel = i % TUNNELS;
      const old = tunnels[tunnel]!;
      const generation = Math.floor(i / TUNNELS);
      // Every third time there is a gap without an SA.
      const isReplaced = i % 3 !== 2;
      if (isReplaced) tunnels[tunnel] = team.install(tunnel, generation + 1);
      await pause(2);
      team.spd.remove(precedenceOf(tunnel, generation));
      const { inbound } = team.sad.traffic(old)!;
      replayed.push(inbound.drops.replayed ?? 0);
      await team.sad.remove(old);
      gone.set(
        old,
        team.roles.map(({ worker }) => team.sealedBy(worker)),
      );
      if (!isReplaced) tunnels[tunnel] = team.install(tunnel, generation + 1);
    }
    await pause(20);
    await team.stop();

    const numbers = new Map<number, { readonly worker: number; readonly taken: Set<number> }>();
    for (const [i, { worker }] of team.roles.entries()) {
      for (const [at, [spi, number]] of team.sealed(worker).entries()) {
        const sa = numbers.get(spi) ?? { worker, taken: new Set<number>() };
        numbers.set(spi, sa);
        if (sa.worker !== worker) throw new Error("two workers sealed with one SA");
        if (sa.taken.has(number)) throw new Error(`number ${number} was taken twice`);
        sa.taken.add(number);
        if (at >= (gone.get(spi)?.[i] ?? Number.POSITIVE_INFINITY)) {
          throw new Error("an SA sealed after it had been removed");
        }
      }
    }
    expect(numbers.size).toBeGreaterThan(REKEYS / 2);
    for (const { taken } of numbers.values()) expect(Math.max(...taken)).toBe(taken.size);
    const senders = team.roles.filter(({ sends }) => sends);
    expect(new Set([...numbers.values()].map(({ worker }) => worker)).size).toBe(senders.length);

    // Each inner packet was delivered once at most, though many datagrams came twice; those of every worker that read some arrived.
    expect(team.delivered.some((count) => count > 1)).toBe(false);
    expect(Math.max(...replayed)).toBeGreaterThan(0);
    for (const { worker } of senders) {
      const own = team.delivered.subarray(worker * MOST, (worker + 1) * MOST);
      expect(own.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(100);
    }
    for (const { worker } of team.roles.filter(({ receives }) => receives)) {
      expect(readTallies(team.memory, [worker]).tunWrite.packets).toBeGreaterThan(0);
    }
  },
);

class Team {
  readonly memory = createSharedMemory();
  readonly roles: readonly WorkerRole[];
  readonly sad: Sad;
  readonly spd: Spd;
  readonly delivered: Uint8Array;
  readonly #random = new SeededRandom(3);
  readonly #logs = new Map<
    number,
    { readonly sealed: SharedArrayBuffer; readonly count: SharedArrayBuffer }
  >();
  #threads: Worker[] = [];

  constructor(workers: number) {
    this.roles = rolesOf(workers);
    this.delivered = new Uint8Array(new SharedArrayBuffer((workers + 1) * MOST));
    const quiescence = new WorkerQuiescence({
      memory: this.memory,
      workers: this.roles.map(({ worker }) => worker),
      wake: () => {},
    });
    const selectors = new SelectorTable(this.memory);
    const shared = { memory: this.memory, selectors, quiescence };
    this.sad = new Sad({
      ...shared,
      kernel: loadKernel(this.memory, 0),
      lanes: lanesOf(workers),
      random: { bytes: (length) => this.#random.octets(length) },
    });
    this.spd = new Spd({ ...shared, sad: this.sad });
  }

  /** A new SA for a tunnel, which goes before the one of the generation before. Returns its SPI. */
  install(tunnel: number, generation: number): number {
    const { keymatLength, transform, integrity } = CIPHERS[tunnel % CIPHERS.length]!;
    const inboundSpi = this.sad.allocateSpi()!;
    const key = this.#random.octets(keymatLength);
    this.sad.install({
      inboundSpi,
      outboundSpi: inboundSpi,
      encryption: transform,
      integrity,
      esn: false,
      inboundKey: key.slice(),
      outboundKey: key,
      selectors: {
        local: [trafficSelector("10.0.0.0/8")],
        remote: [trafficSelector(`10.1.${tunnel}.0/24`)],
      },
      replayWindowPackets: 1024,
      copyDscp: "out",
      clampsMss: false,
      df: "set",
      packetLimit: Number.POSITIVE_INFINITY,
      octetLimit: Number.POSITIVE_INFINITY,
      path: { socket: 0, peer: new Uint8Array(16), control: new Uint8Array(32) },
    });
    this.spd.set(precedenceOf(tunnel, generation), { action: "protect", inboundSpi });
    return inboundSpi;
  }

  async start(): Promise<void> {
    const packets = Array.from({ length: TUNNELS }, (_, tunnel) =>
      innerPacket({
        source: `10.1.${tunnel}.2`,
        destination: `10.1.${tunnel}.1`,
        payload: new Uint8Array(200),
      }),
    );
    const wires = this.roles.flatMap(({ worker: sender, sends }) =>
      this.roles
        .filter(({ receives }) => sends && receives)
        .map(({ worker: receiver }) => ({
          sender,
          receiver,
          memory: { buffer: new SharedArrayBuffer(RING_SIZE) },
        })),
    );
    this.#threads = this.roles.map((role) => {
      const log = { sealed: new SharedArrayBuffer(8 * MOST * TUNNELS), count: new SharedArrayBuffer(4) };
      this.#logs.set(role.worker, log);
      return new Worker(new URL("./fixtures/lane-worker.mjs", import.meta.url), {
        workerData: {
          memory: this.memory,
          role,
          packets,
          wires,
          sealed: log.sealed,
          sealedCount: log.count,
          delivered: this.delivered.buffer,
          most: MOST,
        },
      });
    });
    await Promise.all(
      this.#threads.map(
        (thread) =>
          new Promise((resolve, reject) => {
            thread.once("message", resolve);
            thread.once("error", reject);
          }),
      ),
    );
  }

  /** How many datagrams a worker has sent. */
  sealedBy(worker: number): number {
    return Atomics.load(new Int32Array(this.#logs.get(worker)!.count), 0);
  }

  /** SPI and sequence number of each, in order. */
  sealed(worker: number): (readonly [spi: number, number: number])[] {
    const words = new Uint32Array(this.#logs.get(worker)!.sealed);
    return Array.from(
      { length: this.sealedBy(worker) },
      (_, at) => [words[2 * at]!, words[2 * at + 1]!] as const,
    );
  }

  async stop(): Promise<void> {
    const words = new Int32Array(this.memory.buffer);
    const ends = this.#threads.map((thread) => new Promise((resolve) => thread.once("exit", resolve)));
    for (const { worker } of this.roles) {
      Atomics.store(words, (WORKER_BASE + worker * WORKER_SIZE + WORKER_COMMAND_OFFSET) >>> 2, COMMAND_STOP);
    }
    await Promise.all(ends);
  }
}

/** The generation behind goes first. */
function precedenceOf(tunnel: number, generation: number): number {
  return 1_000_000 - (generation * TUNNELS + tunnel);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
