import { Reader } from "../bytes/reader.ts";

/** Identifier octets of the types that occur (X.690 section 8.1.2), "constructed" bit included. */
export const Tag = {
  BOOLEAN: 0x01,
  INTEGER: 0x02,
  BIT_STRING: 0x03,
  OCTET_STRING: 0x04,
  NULL: 0x05,
  OBJECT_IDENTIFIER: 0x06,
  ENUMERATED: 0x0a,
  UTF8_STRING: 0x0c,
  PRINTABLE_STRING: 0x13,
  TELETEX_STRING: 0x14,
  IA5_STRING: 0x16,
  UTC_TIME: 0x17,
  GENERALIZED_TIME: 0x18,
  UNIVERSAL_STRING: 0x1c,
  BMP_STRING: 0x1e,
  SEQUENCE: 0x30,
  SET: 0x31,
} as const;

/** `[number]` around a primitive value, as IMPLICIT tagging makes it. */
export const contextPrimitive = (number: number): number => 0x80 | number;
/** `[number]` around other elements. */
export const contextConstructed = (number: number): number => 0xa0 | number;

/** One element: identifier octet, contents, and all of its octets. Views, never copies. */
export interface DerElement {
  readonly tag: number;
  readonly content: Uint8Array;
  readonly encoded: Uint8Array;
}

/**
 * Reads DER (X.690 section 10): definite lengths in as few octets as they take, tag numbers below 31, and each primitive in
 * its only form. It descends just as far as it is asked to, so nested octets cost nothing. Anything else is a WireError
 * that names its field.
 */
export class DerReader {
  readonly #octets: Uint8Array;
  readonly #name: string;
  readonly #base: number;
  readonly #reader: Reader;

  /** `name` opens every error. `base` is where `octets` begin in what is being read, so that offsets count from there. */
  constructor(octets: Uint8Array, name: string, base = 0) {
    this.#octets = octets;
    this.#name = name;
    this.#base = base;
    this.#reader = new Reader(octets, name, base);
  }

  get remaining(): number {
    return this.#reader.remaining;
  }

  /** Identifier octet of the next element, undefined at the end. */
  get nextTag(): number | undefined {
    return this.#octets[this.#position];
  }

  /** The next element, whatever it is. */
  element(field: string): DerElement {
    const start = this.#position;
    const tag = this.#reader.u8(field);
    if ((tag & 0x1f) === 0x1f) this.fail(field, "has a tag number above 30");
    const content = this.#reader.bytes(this.#length(field), field);
    return { tag, content, encoded: this.#octets.subarray(start, this.#position) };
  }

  /** Contents of the next element, which has to have this tag. */
  read(tag: number, field: string): Uint8Array {
    this.#expect(tag, field);
    return this.element(field).content;
  }

  /** A reader over the contents of the next element, which has to have this tag. Its errors open with the same name. */
  enter(tag: number, field: string): DerReader {
    return this.inside(this.read(tag, field));
  }

  /** A reader over `content`, the contents of an element that this one has read. */
  inside(content: Uint8Array): DerReader {
    return new DerReader(content, this.#name, this.#base + content.byteOffset - this.#octets.byteOffset);
  }

  /** As `enter`, or undefined where something else comes next. */
  enterOptional(tag: number, field: string): DerReader | undefined {
    return this.nextTag === tag ? this.enter(tag, field) : undefined;
  }

  sequence(field: string): DerReader {
    return this.enter(Tag.SEQUENCE, field);
  }

  boolean(field: string): boolean {
    const content = this.read(Tag.BOOLEAN, field);
    // X.690 section 11.1: TRUE is 0xff.
    if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff)) this.fail(field, "is no BOOLEAN");
    return content[0] === 0xff;
  }

  /** Two's complement octets of an INTEGER, as few as it takes. */
  integer(field: string): Uint8Array {
    const content = this.read(Tag.INTEGER, field);
    this.#checkInteger(content, field);
    return content;
  }

  /** Octets of an INTEGER that is not negative, without the zero that keeps it so; zero has none. */
  unsigned(field: string): Uint8Array {
    const content = this.integer(field);
    if (content[0]! >= 0x80) this.fail(field, "is negative");
    return content[0] === 0 ? content.subarray(1) : content;
  }

  /** An INTEGER from 0 to 65535, what versions and counts need. */
  small(field: string): number {
    return this.#smallOf(this.unsigned(field), field);
  }

  /** An ENUMERATED, from 0 to 65535. */
  enumerated(field: string): number {
    const content = this.read(Tag.ENUMERATED, field);
    this.#checkInteger(content, field);
    if (content[0]! >= 0x80) this.fail(field, "is negative");
    return this.#smallOf(content[0] === 0 ? content.subarray(1) : content, field);
  }

  /** A BIT STRING of whole octets. */
  bitStringOctets(field: string): Uint8Array {
    const content = this.read(Tag.BIT_STRING, field);
    if (content[0] !== 0) this.fail(field, "is not made of whole octets");
    return content.subarray(1);
  }

  /** Numbers of the bits that are set in a named BIT STRING, the first bit being 0. At most 32 bits are looked at. */
  namedBits(field: string, tag: number = Tag.BIT_STRING): ReadonlySet<number> {
    const content = this.read(tag, field);
    const unused = content[0];
    const last = content.length > 1 ? content[content.length - 1]! : 0;
    // X.690 section 11.2.1: unused bits are zero. Trailing zeros, which section 11.2.2 leaves out, stand in roots that browsers trust.
    if (
      unused === undefined ||
      unused > 7 ||
      (content.length === 1 && unused > 0) ||
      (last & ((1 << unused) - 1)) !== 0
    )
      this.fail(field, "is no list of bits");
    const bits = new Set<number>();
    for (let bit = 0; bit < Math.min(32, 8 * (content.length - 1)); bit++) {
      if ((content[1 + (bit >>> 3)]! & (0x80 >>> (bit & 7))) !== 0) bits.add(bit);
    }
    return bits;
  }

  octetString(field: string): Uint8Array {
    return this.read(Tag.OCTET_STRING, field);
  }

  /** Dotted text, such as "2.5.29.17". */
  objectIdentifier(field: string, tag: number = Tag.OBJECT_IDENTIFIER): string {
    const content = this.read(tag, field);
    // X.690 section 8.19: seven bits an octet, as few as it takes, the last one without the high bit.
    const isWhole = content.length > 0 && content[content.length - 1]! < 0x80;
    if (!isWhole || content.length > MAXIMUM_OID_LENGTH) this.fail(field, "is no OBJECT IDENTIFIER");
    const arcs: bigint[] = [];
    let [arc, isFirst] = [0n, true];
    for (const octet of content) {
      if (isFirst && octet === 0x80) this.fail(field, "is no OBJECT IDENTIFIER");
      arc = (arc << 7n) | BigInt(octet & 0x7f);
      isFirst = octet < 0x80;
      if (!isFirst) continue;
      arcs.push(arc);
      arc = 0n;
    }
    const root = arcs[0]! < 80n ? arcs[0]! / 40n : 2n;
    return [root, arcs[0]! - 40n * root, ...arcs.slice(1)].join(".");
  }

  /** UTCTime or GeneralizedTime in the form of RFC 5280 section 4.1.2.5 (to the second, "Z"), in milliseconds since 1970. */
  time(field: string): number {
    const tag = this.nextTag === Tag.UTC_TIME ? Tag.UTC_TIME : Tag.GENERALIZED_TIME;
    return this.#timeOf(this.read(tag, field), tag === Tag.UTC_TIME, field);
  }

  /** Refuses what nobody asked for: throws when octets are left. */
  end(): void {
    this.#reader.end();
  }

  /** Throws: "<name>: <field> <problem> at octet <offset>". */
  fail(field: string, problem: string): never {
    return this.#reader.fail(field, problem);
  }

  get #position(): number {
    return this.#reader.offset - this.#base;
  }

  #expect(tag: number, field: string): void {
    const next = this.nextTag;
    if (next === undefined) this.fail(field, "is missing");
    if (next !== tag) this.fail(field, `has tag 0x${next.toString(16)} instead of 0x${tag.toString(16)}`);
  }

  /** X.690 section 10.1. Three octets of length are more than any message of ours has. */
  #length(field: string): number {
    const first = this.#reader.u8(field);
    if (first < 0x80) return first;
    const count = first & 0x7f;
    if (count === 0 || count > 3) this.fail(field, "has no usable length");
    let length = 0;
    for (let i = 0; i < count; i++) length = length * 256 + this.#reader.u8(field);
    if (length < (count === 1 ? 0x80 : 2 ** (8 * (count - 1))))
      this.fail(field, "has a length that is too long");
    return length;
  }

  #checkInteger(content: Uint8Array, field: string): void {
    const [first, second] = content;
    if (first === undefined) this.fail(field, "is empty");
    // X.690 section 8.3.2: the first nine bits are not all the same.
    const isPadded =
      second !== undefined && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80));
    if (isPadded) this.fail(field, "is an INTEGER with octets to spare");
  }

  #smallOf(magnitude: Uint8Array, field: string): number {
    if (magnitude.length > 2) this.fail(field, "is too large");
    return magnitude.reduce((value, octet) => value * 256 + octet, 0);
  }

  #timeOf(content: Uint8Array, isShort: boolean, field: string): number {
    const text = String.fromCharCode(...content.subarray(0, 16));
    const parts = (isShort ? UTC_TIME : GENERALIZED_TIME).exec(text);
    if (parts === null || content.length > 15) this.fail(field, "is no time in the form of RFC 5280");
    const [year, month, day, hour, minute, second] = parts.slice(1).map(Number) as [
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    const fullYear = isShort ? (year < 50 ? 2000 + year : 1900 + year) : year;
    const date = new Date(0);
    date.setUTCFullYear(fullYear, month - 1, day);
    const isOnCalendar = date.getUTCMonth() === month - 1 && date.getUTCDate() === day && month > 0;
    if (!isOnCalendar || hour > 23 || minute > 59 || second > 59) this.fail(field, "is no date and time");
    return date.setUTCHours(hour, minute, second);
  }
}

/** Longer ones exist nowhere, and their text would grow with the square of their length. */
const MAXIMUM_OID_LENGTH = 64;
const UTC_TIME = /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;
const GENERALIZED_TIME = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;
