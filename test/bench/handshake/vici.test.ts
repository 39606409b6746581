import { expect, test } from "vitest";
import { encodeCommand, valuesIn } from "../../../src/bench/handshake/vici.ts";

test("a command goes out as its length, its name, and keys and values behind their lengths", () => {
  expect(Buffer.from(encodeCommand("initiate", { child: "lan" })).toString("latin1")).toBe(
    "\0\0\0\x16\0\x08initiate\x03\x05child\0\x03lan",
  );
});

test("of an answer the outermost values are read, what sections and lists hold is passed over", () => {
  const answer = Buffer.from(
    "\x03\x07success\0\x02no" +
      "\x01\x04more\x03\x07success\0\x03yes\x02" +
      "\x04\x04list\x05\0\x01a\x05\0\x01b\x06" +
      "\x03\x06errmsg\0\x04none",
    "latin1",
  );
  expect([...valuesIn(answer)]).toEqual([
    ["success", "no"],
    ["errmsg", "none"],
  ]);
  expect(() => valuesIn(Buffer.of(9))).toThrow("an element of type 9");
});
