import { describe, expect, test } from "vitest";
import { aeadSubjects, OWN_CIPHERS_WORKER, WORKER } from "../../bench/micro/aead.ts";
import { codecSubjects } from "../../bench/micro/codec.ts";
import { keyExchangeSubjects } from "../../bench/micro/key-exchange.ts";
import { toMarkdown } from "../../bench/micro/markdown.ts";
import { type MicroRecord, toContenderRecord } from "../../bench/micro/record.ts";
import { saSetupSubjects } from "../../bench/micro/sa-setup.ts";
import { median, sampleRoundRobin } from "../../bench/micro/sampler.ts";
import { expectEqual } from "../../bench/micro/subject.ts";
import { createSharedMemory, loadKernel } from "../../src/esp/kernel.ts";
import { openNativeCiphers } from "../../src/platform/native-ciphers/native-ciphers.ts";

const memory = createSharedMemory();
const lent = openNativeCiphers(memory);
const kernel = loadKernel(memory, WORKER, lent);
const own = loadKernel(memory, OWN_CIPHERS_WORKER);

describe("the micro bench", () => {
  test("has contenders that do the same work", () => {
    let count = 0;
    for (const subject of [
      ...lazily(aeadSubjects({ buffer: memory.buffer, kernel, lent, own })),
      ...lazily(saSetupSubjects(kernel, memory.buffer)),
      ...lazily(keyExchangeSubjects()),
      ...lazily(codecSubjects()),
    ]) {
      expect(subject.contenders.length).toBeGreaterThan(0);
      count++;
    }
    expect(count).toBeGreaterThan(40);
  });

  test("stops when outputs differ, and says whose", () => {
    const outputs = new Map([
      ["kernel", Uint8Array.of(1, 2)],
      ["node:crypto", Uint8Array.of(1, 2)],
      ["another", Uint8Array.of(1, 3)],
    ]);
    expect(() => expectEqual("seal", outputs)).toThrow("seal: kernel and another differ");
  });

  test("takes one sample of every contender in each round", () => {
    const order: string[] = [];
    const contender = (name: string) => ({
      name,
      run() {
        if (order.at(-1) !== name) order.push(name);
      },
    });
    const samples = sampleRoundRobin([contender("a"), contender("b"), contender("c")], {
      rounds: 6,
      sliceMs: 0.05,
      warmUpMs: 1,
    });
    expect(samples.map(({ samplesNs }) => samplesNs.length)).toEqual([6, 6, 6]);
    // After the warm-up of a, b and c the order rotates, so that nobody always runs behind the same neighbour.
    expect(order.slice(3).join("")).toBe(["abc", "bca", "cab", "abc", "bca", "cab"].join(""));
  });

  test("takes the middle of its samples", () => {
    expect(median([5, 1, 9])).toBe(5);
    expect(median([1, 2, 3, 10])).toBe(2.5);
    const sample = { name: "a", samplesNs: [50, 10, 30, 20, 40], medianNs: 30 };
    expect(toContenderRecord(sample).quartilesNs).toEqual([20, 40]);
  });

  test("makes tables from records", () => {
    const contender = (name: string, medianNs: number) => ({
      name,
      medianNs,
      quartilesNs: [medianNs * 0.98, medianNs * 1.02] as const,
      samplesNs: [medianNs],
    });
    const record = (node: string, kernelNs: number): MicroRecord => ({
      bench: "micro",
      date: "2026-01-01T00:00:00.000Z",
      commit: "0123456789",
      command: "npm run bench:micro",
      machine: {
        cpu: "a cpu",
        cores: 2,
        memoryGiB: 8,
        kernel: "Linux 6.1",
        node,
        v8: "11.3",
        openssl: "3.0",
        loadAverage: 0,
      },
      subjects: [
        {
          group: "AEAD",
          name: "seal 1400 B",
          operations: 64,
          octets: 89_600,
          contenders: [contender("kernel", kernelNs), contender("node:crypto", 240_000)],
        },
      ],
    });
    const text = toMarkdown([record("20.0.0", 89_600), record("24.0.0", 120_000)]);
    expect(text).toContain("|  | Node 20.0.0 | Node 24.0.0 |");
    expect(text).toContain("| seal 1400 B: kernel / node:crypto | 2.68x | 2.00x |");
    expect(text).toContain("| seal 1400 B | 1000 MB/s ± 2.0 % | 373 MB/s ± 2.0 % |");
  });
});

/** Subjects share the kernel's memory, so each is proven as soon as it is made. */
function* lazily<T extends { prove(): void }>(subjects: Iterable<T>): Generator<T> {
  for (const subject of subjects) {
    subject.prove();
    yield subject;
  }
}
