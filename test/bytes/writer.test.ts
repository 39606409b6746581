import { expect, test } from "vitest";
import { toHex } from "../../src/bytes/hex.ts";
import { Writer } from "../../src/bytes/writer.ts";

test("numbers are written in network order, and reserved places are patched later", () => {
  const writer = new Writer();
  writer.u8(1);
  const at = writer.reserve(2);
  writer.u32(0xfffefdfc);
  writer.u64(0x8000000000000001n);
  writer.bytes(Uint8Array.of(7, 7));
  writer.patchU16(at, writer.length);
  expect(toHex(writer.finish())).toBe("010011fffefdfc80000000000000010707");
});

test("what is written outlives any growth of the buffer", () => {
  const writer = new Writer();
  const expected: number[] = [];
  for (let i = 0; i < 5000; i++) {
    writer.u8(i & 0xff);
    writer.u16(i);
    expected.push(i & 0xff, i >>> 8, i & 0xff);
  }
  expect(writer.finish()).toEqual(Uint8Array.from(expected));
});

test("finish gives octets of its own", () => {
  const writer = new Writer();
  writer.u8(1);
  const first = writer.finish();
  writer.patchU8(0, 2);
  expect(first[0]).toBe(1);
  expect(writer.finish()[0]).toBe(2);
});

test("writers beside one another, and one behind another, have nothing of each other", () => {
  const [first, second] = [new Writer(), new Writer()];
  first.bytes(new Uint8Array(300).fill(1));
  second.bytes(new Uint8Array(5000).fill(2));
  expect(first.finish()).toEqual(new Uint8Array(300).fill(1));
  expect(second.finish()).toEqual(new Uint8Array(5000).fill(2));
  for (let i = 0; i < 3; i++) {
    const next = new Writer();
    next.reserve(2048);
    expect(next.finish()).toEqual(new Uint8Array(2048));
    next.u8(1);
    next.patchU8(0, 1);
    expect(next.finish()).toEqual(Uint8Array.from({ length: 2049 }, (_, at) => Number(at % 2048 === 0)));
  }
});

test.each([256, -1, 1.5, Number.NaN])("%d does not fit one octet", (value) => {
  expect(() => new Writer().u8(value, "Flags")).toThrow(RangeError);
  expect(() => new Writer().u8(value, "Flags")).toThrow("Flags");
});

test("65536, 2^32 and 2^64 do not fit their fields", () => {
  expect(() => new Writer().u16(0x10000)).toThrow(RangeError);
  expect(() => new Writer().u32(2 ** 32)).toThrow(RangeError);
  expect(() => new Writer().u64(1n << 64n)).toThrow(RangeError);
  expect(() => new Writer().u64(-1n)).toThrow(RangeError);
});

test("a patch outside of what was written is refused", () => {
  const writer = new Writer();
  writer.u16(0);
  expect(() => writer.patchU16(1, 0)).toThrow(RangeError);
  expect(() => writer.patchU8(-1, 0)).toThrow(RangeError);
});
