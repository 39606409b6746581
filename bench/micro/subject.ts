import type { Contender } from "./sampler.ts";

/** One piece of work and everybody who does it. */
export interface Subject {
  /** A table of its own in the results. */
  readonly group: string;
  readonly name: string;
  /** Packets, agreements, messages ... in one run of a contender. */
  readonly operations: number;
  /** Octets of payload in one run; 0 where speed is not counted in octets. */
  readonly octets: number;
  /** Ours comes first. */
  readonly contenders: readonly Contender[];
  /** Throws unless all contenders do the same work. */
  prove(): void;
}

/** Throws with the names of who disagrees. */
export function expectEqual(what: string, outputs: ReadonlyMap<string, Uint8Array>): void {
  const [first, ...others] = outputs;
  for (const [name, octets] of others) {
    if (Buffer.compare(first![1], octets) !== 0) throw new Error(`${what}: ${first![0]} and ${name} differ`);
  }
}
