import { randomBytes } from "node:crypto";

const LINE_LENGTH = 64;

/**
 * Octets to send through the tunnel: in lines of 64, each with the marker at its beginning and random octets behind, so that
 * every packet cut from them holds the marker.
 */
export class Payload {
  readonly #block: Buffer;
  #number = 0;

  constructor(marker: Uint8Array, length: number) {
    this.#block = randomBytes(length);
    for (let at = 0; at < length; at += LINE_LENGTH) this.#block.set(marker.subarray(0, length - at), at);
  }

  /** The next block: a copy with its number at the end, so that no two are equal. */
  next(): Buffer {
    const block = Buffer.from(this.#block);
    block.writeUInt32BE(this.#number++, block.length - 4);
    return block;
  }
}
