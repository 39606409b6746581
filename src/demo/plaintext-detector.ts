import { concat } from "../bytes/concat.ts";
import { parseAddress } from "../bytes/ip-address.ts";
import { MACHINES } from "./plan.ts";

/**
 * Looks for what must not be seen between the machines: the marker that every payload holds, and an inner source and
 * destination address in a row, as an IP header has them. Both are too long to turn up in ciphertext by chance.
 */
export class PlaintextDetector {
  readonly #patterns: readonly Buffer[];

  constructor(marker: Uint8Array) {
    const { client, gateway } = MACHINES;
    const pairs = [0, 1].flatMap((family) => {
      const ours = parseAddress(client.innerAddresses[family]!)!;
      const theirs = parseAddress(gateway.innerAddresses[family]!)!;
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
