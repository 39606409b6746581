import { concat } from "../bytes/concat.ts";
import { parseAddress } from "../bytes/ip-address.ts";

/**
 * Looks for what must not be seen outside of a tunnel: the marker that every payload holds, and an inner source and
 * destination address in a row, as an IP header has them. Both are too long to turn up in ciphertext by chance.
 */
export class PlaintextDetector {
  readonly #patterns: readonly Buffer[];

  /** `innerPairs`: addresses that talk to each other inside the tunnel. */
  constructor({
    marker,
    innerPairs,
  }: {
    readonly marker: Uint8Array;
    readonly innerPairs: readonly (readonly [string, string])[];
  }) {
    const pairs = innerPairs.flatMap(([one, other]) => {
      const ours = parseAddress(one)!;
      const theirs = parseAddress(other)!;
      return [concat(ours, theirs), concat(theirs, ours)];
    });
    this.#patterns = [marker, ...pairs].map((pattern) => Buffer.from(pattern));
  }

  /** Whether there is any of it in the octets. */
  isIn(octets: Uint8Array): boolean {
    const buffer = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
    return this.#patterns.some((pattern) => buffer.includes(pattern));
  }
}
