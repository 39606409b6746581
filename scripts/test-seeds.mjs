// Plays the simulator's random tests with many seeds, in portions, and stops at the first portion that fails:
//
//   npm run test:seeds -- 1000000 [first seed]
//
// Each file takes so many seeds, shared by its scenarios. What fails names its seed and the line that plays it alone.

import { spawnSync } from "node:child_process";
import process from "node:process";

const FILES = ["networks", "rekey-faults", "faults", "rekey-interleavings", "rekey-loss"].map(
  (name) => `test/ike/${name}.test.ts`,
);
const NAMES = "any life|fifth of all|at any time|ten thousand";
const PORTION = 1_000;

const count = Number(process.argv[2] ?? 10_000);
const first = Number(process.argv[3] ?? 0);
if (!Number.isSafeInteger(count) || count <= 0 || !Number.isSafeInteger(first) || first < 0) {
  process.stderr.write("usage: npm run test:seeds -- COUNT [FIRST]\n");
  process.exit(2);
}
for (let seed = first; seed < first + count; seed += PORTION) {
  const portion = Math.min(PORTION, first + count - seed);
  const env = { ...process.env, IKEBANA_FIRST_SEED: String(seed), IKEBANA_FUZZ_RUNS: String(portion) };
  const vitest = ["node_modules/vitest/vitest.mjs", "run", "--project", "memory", "--testTimeout", "600000"];
  const run = spawnSync(process.execPath, [...vitest, "-t", NAMES, ...FILES], {
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (run.status !== 0) {
    process.stdout.write(run.stdout);
    process.stdout.write(`failed between seeds ${seed} and ${seed + portion}\n`);
    process.exit(1);
  }
  process.stdout.write(`seeds ${seed} to ${seed + portion - 1} passed\n`);
}
