import { describe, expect, test } from "vitest";
import { parseSelector } from "../../src/config/selector.ts";
import { PolicyError } from "../../src/errors/index.ts";

describe("a traffic selector", () => {
  test.each([
    ["10.1.0.0/16", [7, 0, 0, 65_535, "0a010000", "0a01ffff"]],
    ["0.0.0.0/0", [7, 0, 0, 65_535, "00000000", "ffffffff"]],
    ["10.1.0.5", [7, 0, 0, 65_535, "0a010005", "0a010005"]],
    ["10.1.0.5-10.1.0.9", [7, 0, 0, 65_535, "0a010005", "0a010009"]],
    [" 10.1.0.5 - 10.1.0.9 ", [7, 0, 0, 65_535, "0a010005", "0a010009"]],
    ["10.0.0.0/8[tcp/443]", [7, 6, 443, 443, "0a000000", "0affffff"]],
    ["10.0.0.0/8[udp/5000-5010]", [7, 17, 5000, 5010, "0a000000", "0affffff"]],
    ["10.0.0.0/8[TCP]", [7, 6, 0, 65_535, "0a000000", "0affffff"]],
    ["10.0.0.1[icmp]", [7, 1, 0, 65_535, "0a000001", "0a000001"]],
    ["10.0.0.1[47]", [7, 47, 0, 65_535, "0a000001", "0a000001"]],
    ["10.0.0.1[17/53]", [7, 17, 53, 53, "0a000001", "0a000001"]],
    ["fd00::/64", [8, 0, 0, 65_535, "fd000000000000000000000000000000", "fd00000000000000ffffffffffffffff"]],
    [
      "fd00::1-fd00::2[tcp/22]",
      [8, 6, 22, 22, "fd000000000000000000000000000001", "fd000000000000000000000000000002"],
    ],
  ])("%s is read", (text, expected) => {
    const { type, protocol, startPort, endPort, startAddress, endAddress } = parseSelector(text);
    const hex = [startAddress, endAddress].map((octets) => Buffer.from(octets).toString("hex"));
    expect([type, protocol, startPort, endPort, ...hex]).toEqual(expected);
  });

  test.each([
    ["", '"" is not a range of addresses; write it like 10.1.0.0/16 or fd00::/64'],
    ["10.1.0.0/33", '"10.1.0.0/33" is not a range of addresses; write it like 10.1.0.0/16 or fd00::/64'],
    ["10.1.2.3/16", '"10.1.2.3/16" has bits behind its prefix; did you mean "10.1.0.0/16"?'],
    ["fd00::1/64", '"fd00::1/64" has bits behind its prefix; did you mean "fd00::/64"?'],
    ["office", '"office" is not a range of addresses; write it like 10.1.0.0/16 or fd00::/64'],
    ["10.1.0.9-10.1.0.5", '"10.1.0.9-10.1.0.5" ends before it begins'],
    ["10.1.0.5-fd00::1", '"10.1.0.5-fd00::1" is not a range of addresses; write it like 10.1.0.5-10.1.0.9'],
    ["10.0.0.0/8[tcpp/443]", 'unknown protocol "tcpp" in "10.0.0.0/8[tcpp/443]"; did you mean "tcp"?'],
    [
      "10.0.0.0/8[256]",
      'unknown protocol "256" in "10.0.0.0/8[256]"; known are icmp, tcp, udp, gre, icmpv6, sctp, udplite and numbers',
    ],
    ["10.0.0.0/8[icmp/8]", 'protocol icmp in "10.0.0.0/8[icmp/8]" has no ports'],
    ["10.0.0.0/8[tcp/0x50]", '"0x50" in "10.0.0.0/8[tcp/0x50]" is not a port or a range of ports'],
    ["10.0.0.0/8[tcp/65536]", '"65536" in "10.0.0.0/8[tcp/65536]" is not a port or a range of ports'],
    ["10.0.0.0/8[tcp/9-5]", '"9-5" in "10.0.0.0/8[tcp/9-5]" is not a port or a range of ports'],
    ["10.0.0.0/8[tcp/5-]", '"5-" in "10.0.0.0/8[tcp/5-]" is not a port or a range of ports'],
    ["10.0.0.0/8[tcp/5-6-7]", '"5-6-7" in "10.0.0.0/8[tcp/5-6-7]" is not a port or a range of ports'],
    ["10.0.0.0/8[]", '"[]" in "10.0.0.0/8[]" is not a protocol; write it like [tcp/443]'],
    [
      "10.0.0.0/8[tcp",
      '"10.0.0.0/8[tcp" is not a range of addresses; write it like 10.1.0.0/16 or fd00::/64',
    ],
  ])("%s is refused", (text, message) => expect(() => parseSelector(text)).toThrow(new PolicyError(message)));
});
