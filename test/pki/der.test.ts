import fc from "fast-check";
import { expect, test } from "vitest";
import { fromHex, toHex } from "../../src/bytes/hex.ts";
import { WireError } from "../../src/errors/index.ts";
import { contextPrimitive, DerReader, Tag } from "../../src/pki/der-reader.ts";
import {
  boolean,
  element,
  generalizedTime,
  implicit,
  namedBits,
  objectIdentifier,
  octetString,
  sequence,
  setOf,
  small,
  text,
  time,
  unsigned,
} from "../../src/pki/der-writer.ts";

const reader = (octets: Uint8Array) => new DerReader(octets, "test");

test("what is written reads back as the same, to the last octet", () => {
  fc.assert(
    fc.property(
      fc.record({
        tag: fc.constantFrom(Tag.OCTET_STRING, Tag.UTF8_STRING, 0x80, 0xa3),
        content: fc.uint8Array({ maxLength: 400 }),
        number: fc.nat(0xffff),
        magnitude: fc.uint8Array({ minLength: 1, maxLength: 80 }),
        oid: fc.tuple(
          fc.nat(2),
          fc.nat(39),
          fc.array(fc.bigInt({ min: 0n, max: 2n ** 70n }), { maxLength: 4 }),
        ),
        bits: fc.uniqueArray(fc.nat(31), { maxLength: 10 }),
        ms: fc.integer({ min: 0, max: 253402300799 }).map((seconds) => seconds * 1000),
        flag: fc.boolean(),
      }),
      ({ tag, content, number, magnitude, oid: [root, second, rest], bits, ms, flag }) => {
        const dotted = [root, second, ...rest].join(".");
        const octets = sequence(
          element(tag, content),
          small(number),
          unsigned(magnitude),
          objectIdentifier(dotted),
          namedBits(bits),
          time(ms),
          generalizedTime(ms),
          boolean(flag),
          octetString(content),
          implicit(5, magnitude),
          text(Tag.UTF8_STRING, dotted),
        );
        const outer = reader(octets);
        const inner = outer.sequence("sequence");
        outer.end();
        expect(inner.read(tag, "element")).toEqual(content);
        expect(inner.small("small")).toBe(number);
        expect(toHex(inner.unsigned("unsigned"))).toBe(toHex(magnitude).replace(/^(00)+/, ""));
        expect(inner.objectIdentifier("oid")).toBe(dotted);
        expect([...inner.namedBits("bits")].sort()).toEqual([...bits].sort());
        expect(inner.time("time")).toBe(ms);
        expect(inner.time("time")).toBe(ms);
        expect(inner.boolean("boolean")).toBe(flag);
        expect(inner.octetString("octets")).toEqual(content);
        expect(inner.read(contextPrimitive(5), "implicit")).toEqual(magnitude);
        expect(Buffer.from(inner.read(Tag.UTF8_STRING, "text")).toString()).toBe(dotted);
        inner.end();
      },
    ),
    { seed: 1 },
  );
});

test.each([
  ["an indefinite length", "3080020101 0000", /no usable length/],
  ["a length in more octets than it takes", "308103 020101", /length that is too long/],
  ["a length with a leading zero", "30820003 020101", /length that is too long/],
  ["a length of 2^32 - 1", "3084ffffffff", /no usable length/],
  ["a length past the end", "3004 020101", /runs past the end/],
  ["nothing", "", /is missing/],
  ["another type", "0400", /has tag 0x4 instead of 0x30/],
])("a SEQUENCE with %s is refused", (_, hex, problem) => {
  expect(() => reader(fromHex(hex)).sequence("field")).toThrow(problem);
});

test.each([
  ["0200", /is empty/],
  ["020200ff00", undefined],
  ["0202007f", /octets to spare/],
  ["0202ff80", /octets to spare/],
  ["0201ff", /is negative/],
  ["020100", undefined],
])("INTEGER %s", (hex, problem) => {
  const read = () => reader(fromHex(hex)).unsigned("field");
  if (problem === undefined) expect(read).not.toThrow();
  else expect(read).toThrow(problem);
});

test.each([
  ["0603550413", "2.5.4.19"],
  ["06022a86", undefined],
  ["0600", undefined],
  ["06042a800102", undefined],
  ["0603883703", "2.999.3"],
])("OBJECT IDENTIFIER %s is %s", (hex, dotted) => {
  const read = () => reader(fromHex(hex)).objectIdentifier("field");
  if (dotted === undefined) expect(read).toThrow(/is no OBJECT IDENTIFIER/);
  else expect(read()).toBe(dotted);
});

test.each(["010101", "0102ffff", "0100"])("BOOLEAN %s has a form that DER has not", (hex) => {
  expect(() => reader(fromHex(hex)).boolean("field")).toThrow(/is no BOOLEAN/);
});

test.each(["0300", "030108", "030203ff"])(
  "BIT STRING %s has unused bits that are set, or none that is used",
  (hex) => {
    expect(() => reader(fromHex(hex)).namedBits("field")).toThrow(/is no list of bits/);
  },
);

test.each([
  ["UTC", "491231235959Z", "2049-12-31T23:59:59Z"],
  ["UTC", "500101000000Z", "1950-01-01T00:00:00Z"],
  ["UTC", "380119031408Z", "2038-01-19T03:14:08Z"],
  ["generalized", "20500101000000Z", "2050-01-01T00:00:00Z"],
  ["generalized", "99991231235959Z", "9999-12-31T23:59:59Z"],
  ["generalized", "00010101000000Z", "0001-01-01T00:00:00Z"],
  ["UTC", "240229000000Z", "2024-02-29T00:00:00Z"],
  ["UTC", "230229000000Z", undefined],
  ["UTC", "231301000000Z", undefined],
  ["UTC", "230100000000Z", undefined],
  ["UTC", "230101240000Z", undefined],
  ["UTC", "230101000060Z", undefined],
  ["UTC", "2301010000Z", undefined],
  ["UTC", "230101000000+0100", undefined],
  ["generalized", "20230101000000.5Z", undefined],
  ["generalized", "20230101000000", undefined],
])("%s time %s is %s", (type, digits, expected) => {
  const octets = element(type === "UTC" ? Tag.UTC_TIME : Tag.GENERALIZED_TIME, Buffer.from(digits));
  if (expected === undefined) expect(() => reader(octets).time("field")).toThrow(WireError);
  else expect(reader(octets).time("field")).toBe(Date.parse(expected));
});

test("a tag number above 30 is refused", () => {
  expect(() => reader(fromHex("1f8101 00")).element("field")).toThrow(/tag number above 30/);
});

test("SET OF is sorted by octets, a shorter element before a longer one that begins with it", () => {
  const [a, b, c] = [fromHex("0401ff"), fromHex("040100"), fromHex("04020000")];
  expect(toHex(setOf(a, c, b))).toBe("310a0401000401ff04020000");
});

test("any octets either read or end in a WireError", () => {
  const read: readonly ((from: DerReader) => unknown)[] = [
    (from) => from.element("field"),
    (from) => from.sequence("field").element("inner"),
    (from) => from.unsigned("field"),
    (from) => from.small("field"),
    (from) => from.enumerated("field"),
    (from) => from.boolean("field"),
    (from) => from.objectIdentifier("field"),
    (from) => from.namedBits("field"),
    (from) => from.bitStringOctets("field"),
    (from) => from.time("field"),
    (from) => from.end(),
  ];
  const tag = fc.constantFrom(...Object.values(Tag));
  const likely = fc
    .tuple(tag, fc.uint8Array({ maxLength: 20 }))
    .map(([type, content]) => element(type, content));
  fc.assert(
    fc.property(
      fc.oneof(fc.uint8Array({ maxLength: 40 }), likely),
      fc.nat(read.length - 1),
      (octets, which) => {
        try {
          read[which]!(reader(octets));
        } catch (error) {
          expect(error).toBeInstanceOf(WireError);
        }
      },
    ),
    { seed: 1, numRuns: 3000 },
  );
});
