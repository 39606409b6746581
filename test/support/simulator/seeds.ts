import { relative } from "node:path";
import { expect } from "vitest";

/**
 * How many random seeds a test is played with. IKEBANA_FUZZ_RUNS says another number, and `npm run test:seeds -- NUMBER` sets it
 * for all that counts in seeds.
 */
export function seedCount(usual: number): number {
  return Number(process.env.IKEBANA_FUZZ_RUNS ?? usual);
}

/**
 * Plays with seeds 0, 1, 2 and so on, or from IKEBANA_FIRST_SEED on. The first that fails is named together with the line that
 * plays it alone.
 */
export function forEachSeed(count: number, play: (seed: number) => void): void {
  const { IKEBANA_SEED, IKEBANA_FIRST_SEED = "0" } = process.env;
  const first = Number(IKEBANA_SEED ?? IKEBANA_FIRST_SEED);
  const end = first + (IKEBANA_SEED === undefined ? count : 1);
  for (let seed = first; seed < end; seed++) {
    try {
      play(seed);
    } catch (error) {
      const { testPath = "", currentTestName = "" } = expect.getState();
      const file = relative(process.cwd(), testPath);
      const line = `IKEBANA_SEED=${seed} npx vitest run --project memory ${file} -t "${currentTestName}"`;
      throw new Error(`seed ${seed}; to see it alone: ${line}`, { cause: error });
    }
  }
}

/** Where both rekey a child SA at once, or the IKE SA, and have done nothing else before, each side has the lowest nonce with some of these. */
export const CROSSING_SEEDS = [1, 2, 14, 15];
