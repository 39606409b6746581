import { expect, test } from "vitest";
import { compareRecords } from "../../../src/bench/tunnel/between.ts";
import { claimsOf } from "../../../src/bench/tunnel/claims.ts";
import { findingsOf } from "../../../src/bench/tunnel/findings.ts";
import { changesToMarkdown } from "../../../src/bench/tunnel/table.ts";
import { contender, recordOf, tunnel } from "./records.ts";

const fast = [2000, 2100, 1900, 2050, 1950];
const slow = [900, 960, 870, 930, 880];

test("the headline names who is first, by how much, and over whom; no tunnel does not count", () => {
  const bare = { ...tunnel("bare", []), samples: contender("bare", throughput([9000, 9000, 9000])).samples };
  const record = recordOf([
    { ...bare, facts: { ...bare.facts!, cipher: "none" } },
    tunnel("ikebana-aes256gcm16", throughput(fast)),
    tunnel("openvpn-aes256gcm", throughput(slow)),
  ]);
  const [finding, ...others] = findingsOf(record);
  expect(others).toEqual([]);
  expect(finding).toMatchObject({ figure: "tcpMbps", leaders: [{ name: "ikebana-aes256gcm16" }] });
  expect(finding?.next?.contender.name).toBe("openvpn-aes256gcm");
  expect(finding?.next?.comparison.value).toBeCloseTo(2.2, 1);
});

test("who cannot be told apart from the first shares the place", () => {
  const record = recordOf([
    tunnel("a", throughput([2000, 1900, 2100, 1950, 2080])),
    tunnel("b", throughput([1990, 2000, 2040, 1900, 2100])),
    tunnel("c", throughput(slow)),
  ]);
  const [finding] = findingsOf(record);
  expect(finding?.leaders.map(({ name }) => name).sort()).toEqual(["a", "b"]);
  expect(finding?.next?.contender.name).toBe("c");
});

test("one round proves nothing: all are first", () => {
  const record = recordOf([tunnel("a", throughput([2000])), tunnel("b", throughput([100]))]);
  const [finding] = findingsOf(record);
  expect(finding?.leaders.map(({ name }) => name)).toEqual(["a", "b"]);
  expect(finding?.next).toBeUndefined();
});

test("of times the shortest is first", () => {
  const record = recordOf([
    tunnel(
      "a",
      fast.map((us) => ({ pingIdleP50Us: us })),
    ),
    tunnel(
      "b",
      slow.map((us) => ({ pingIdleP50Us: us })),
    ),
  ]);
  expect(findingsOf(record)[0]).toMatchObject({
    leaders: [{ name: "b" }],
    next: { contender: { name: "a" } },
  });
});

test("each IPsec contender is set against OpenVPN with its cipher", () => {
  const names = [
    "ikebana-aes256gcm16",
    "ikebana-aes256gcm16-nooffload",
    "strongswan-aes256gcm16",
    "kernel-ipsec-aes256gcm16-raw",
    "ikebana-chacha20poly1305",
    "openvpn-aes256gcm",
  ];
  const claims = claimsOf(recordOf(names.map((name) => tunnel(name, throughput(fast)))));
  expect(claims.map(({ ipsec, openvpn }) => [ipsec.name, openvpn.name])).toEqual([
    ["ikebana-aes256gcm16", "openvpn-aes256gcm"],
    ["strongswan-aes256gcm16", "openvpn-aes256gcm"],
    ["kernel-ipsec-aes256gcm16-raw", "openvpn-aes256gcm"],
  ]);
  expect(claims[0]?.comparisons).toMatchObject([{ figure: "tcpMbps", comparison: { isDifferent: false } }]);
});

test("between two runs a known 2x difference is a change, and what could be noise is none", () => {
  const then = recordOf([tunnel("a", throughput(slow)), tunnel("b", throughput(fast))]);
  const now = recordOf([
    tunnel("a", throughput(fast)),
    tunnel("b", throughput([1980, 2130, 1910, 2010, 1920])),
    tunnel("newcomer", throughput(fast)),
  ]);
  const { changes, compared } = compareRecords(then, now);
  expect(compared).toBe(2);
  expect(changes).toMatchObject([{ contender: "a", figure: "tcpMbps", isBetter: true }]);
  expect(compareRecords(now, then).changes).toMatchObject([{ contender: "a", isBetter: false }]);
  const text = changesToMarkdown(now, then);
  expect(text).toContain("of 2 figures that both runs have, 1 changed");
  expect(text).toMatch(/a: TCP, one stream +\| +2\.20 \(.* to .*\) \| better/);
});

function throughput(samples: readonly number[]) {
  return samples.map((tcpMbps) => ({ tcpMbps }));
}
