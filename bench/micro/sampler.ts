/** One of several ways to do the same work. */
export interface Contender {
  readonly name: string;
  /** Does the work once, for instance seals one batch. */
  run(): void;
}

export interface Sample {
  readonly name: string;
  /** Nanoseconds for one run, one number for each round. */
  readonly samplesNs: readonly number[];
  readonly medianNs: number;
}

/**
 * Times contenders in turn, a slice each, round after round in one process: what slows the machine down slows all of
 * them, so ratios of medians hold where absolute numbers swing. The order within a round rotates.
 */
export function sampleRoundRobin(
  contenders: readonly Contender[],
  {
    rounds = 31,
    sliceMs = 10,
    warmUpMs = 150,
  }: { rounds?: number; sliceMs?: number; warmUpMs?: number } = {},
): readonly Sample[] {
  const runsPerSlice = contenders.map((contender) => warmUp(contender, { warmUpMs, sliceMs }));
  const samples: number[][] = contenders.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < contenders.length; i++) {
      const index = (i + round) % contenders.length;
      samples[index]!.push(timeRuns(contenders[index]!, runsPerSlice[index]!));
    }
  }
  return contenders.map(({ name }, i) => ({
    name,
    samplesNs: samples[i]!,
    medianNs: median(samples[i]!),
  }));
}

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Runs until the code is hot; gives how many runs fill a slice. */
function warmUp(contender: Contender, { warmUpMs, sliceMs }: { warmUpMs: number; sliceMs: number }): number {
  const end = performance.now() + warmUpMs;
  let last = Number.POSITIVE_INFINITY;
  for (let runs = 1; performance.now() < end; runs = Math.min(2 * runs, 64)) last = timeRuns(contender, runs);
  return Math.max(1, Math.round((sliceMs * 1e6) / last));
}

/** Nanoseconds for one run, over `runs` of them. */
function timeRuns(contender: Contender, runs: number): number {
  const begin = process.hrtime.bigint();
  for (let i = 0; i < runs; i++) contender.run();
  return Number(process.hrtime.bigint() - begin) / runs;
}
