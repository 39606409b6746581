import { IKE_SPI_BASE, IKE_SPI_COUNT } from "../../assembly/layout.ts";

/**
 * Which IKE SPIs may be ours: for each value of their low bits, how many are. A worker asks before it lets a datagram past those of
 * strangers, so that nobody who floods us keeps the messages of IKE SAs from arriving. A guess is right as often as the filter is full.
 */
export class IkeSpiFilter {
  readonly #counts: Uint8Array;

  constructor(memory: WebAssembly.Memory) {
    this.#counts = new Uint8Array(memory.buffer, IKE_SPI_BASE, IKE_SPI_COUNT);
  }

  /** The host's: an SPI of ours begins or ends. */
  note(spi: bigint, isInUse: boolean): void {
    const at = Number(BigInt.asUintN(INDEX_BITS, spi));
    const count = Atomics.load(this.#counts, at);
    // Where the count has overflowed it says "maybe" for ever.
    if (count !== FULL && (isInUse || count > 0)) Atomics.store(this.#counts, at, count + (isInUse ? 1 : -1));
  }

  /** The worker's: `low` is the low half of an SPI. */
  mayHave(low: number): boolean {
    return Atomics.load(this.#counts, low & (IKE_SPI_COUNT - 1)) !== 0;
  }
}

const INDEX_BITS = Math.log2(IKE_SPI_COUNT);
const FULL = 255;
