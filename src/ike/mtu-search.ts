/** Sizes closer to one another than this are not told apart: ESP comes in words of four octets. */
const STEP = 4;
/** More probes than a search takes, unless much is lost by chance; then what was found so far has to do. */
const PROBE_COUNT = 32;

/**
 * Finds the largest packet that a path carries, by asking for one size after the other: the largest of all first, since it usually
 * passes; then what was found the last time, what nearly every path carries, what each has to; then by halves (RFC 8899 section 5.3).
 * That a probe is lost may be chance: what was carried the last time, and what a new result hangs on, has to be lost twice. Where nothing
 * is carried, that is not for its size.
 */
export class MtuSearch {
  readonly #floor: number;
  readonly #base: number;
  readonly #before: number | undefined;
  readonly #within: (size: number) => number;
  readonly #step: number;
  #most: number;
  /** The largest size that was carried, less than `floor` where none was, and the least one that is given up on. */
  #low: number;
  #high: number;
  /** How often a size was lost. */
  readonly #losses = new Map<number, number>();
  #probeCount = 0;

  /**
   * `floor` is what every path carries, `base` is believed until there is something better (BASE_PLPMTU), `most` is the largest size of
   * use and more than `floor`, `known` was found the last time. Where not every size can be asked for, they lie `grain.size` apart, `grain.first` among them.
   */
  constructor(facts: {
    readonly floor: number;
    readonly base: number;
    readonly most: number;
    readonly known?: number | undefined;
    readonly grain?: { readonly first: number; readonly size: number };
  }) {
    const { floor, base, most, known, grain = { first: 0, size: 1 } } = facts;
    this.#within = (size) => size - ((size - grain.first) % grain.size);
    this.#step = Math.max(STEP, grain.size);
    this.#floor = this.#within(floor);
    this.#most = this.#within(most);
    this.#base = this.#within(base);
    this.#before = known === undefined ? undefined : this.#within(known);
    this.#low = this.#floor - 1;
    this.#high = this.#most + 1;
  }

  /** The size to ask for now; undefined when the search is over. */
  next(): number | undefined {
    if (this.#probeCount === PROBE_COUNT) return undefined;
    const known = this.#known;
    const justAbove = this.#low === known ? this.#within(known + this.#step) : this.#low;
    const first = [this.#most, known, this.#base, this.#floor, justAbove].find((size) => this.#isOpen(size));
    if (first !== undefined) return first;
    if (this.#high - this.#low > this.#step) {
      const half = Math.ceil((this.#low + this.#high) / 2);
      // Links are whole words long, as a rule.
      const size = [half - (half % STEP), half].map(this.#within).find((each) => this.#isOpen(each));
      if (size !== undefined) return size;
    }
    return this.#low !== known && this.#losses.get(this.#high) === 1 ? this.#high : undefined;
  }

  /** A probe of this size was carried. */
  carried(size: number): void {
    this.#probeCount++;
    if (size >= this.#high) this.#high = this.#most + 1;
    this.#low = Math.max(this.#low, size);
  }

  /** It was not, while something small was. */
  lost(size: number): void {
    this.#probeCount++;
    const count = (this.#losses.get(size) ?? 0) + 1;
    this.#losses.set(size, count);
    const isSure = count > 1 || (size !== this.#known && size !== this.#floor);
    if (isSure) this.#high = Math.min(this.#high, size);
  }

  /** Larger sizes are of no use any more: a router has answered meanwhile. */
  limit(most: number): void {
    const size = Math.max(this.#floor, this.#within(most));
    if (size >= this.#most) return;
    this.#most = size;
    this.#high = Math.min(this.#high, size + 1);
    this.#low = Math.min(this.#low, size);
  }

  /** What the path is taken to carry for the time being; undefined before there is a reason to think anything. */
  get believed(): number | undefined {
    const known = this.#known;
    if (known !== undefined && known < this.#high) return Math.max(this.#low, known);
    if (this.#low === this.#most) return this.#most;
    if (this.#high > this.#most || this.isVain) return undefined;
    return Math.max(this.#low, this.#base < this.#high ? this.#base : this.#floor);
  }

  /** Not even what every path carries was: the peer does not answer probes. */
  get isVain(): boolean {
    return this.#high <= this.#floor;
  }

  get #known(): number | undefined {
    return this.#before === undefined ? undefined : Math.min(this.#before, this.#most);
  }

  #isOpen(size: number | undefined): size is number {
    return size !== undefined && size > this.#low && size < this.#high;
  }
}
