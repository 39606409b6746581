import { expect, test } from "vitest";
import { concat } from "../../src/bytes/concat.ts";
import { equal } from "../../src/bytes/constant-time.ts";
import { fromHex, toHex } from "../../src/bytes/hex.ts";
import { wipe } from "../../src/bytes/wipe.ts";

test("hex goes both ways for every octet", () => {
  const all = Uint8Array.from({ length: 256 }, (_, i) => i);
  expect(toHex(all)).toBe(Buffer.from(all).toString("hex"));
  expect(fromHex(toHex(all))).toEqual(all);
  expect(fromHex(" 0A\n1b ")).toEqual(Uint8Array.of(0x0a, 0x1b));
});

test.each(["0", "0g", "0x00", "-1", "+1"])("%j is no hex", (text) => {
  expect(() => fromHex(text)).toThrow(RangeError);
});

test("equal compares content and length", () => {
  expect(equal(Uint8Array.of(1, 2), Uint8Array.of(1, 2))).toBe(true);
  expect(equal(Uint8Array.of(1, 2), Uint8Array.of(1, 3))).toBe(false);
  expect(equal(Uint8Array.of(1, 2), Uint8Array.of(129, 2))).toBe(false);
  expect(equal(Uint8Array.of(1, 2), Uint8Array.of(1, 2, 0))).toBe(false);
  expect(equal(new Uint8Array(0), new Uint8Array(0))).toBe(true);
});

test("concat copies, wipe overwrites", () => {
  const secret = Uint8Array.of(1, 2, 3);
  const whole = concat(secret, new Uint8Array(0), Uint8Array.of(4));
  wipe(secret, undefined);
  expect(secret).toEqual(new Uint8Array(3));
  expect(whole).toEqual(Uint8Array.of(1, 2, 3, 4));
});
