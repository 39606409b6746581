import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { processSeconds, secondsIn } from "../../../src/bench/handshake/process-time.ts";
import {
  type HandshakeRecord,
  type HandshakeSample,
  readHandshakeRecord,
  writeHandshakeRecord,
} from "../../../src/bench/handshake/record.ts";
import { toMarkdown } from "../../../src/bench/handshake/table.ts";
import { describeMachine } from "../../../src/bench/machine.ts";

test("medians of the rounds stand with the lowest and the highest, and one that never ran is a row with its reason", () => {
  const text = toMarkdown(
    record({
      ikebana: [
        sample({ round: 1, perSecond: 900 }),
        sample({ round: 2, perSecond: 1100 }),
        sample({ round: 3 }),
      ],
      strongswan: "charon-systemd not found: apt-get install charon-systemd",
    }),
  );
  expect(text).toMatch(/\| X25519, Ikebana 0 +\| +1,000 \(900 to 1,100\) \|/);
  expect(text).toMatch(/\| X25519, strongSwan +\| +– \|/);
  expect(text).toContain("- strongSwan: charon-systemd not found: apt-get install charon-systemd");
});

test("goals are judged by the median, and the one about strongSwan only where it ran", () => {
  const ours = [sample({ round: 1, responderMs: 0.7 })];
  const beside = toMarkdown(record({ ikebana: ours, strongswan: [sample({ round: 1, responderMs: 0.6 })] }));
  expect(beside).toMatch(/at most 1 ms +\| +0.70 ms +\| +yes \|/);
  expect(beside).toMatch(/at most strongSwan's 0.60 ms +\| +0.70 ms +\| +no \|/);
  expect(toMarkdown(record({ ikebana: ours, strongswan: "not found" }))).not.toContain("strongSwan's");
});

test("who called is told where it is not us, and goals are about our calls alone", () => {
  const calledByUs = record({ ikebana: [sample({ round: 1, responderMs: 0.7 })], strongswan: "not found" });
  const caller = { name: "strongswan", title: "strongSwan 5" };
  const [ours] = calledByUs.responders;
  const theirs = { ...ours!, initiator: caller, samples: [sample({ round: 1, responderMs: 3 })] };
  const text = toMarkdown({ ...calledByUs, responders: [theirs, ours!] });
  expect(text).toMatch(/\| X25519, Ikebana 0, called by strongSwan 5 \| +1,000 \| +3.00 \|/);
  expect(text).toMatch(/\| X25519, Ikebana 0 +\| +1,000 \| +0.70 \|/);
  expect(text).toMatch(/at most 1 ms +\| +0.70 ms +\| +yes \|/);
});

test("a record is read as it was written, and another one refused", () => {
  const directory = mkdtempSync(join(tmpdir(), "handshake-record-"));
  try {
    const file = join(directory, "record.json");
    const written = record({ ikebana: [sample({ round: 1 })], strongswan: "not found" });
    writeHandshakeRecord(file, written);
    expect(readHandshakeRecord(file)).toEqual(written);
    writeFileSync(file, JSON.stringify({ bench: "tunnel" }));
    expect(() => readHandshakeRecord(file)).toThrow(TypeError);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("the processor time of a process is read whatever its name is, and grows with what it does", () => {
  expect(secondsIn("7 (a) b (c 1) S 1 7 7 0 -1 4194560 1 2 3 4 150 25 9 9 20 0 1 0 5")).toBe(1.75);
  const before = processSeconds(process.pid);
  let x = 0;
  while (processSeconds(process.pid) <= before) x += Math.sqrt(x + 1);
  expect(x).toBeGreaterThan(0);
});

function sample(figures: Partial<HandshakeSample> & { readonly round: number }): HandshakeSample {
  return {
    group: "x25519",
    aloneCount: 100,
    count: 1000,
    perSecond: 1000,
    responderMs: 0.5,
    initiatorMs: 0.6,
    p50Ms: 1.5,
    p99Ms: 4,
    aloneResponderMs: 0.7,
    datagrams: 4,
    ...figures,
  };
}

function record(results: {
  readonly ikebana: readonly HandshakeSample[];
  readonly strongswan: readonly HandshakeSample[] | string;
}): HandshakeRecord {
  const { ikebana, strongswan } = results;
  return {
    bench: "handshake",
    date: "2026-01-02T03:04:05.000Z",
    command: "ikebana bench handshake",
    machine: describeMachine(),
    settings: { rounds: 3, seconds: 3, peers: 16, connected: 0, groups: ["x25519"] },
    isComplete: true,
    responders: [
      { name: "ikebana", title: "Ikebana", version: "Ikebana 0", samples: ikebana },
      {
        name: "strongswan",
        title: "strongSwan",
        ...(typeof strongswan === "string"
          ? { problem: strongswan, samples: [] }
          : { version: "strongSwan 5", samples: strongswan }),
      },
    ],
  };
}
