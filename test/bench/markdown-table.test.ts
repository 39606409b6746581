import { expect, test } from "vitest";
import { comparisonText, digits } from "../../src/bench/markdown-table.ts";

test.each([
  [0, "0.00"],
  [0.0012345, "0.0012"],
  [0.5, "0.50"],
  [12.34, "12.3"],
  [999.4, "999"],
  [999.6, "1,000"],
  [1234, "1,230"],
  [22_720_000, "22,700,000"],
])("%d has as many digits as can be repeated: %s; less than nothing has a sign before it", (value, text) => {
  expect(digits(value)).toBe(text);
  if (value > 0) expect(digits(-value)).toBe(`-${text}`);
});

test("a difference has a sign, and its interval as many digits", () => {
  const interval = { low: -12_345, high: 1234 };
  const comparison = { scale: "difference", value: -5555, interval, isDifferent: false } as const;
  expect(comparisonText(comparison)).toBe("-5,560 (-12,300 to 1,230)");
  expect(comparisonText({ ...comparison, value: 5555, interval: undefined })).toBe("+5,560");
});
