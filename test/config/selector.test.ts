import { describe, expect, test } from "vitest";
import { parseSelector } from "../../src/config/selector.ts";
import { PolicyError } from "../../src/errors/index.ts";
import { formatTrafficSelector } from "../../src/policy/traffic-selectors.ts";

describe("a traffic selector in the file", () => {
  test.each([
    ["10.1.0.0/16", "10.1.0.0/16"],
    ["0.0.0.0/0", "0.0.0.0/0"],
    ["10.1.0.5", "10.1.0.5/32"],
    ["10.1.0.5-10.1.0.9", "10.1.0.5-10.1.0.9"],
    ["10.0.0.0/8[tcp/443]", "10.0.0.0/8[tcp/443]"],
    ["10.0.0.0/8[udp/5000-5010]", "10.0.0.0/8[udp/5000-5010]"],
    ["FD00:0::/64", "fd00::/64"],
    ["fd00::/64[tcp/22]", "fd00::/64[tcp/22]"],
  ])("%s is read", (text, canonical) => expect(formatTrafficSelector(parseSelector(text))).toBe(canonical));

  test.each([
    ["10.1.2.3/16", '"10.1.2.3/16" has bits behind its prefix; did you mean "10.1.0.0/16"?'],
    ["10.1.2.3/16[tcp/443]", '"10.1.2.3/16" has bits behind its prefix; did you mean "10.1.0.0/16"?'],
    ["fd00::1/64", '"fd00::1/64" has bits behind its prefix; did you mean "fd00::/64"?'],
  ])("%s has bits behind its prefix", (text, message) => {
    expect(() => parseSelector(text)).toThrow(new PolicyError(message));
  });

  test.each([
    "",
    "office",
    "10.1.0.0/33",
    "10.1.0.9-10.1.0.5",
    "10.0.0.0/8[tcpp]",
    "10.0.0.0/8[tcp/0x50]",
    "10.0.0.0/8[",
  ])("%s is refused", (text) => expect(() => parseSelector(text)).toThrow(PolicyError));
});
