import { WireError } from "../errors/index.ts";

/**
 * Reads octets in network order. Every read names its field; a read past the end throws a WireError such as
 * "Notify payload: SPI runs past the end at octet 4". What it returns are views, never copies.
 */
export class Reader {
  readonly #octets: Uint8Array;
  readonly #name: string;
  readonly #base: number;
  #position = 0;

  /** `name` opens every error. `base` is where `octets` begin in what was decoded, so that offsets count from there. */
  constructor(octets: Uint8Array, name: string, base = 0) {
    this.#octets = octets;
    this.#name = name;
    this.#base = base;
  }

  /** Octets not read yet. */
  get remaining(): number {
    return this.#octets.length - this.#position;
  }

  /** Where the next read begins, in octets from the start of what was decoded. */
  get offset(): number {
    return this.#base + this.#position;
  }

  u8(field: string): number {
    return this.#octets[this.#take(1, field)]!;
  }

  u16(field: string): number {
    const at = this.#take(2, field);
    return (this.#octets[at]! << 8) | this.#octets[at + 1]!;
  }

  u32(field: string): number {
    return this.#u32At(this.#take(4, field));
  }

  u64(field: string): bigint {
    const at = this.#take(8, field);
    return (BigInt(this.#u32At(at)) << 32n) | BigInt(this.#u32At(at + 4));
  }

  /** A view of the next `length` octets. */
  bytes(length: number, field: string): Uint8Array {
    const at = this.#take(length, field);
    return this.#octets.subarray(at, at + length);
  }

  skip(length: number, field: string): void {
    this.#take(length, field);
  }

  /** A view of all that is left. */
  rest(): Uint8Array {
    const view = this.#octets.subarray(this.#position);
    this.#position = this.#octets.length;
    return view;
  }

  /** A reader over the next `length` octets, with a name of its own for its errors. */
  sub(length: number, field: string, name: string = field): Reader {
    const base = this.offset;
    return new Reader(this.bytes(length, field), name, base);
  }

  /** Refuses what nobody asked for: throws when octets are left. */
  end(): void {
    if (this.remaining > 0) this.fail("end", `${this.remaining} octets too many`);
  }

  /** Throws: "<name>: <field> <problem> at octet <offset>". */
  fail(field: string, problem: string): never {
    throw new WireError(`${this.#name}: ${field} ${problem} at octet ${this.offset}`, {
      field: `${this.#name}: ${field}`,
      offset: this.offset,
    });
  }

  #take(length: number, field: string): number {
    if (length > this.remaining) this.fail(field, "runs past the end");
    const at = this.#position;
    this.#position += length;
    return at;
  }

  #u32At(at: number): number {
    const octets = this.#octets;
    return ((octets[at]! << 24) | (octets[at + 1]! << 16) | (octets[at + 2]! << 8) | octets[at + 3]!) >>> 0;
  }
}
