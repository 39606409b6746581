import { defineConfig } from "vitest/config";

// Two groups, one after the other: what runs in memory, in parallel; then what needs namespaces, TUN devices and real
// peers, one file at a time, so that timing is not disturbed and the machine's two cores are enough.
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
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: "system",
          include: ["test/interop/**/*.test.ts", "test/system/**/*.test.ts", "test/guest/**/*.test.ts"],
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
          testTimeout: 120_000,
        },
      },
    ],
  },
});
