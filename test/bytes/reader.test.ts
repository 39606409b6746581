import { describe, expect, test } from "vitest";
import { Reader } from "../../src/bytes/reader.ts";
import { WireError } from "../../src/errors/index.ts";

const octets = Uint8Array.of(0x01, 0x02, 0x03, 0xff, 0xfe, 0xfd, 0xfc, 0x80, 0, 0, 0, 0, 0, 0, 1, 9, 8);

describe("Reader", () => {
  test("reads numbers in network order, with the top bit set too", () => {
    const reader = new Reader(octets, "Test");
    expect(reader.u8("a")).toBe(1);
    expect(reader.u16("b")).toBe(0x0203);
    expect(reader.u32("c")).toBe(0xfffefdfc);
    expect(reader.u64("d")).toBe(0x8000000000000001n);
    expect(reader.offset).toBe(15);
    expect(reader.remaining).toBe(2);
    expect(reader.rest()).toEqual(Uint8Array.of(9, 8));
    expect(reader.remaining).toBe(0);
  });

  test("gives views, not copies", () => {
    const own = octets.slice();
    const view = new Reader(own, "Test").bytes(4, "a");
    own[0] = 77;
    expect(view[0]).toBe(77);
  });

  test("a read past the end names the payload, the field and the octet", () => {
    const reader = new Reader(octets.subarray(0, 4), "Notify payload");
    reader.skip(2, "a");
    const failure = failureOf(() => reader.u32("SPI"));
    expect(failure.message).toBe("Notify payload: SPI runs past the end at octet 2");
    expect(failure.field).toBe("Notify payload: SPI");
    expect(failure.offset).toBe(2);
    expect(reader.u16("still there")).toBe(0x03ff);
  });

  test("a sub-reader ends with its share and counts octets from the start of the whole", () => {
    const reader = new Reader(octets, "Whole");
    reader.skip(3, "a");
    const part = reader.sub(2, "Part");
    part.skip(1, "b");
    expect(failureOf(() => part.u16("Number")).message).toBe("Part: Number runs past the end at octet 4");
    expect(reader.offset).toBe(5);
  });

  test("end refuses octets that nobody read", () => {
    const reader = new Reader(octets.subarray(0, 2), "Test");
    expect(failureOf(() => reader.end()).message).toBe("Test: end 2 octets too many at octet 0");
    reader.skip(2, "a");
    reader.end();
  });

  test.each([
    ["u8", 0],
    ["u16", 1],
    ["u32", 3],
    ["u64", 7],
  ] as const)("%s refuses %i octets", (read, length) => {
    expect(failureOf(() => new Reader(octets.subarray(0, length), "Test")[read]("a"))).toBeInstanceOf(
      WireError,
    );
  });
});

function failureOf(action: () => unknown): WireError {
  try {
    action();
  } catch (error) {
    if (error instanceof WireError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}
