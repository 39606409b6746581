/** As long as most messages are at most. */
const CAPACITY = 2048;

/** Zeros that no writer has at the moment. There is one writer at a time, nearly always, and each message takes several. */
let spare: Uint8Array | undefined;

function takeRoom(): Uint8Array {
  const room = spare ?? new Uint8Array(CAPACITY);
  spare = undefined;
  return room;
}

function giveBack(room: Uint8Array, used: number): void {
  if (room.length === CAPACITY) spare = room.fill(0, 0, used);
}

/**
 * Writes octets in network order into a buffer that grows. A value that does not fit its field is a mistake of ours and
 * throws a RangeError.
 */
export class Writer {
  #octets = takeRoom();
  /** They belong to whoever called `finish`. */
  #isHandedOut = false;
  #length = 0;

  /** Octets written so far; also the offset of the next one. */
  get length(): number {
    return this.#length;
  }

  u8(value: number, field = "value"): void {
    this.patchU8(this.#take(1), value, field);
  }

  u16(value: number, field = "value"): void {
    this.patchU16(this.#take(2), value, field);
  }

  u32(value: number, field = "value"): void {
    this.patchU32(this.#take(4), value, field);
  }

  u64(value: bigint, field = "value"): void {
    if (value < 0n || value > 0xffff_ffff_ffff_ffffn)
      throw new RangeError(`${field} ${value} is not 64 bits`);
    this.u32(Number(value >> 32n), field);
    this.u32(Number(value & 0xffff_ffffn), field);
  }

  bytes(octets: Uint8Array): void {
    const at = this.#take(octets.length);
    this.#octets.set(octets, at);
  }

  /** Leaves room for `length` octets, zero until they are patched. Returns their offset. */
  reserve(length: number): number {
    return this.#take(length);
  }

  patchU8(offset: number, value: number, field = "value"): void {
    this.#within(offset, 1);
    this.#octets[offset] = checked(value, 0xff, field);
  }

  patchU16(offset: number, value: number, field = "value"): void {
    this.#within(offset, 2);
    checked(value, 0xffff, field);
    this.#octets[offset] = value >>> 8;
    this.#octets[offset + 1] = value;
  }

  patchU32(offset: number, value: number, field = "value"): void {
    this.#within(offset, 4);
    checked(value, 0xffff_ffff, field);
    this.#octets[offset] = value >>> 24;
    this.#octets[offset + 1] = value >>> 16;
    this.#octets[offset + 2] = value >>> 8;
    this.#octets[offset + 3] = value;
  }

  /** What was written, as octets of its own. */
  finish(): Uint8Array {
    const written = this.#octets.slice(0, this.#length);
    if (!this.#isHandedOut) giveBack(this.#octets, this.#length);
    this.#octets = written;
    this.#isHandedOut = true;
    return written;
  }

  #take(length: number): number {
    const at = this.#length;
    const needed = at + length;
    if (needed > this.#octets.length) {
      const larger = new Uint8Array(Math.max(needed, 2 * this.#octets.length));
      larger.set(this.#octets);
      if (!this.#isHandedOut) giveBack(this.#octets, at);
      this.#octets = larger;
      this.#isHandedOut = false;
    } else this.#own();
    this.#length = needed;
    return at;
  }

  #own(): void {
    if (!this.#isHandedOut) return;
    this.#octets = this.#octets.slice();
    this.#isHandedOut = false;
  }

  #within(offset: number, length: number): void {
    this.#own();
    if (!(offset >= 0 && offset + length <= this.#length)) {
      throw new RangeError(`octet ${offset} is not among the ${this.#length} written`);
    }
  }
}

function checked(value: number, maximum: number, field: string): number {
  if (!Number.isInteger(value) || value < 0 || value > maximum) {
    throw new RangeError(`${field} ${value} is not a whole number from 0 to ${maximum}`);
  }
  return value;
}
