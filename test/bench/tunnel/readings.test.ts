import { expect, test } from "vitest";
import { readEchoes } from "../../../src/bench/tunnel/measures/echoes.ts";
import { readReport } from "../../../src/bench/tunnel/measures/load.ts";
import { busySeconds, stolenSeconds } from "../../../src/bench/tunnel/processor-time.ts";

test("of what iperf3 reports the receiver's side counts", () => {
  const end = {
    sum_sent: { bytes: 2_000_000, bits_per_second: 16e6, seconds: 1 },
    sum_received: { bytes: 1_500_000, bits_per_second: 12e6, seconds: 1 },
  };
  expect(readReport(JSON.stringify({ end }))).toMatchObject({ octets: 1_500_000, bitsPerSecond: 12e6 });
});

test("of UDP it says what was lost", () => {
  const sum = {
    bytes: 6_000_000,
    bits_per_second: 30e6,
    seconds: 1.5,
    packets: 30_000,
    lost_packets: 9000,
    jitter_ms: 0.25,
  };
  expect(readReport(JSON.stringify({ end: { sum } }))).toMatchObject({
    packets: 30_000,
    lostPackets: 9000,
    seconds: 1.5,
    jitterMs: 0.25,
  });
});

test("what iperf3 complains about is told", () => {
  expect(() => readReport('{"error": "unable to connect to server"}')).toThrow("unable to connect to server");
  expect(() => readReport("")).toThrow("no report");
});

test("pings that were answered give their times; duplicates and errors do not", () => {
  const text = [
    "PING 10.78.2.1 (10.78.2.1) from 10.78.1.1 : 56(84) bytes of data.",
    "[1795829400.100000] 64 bytes from 10.78.2.1: icmp_seq=1 ttl=64 time=0.145 ms",
    "[1795829400.120400] 64 bytes from 10.78.2.1: icmp_seq=2 ttl=64 time=12.3 ms",
    "[1795829400.121000] 64 bytes from 10.78.2.1: icmp_seq=2 ttl=64 time=13.0 ms (DUP!)",
    "[1795829400.130000] From 192.0.2.1 icmp_seq=3 Destination Host Unreachable",
    "--- 10.78.2.1 ping statistics ---",
    "3 packets transmitted, 2 received, +1 duplicates, 33.3% packet loss, time 20ms",
  ].join("\n");
  expect(readEchoes(text)).toEqual({ sent: 3, rttsMs: [0.145, 12.3], atMs: [0, 20] });
});

test("busy is programs, kernel and interrupts; idle, waiting for disks and what a hypervisor took is not", () => {
  const text =
    "cpu  100 20 300 5000 700 10 70 9000 40 0\ncpu0 40 10 100 1 1 0 0 1 1 1\ncpu1 60 10 200 1 1 10 70 1 1 1\ncpu10 9 9 9 9 9 9 9 9 9 9\n";
  expect(busySeconds(undefined, text)).toBe(5);
  expect(busySeconds([0], text)).toBe(1.5);
  expect(busySeconds([0, 1], text)).toBe(5);
  expect(stolenSeconds(text)).toBe(90);
  expect(busySeconds()).toBeGreaterThan(0);
});
