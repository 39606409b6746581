import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseDuration, parseSize } from "../../src/config/units.ts";
import { PolicyError } from "../../src/errors/index.ts";

describe("a duration", () => {
  test.each([
    ["0", 0],
    ["250ms", 250],
    ["90s", 90_000],
    ["5m", 300_000],
    ["5min", 300_000],
    ["1h", 3_600_000],
    ["1h30m", 5_400_000],
    ["1h 30m 5s", 5_405_000],
    ["1.5h", 5_400_000],
    ["2d", 172_800_000],
    ["1_000s", 1_000_000],
  ])("%s is %i ms", (text, ms) => expect(parseDuration(text)).toBe(ms));

  test.each([
    ["90", 'duration "90" has no unit; write it like 90s or 1h30m'],
    ["1hour", 'unknown unit "hour" in duration "1hour"; units are ms, s, m, min, h, d'],
    ["5mim", 'unknown unit "mim" in duration "5mim"; did you mean "min"?'],
    ["", '"" is not a duration; write it like 90s or 1h30m'],
    ["-5s", '"-5s" is not a duration; write it like 90s or 1h30m'],
    ["soon", '"soon" is not a duration; write it like 90s or 1h30m'],
    ["5constructor", 'unknown unit "constructor" in duration "5constructor"; units are ms, s, m, min, h, d'],
    ["99999999999999999d", '"99999999999999999d" is not a duration; write it like 90s or 1h30m'],
  ])("%s is refused", (text, message) => expect(() => parseDuration(text)).toThrow(new PolicyError(message)));
});

describe("a size", () => {
  test.each([
    ["1400", 1400],
    ["1400B", 1400],
    ["64KiB", 65_536],
    ["10GB", 10_000_000_000],
    ["1.5 kB", 1500],
    ["1GiB 1MiB", 1_074_790_400],
  ])("%s is %i octets", (text, octets) => expect(parseSize(text)).toBe(octets));

  test.each([
    ["10Gb", 'unknown unit "Gb" in size "10Gb"; did you mean "GB"?'],
    [
      "10 bananas",
      'unknown unit "bananas" in size "10 bananas"; units are B, kB, KB, MB, GB, TB, KiB, MiB, GiB, TiB',
    ],
    ["1.0001B", '"1.0001B" is not a size; write it like 10GB or 64KiB'],
    ["big", '"big" is not a size; write it like 10GB or 64KiB'],
  ])("%s is refused", (text, message) => expect(() => parseSize(text)).toThrow(new PolicyError(message)));
});

test("any text is a quantity or a PolicyError, and quickly", () => {
  const text = fc.oneof(
    fc.string(),
    fc.stringMatching(/^[0-9a-zA-Z. ]*$/),
    fc.constant("1".repeat(100_000)),
    fc.constant(`${"1".repeat(39)}!`),
  );
  fc.assert(
    fc.property(text, (quantity) => {
      for (const parse of [parseDuration, parseSize]) {
        try {
          expect(parse(quantity)).toBeGreaterThanOrEqual(0);
        } catch (error) {
          expect(error).toBeInstanceOf(PolicyError);
        }
      }
    }),
    { seed: 3, numRuns: Number(process.env.IKEBANA_FUZZ_RUNS ?? 2000) },
  );
});
