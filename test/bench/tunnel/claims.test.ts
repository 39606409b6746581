import { expect, test } from "vitest";
import { comparePairs } from "../../../src/bench/comparison.ts";
import { answerOf, CORE_CLAIM_FIGURES } from "../../../src/bench/tunnel/claims.ts";
import { claimsToMarkdown } from "../../../src/bench/tunnel/claims-table.ts";
import type { Sample } from "../../../src/bench/tunnel/figures.ts";
import { toHtml } from "../../../src/bench/tunnel/report/page.ts";
import { toMarkdown } from "../../../src/bench/tunnel/table.ts";
import { recordOf, tunnel } from "./records.ts";

const NOISE = [1, 1.03, 0.98, 1.02, 0.99];
const OPENVPN = NOISE.map((each): Sample => ({ pingLoadedP50Us: 2000 * each, throttledTcpMbps: 200 / each }));

const record = recordOf([
  tunnel(
    "ikebana-aes256gcm16",
    [...NOISE].reverse().map((each) => ({ pingLoadedP50Us: 300 * each, throttledTcpMbps: 1000 * each })),
  ),
  tunnel(
    "strongswan-aes256gcm16",
    NOISE.map((_, round) => ({ pingLoadedP50Us: round % 2 === 0 ? 1500 : 2700, throttledTcpMbps: 100 })),
  ),
  tunnel("openvpn-aes256gcm", OPENVPN),
]);

test.each([
  [[0.3, 0.31, 0.29, 0.3], "half or less"],
  [[0.4, 0.6, 0.45, 0.5], "less, about half"],
  [[0.8, 0.82, 0.79, 0.8], "less, not half"],
  [[1.3, 1.31, 1.29, 1.3], "more"],
  [[0.8, 1.2, 0.9, 1.1], "within the noise"],
  [[0.3], "one round"],
])("latencies of %j times OpenVPN's: %s", (ratios, answer) => {
  const comparison = comparePairs(ratios.map((ratio) => [ratio * 100, 100]));
  expect(answerOf("pingIdleP50Us", comparison)).toBe(answer);
});

test("of throughput there is more or less, half is no claim", () => {
  const of = (...ratios: readonly number[]) =>
    answerOf("throttledTcpMbps", comparePairs(ratios.map((ratio) => [ratio * 100, 100])));
  expect(of(3, 3.1, 2.9)).toBe("more");
  expect(of(0.3, 0.31, 0.29)).toBe("less");
});

test("beside a round of nothing there is a difference, and any that is above zero is more", () => {
  const more = comparePairs([
    [0.5, 0],
    [0.6, 0.1],
    [0.56, 0.05],
  ]);
  const less = comparePairs([
    [0, 0.5],
    [0.1, 0.6],
    [0.05, 0.56],
  ]);
  expect(more.scale).toBe("difference");
  expect(answerOf("throttledTcpMbps", more)).toBe("more");
  expect(answerOf("throttledTcpMbps", less)).toBe("less");
  expect(answerOf("pingIdleP50Us", more)).toBe("more");
  expect(answerOf("pingIdleP50Us", less)).toBe("less");
});

test("the claims have a row for each pair, also in the report, and only figures that somebody has", () => {
  const lines = claimsToMarkdown([record], CORE_CLAIM_FIGURES).split("\n");
  expect(lines).toHaveLength(4);
  expect(lines[0]).toMatch(/\| +ping during TCP, p50 \| +throttled: TCP, one stream \|$/);
  expect(lines[2]).toMatch(
    /^\| ikebana-aes256gcm16 \/ openvpn-aes256gcm +\| +0\.15 \(.*\): half or less +\| +5\.\d+ \(.*\): more \|$/,
  );
  expect(lines[3]).toMatch(/within the noise +\| +0\.5\d? \(.*\): less \|$/);
  expect(toMarkdown(record)).toContain(claimsToMarkdown([record]));
  expect(toHtml(record)).toMatch(
    /<b>0\.15<\/b><br><small>[^<]*<\/small><br><small class="better">half or less<\/small>/,
  );
});

test("rows of a guest say so; without OpenVPN nothing is claimed", () => {
  const guest = { kernel: "a user-mode Linux", host: record.machine, distorts: "everything" };
  const text = claimsToMarkdown([record, { ...record, guest }]);
  expect(text.match(/\(in a user-mode Linux\)/g)).toHaveLength(2);
  expect(claimsToMarkdown([{ ...record, contenders: record.contenders.slice(0, 2) }])).toBe("");
});
