import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

/** Tests whose outcome depends on what the machine gets done in a second: nothing else may run beside them. */
const ALONE = [
  "test/interop/rekey-stream.test.ts",
  "test/system/rekey-stream.test.ts",
  "test/system/flood.test.ts",
  "test/system/heap.test.ts",
  "test/system/offloads.test.ts",
  "test/system/tunnel-bench-figures.test.ts",
  "test/guest/kernel-esp.test.ts",
  "test/guest/kernel-esp-by-ike.test.ts",
];

// Three groups, one after the other: what runs in memory, on all processors, of which Vitest by itself leaves one out; what needs
// namespaces, TUN devices and real peers, two files at a time, since they mostly wait; and what has to have the machine to itself.
export default defineConfig({
  test: {
    testTimeout: 60_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: {
          name: "memory",
          include: ["test/**/*.test.ts"],
          exclude: ["test/interop/**", "test/system/**", "test/guest/**"],
          maxWorkers: availableParallelism(),
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: "system",
          include: ["test/interop/**/*.test.ts", "test/system/**/*.test.ts"],
          exclude: ALONE,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
          testTimeout: 120_000,
        },
      },
      {
        extends: true,
        test: {
          name: "alone",
          include: ALONE,
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
          testTimeout: 120_000,
        },
      },
    ],
  },
});
