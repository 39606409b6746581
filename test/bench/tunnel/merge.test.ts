import { expect, test } from "vitest";
import { judge } from "../../../src/bench/tunnel/goals.ts";
import { mergeRecords } from "../../../src/bench/tunnel/merge.ts";
import { describeRounds, summaryOf } from "../../../src/bench/tunnel/record.ts";
import { toHeadline } from "../../../src/bench/tunnel/table.ts";
import { contender, recordOf } from "./records.ts";
import { wholeRecord } from "./whole-record.ts";

const AES = "ikebana-aes256gcm16";
const OPENVPN = "openvpn-aes256gcm";

const tcp = recordOf([
  contender(AES, [{ tcpMbps: 2000 }, { tcpMbps: 1800 }]),
  contender(OPENVPN, [{ tcpMbps: 500 }, { tcpMbps: 600 }]),
]);
const ping = {
  ...recordOf([contender("bare", [{ pingIdleP50Us: 10 }]), contender(AES, [{ pingIdleP50Us: 90 }])]),
  settings: { ...tcp.settings, measures: ["ping"] as const },
};

test("runs in pieces become one, with the contenders and measures of all", () => {
  const merged = mergeRecords([tcp, ping]);
  expect(merged.contenders.map(({ name }) => name)).toEqual([AES, OPENVPN, "bare"]);
  expect(merged.settings.measures).toEqual(["tcp", "ping"]);
  const ours = merged.contenders[0];
  expect(summaryOf(ours, "tcpMbps")).toMatchObject({ n: 2, median: 1900 });
  expect(summaryOf(ours, "pingIdleP50Us")).toMatchObject({ n: 1, median: 90 });
  expect(judge(merged)[0]?.measured).toMatchObject({ min: 3, max: 4 });
  expect(toHeadline(merged)).toMatch(/\| bare +\| +– \| +10.0 \|/);
});

test("runs in pieces keep every round trip and what others did, and say what each piece was", () => {
  const whole = wholeRecord();
  const settings = { ...tcp.settings, rounds: 2, seconds: 1 };
  const merged = mergeRecords([whole, { ...tcp, settings }]);
  const [ours, before] = [merged, whole].map(({ contenders }) => contenders.find(({ name }) => name === AES));
  expect(ours!.samples.slice(0, 5)).toEqual(before!.samples);
  expect(ours!.samples[0]).toHaveProperty("series");
  expect(ours!.samples.slice(5).map(({ round }) => round)).toEqual([6, 7]);
  expect(describeRounds(merged)).toMatch(/^5 rounds, .*voice.*; then 2 rounds, transfers of 1 s \(tcp\)$/);
  // Put together once more, rounds of a third piece come behind those of both.
  const again = mergeRecords([merged, { ...tcp, settings }]);
  expect(again.pieces).toHaveLength(3);
  expect(again.contenders.find(({ name }) => name === AES)!.samples.map(({ round }) => round)).toEqual([
    1, 2, 3, 4, 5, 6, 7, 8, 9,
  ]);
  // One alone is what it was.
  expect(mergeRecords([whole])).toEqual(whole);
});

test("a round of one run is never set against one of another", () => {
  const later = recordOf([contender(OPENVPN, [{ tcpMbps: 50 }, { tcpMbps: 60 }])]);
  const ours = recordOf([contender(AES, [{ tcpMbps: 2000 }, { tcpMbps: 1800 }])]);
  const measured = judge(mergeRecords([ours, later])).find(({ goal }) => goal.theirs === OPENVPN)?.measured;
  expect(measured?.min).toBe(measured?.ratio);
  expect(measured?.max).toBe(measured?.ratio);
});

test("a piece that was broken off leaves the whole incomplete; other machines stay apart", () => {
  expect(mergeRecords([tcp, { ...ping, isComplete: false }]).isComplete).toBe(false);
  const elsewhere = { ...ping, machine: { ...ping.machine, cpu: "another cpu" } };
  expect(() => mergeRecords([tcp, elsewhere])).toThrow("different machines");
  expect(() => mergeRecords([])).toThrow(RangeError);
});
