import { expect, test } from "vitest";
import { chosenOf } from "../../../src/bench/tunnel/chosen.ts";
import { type Goal, judge, wordsFor } from "../../../src/bench/tunnel/goals.ts";
import { toHeadline, toMarkdown } from "../../../src/bench/tunnel/table.ts";
import { contender, recordOf } from "./records.ts";

test("a table shows medians with their spread, and who did not run and why", () => {
  const text = toMarkdown(
    recordOf([
      contender("ikebana-aes256gcm16", [{ tcpMbps: 2000 }, { tcpMbps: 1500 }, { tcpMbps: 1800 }]),
      contender("openvpn-aes256gcm", [{ tcpMbps: 600 }, { tcpMbps: 640 }, { tcpMbps: 610 }]),
      {
        name: "strongswan-aes256gcm16",
        title: "strongSwan",
        problem: "charon-systemd not found",
        samples: [],
      },
    ]),
  );
  expect(text).toContain("1,800 (1,500 to 2,000)");
  expect(text).toContain("610 (600 to 640)");
  expect(text).toContain("- strongSwan: charon-systemd not found");
});

test("a table of a measure is of those who have it; what a README shows is a choice, the whole is not", () => {
  const record = recordOf([
    contender("bare", [{ tcpMbps: 9000 }]),
    contender("ikebana-aes256gcm16", [{ tcpMbps: 2000, voiceIdleJitterUs: 20 }]),
    contender("ikebana-aes256gcm16-nooffload", [{ tcpMbps: 900 }]),
    contender("ikebana-aes256gcm16-2workers", [{ tcpMbps: 1900 }]),
    contender("ikebana-aes256gcm16-10000idle", [{ tcpMbps: 1950 }]),
    contender("strongswan-aes256gcm16", [{ tcpMbps: 600 }]),
    contender("strongswan-aes128gcm16", [{ tcpMbps: 610 }]),
    { name: "kernel-wireguard", title: "kernel WireGuard", problem: "no", samples: [] },
  ]);
  const [throughput, call] = toMarkdown(record)
    .split("\n\n")
    .filter((part) => part.startsWith("| "));
  expect(rowsOf(throughput!)).toEqual(record.contenders.slice(0, 7).map(({ title }) => title));
  expect(rowsOf(call!)).toEqual(["ikebana-aes256gcm16"]);
  expect(rowsOf(toHeadline(chosenOf(record)))).toEqual([
    "bare",
    "ikebana-aes256gcm16",
    "ikebana-aes256gcm16-10000idle",
    "strongswan-aes256gcm16",
  ]);
});

test("a goal is judged by the ratio of the medians; its spread is that of rounds", () => {
  const record = recordOf([
    contender("ikebana-aes256gcm16", [{ tcpMbps: 2000 }, { tcpMbps: 1500 }, { tcpMbps: 1800 }]),
    contender("openvpn-aes256gcm", [{ tcpMbps: 600 }, { tcpMbps: 600 }, { tcpMbps: 600 }]),
  ]);
  const [verdict] = judge(record, [goal({ bound: "at least", ratio: 2.9 })]);
  expect(verdict).toMatchObject({ isMet: true, measured: { ratio: 3, min: 2.5 } });
  expect(verdict?.measured?.max).toBeCloseTo(3.33, 2);
  // One round of three is below.
  expect(wordsFor(verdict!)).toBe("yes, not in each round");
  const [clear, missed] = [goal({ ratio: 2.5 }), goal({ ratio: 3.2 })].map(
    (each) => judge(record, [each])[0]!,
  );
  expect([clear!, missed!].map(wordsFor)).toEqual(["yes", "no, in some rounds"]);
  expect(wordsFor(judge(record, [goal({ ratio: 4 })])[0]!)).toBe("no");
  expect(judge(record, [goal({ bound: "at least", ratio: 3.1 })])[0]?.isMet).toBe(false);
  expect(judge(record, [goal({ bound: "at most", ratio: 3.1 })])[0]?.isMet).toBe(true);
});

test("a round that only one of the two ran has no ratio", () => {
  const ours = contender("ikebana-aes256gcm16", [{ tcpMbps: 100 }, { tcpMbps: 1000 }]);
  const theirs = { ...contender("openvpn-aes256gcm", [{ tcpMbps: 500 }]) };
  const second = { ...theirs, samples: [{ round: 2, figures: { tcpMbps: 500 } }] };
  expect(judge(recordOf([ours, second]), [goal({})])[0]?.measured).toEqual({ ratio: 1.1, min: 1.1, max: 2 });
});

test("a goal whose contenders were not chosen is not mentioned; one that failed leaves it open", () => {
  const ours = contender("ikebana-aes256gcm16", [{ tcpMbps: 100 }]);
  expect(judge(recordOf([ours]), [goal({})])).toEqual([]);
  const failed = { name: "openvpn-aes256gcm", title: "OpenVPN", problem: "not found", samples: [] };
  expect(judge(recordOf([ours, failed]), [goal({})])).toEqual([{ goal: goal({}) }]);
  expect(toMarkdown(recordOf([ours, failed]))).toContain("not measured");
});

test("a goal for a measure that was not chosen is not mentioned", () => {
  const record = recordOf([contender("ikebana-aes256gcm16", []), contender("openvpn-aes256gcm", [])]);
  expect(judge(record, [goal({ figure: "pingIdleP50Us" })])).toEqual([]);
});

test("a run that was broken off says so", () => {
  expect(toMarkdown({ ...recordOf([]), isComplete: false })).toContain("Broken off");
  expect(toMarkdown(recordOf([]))).not.toContain("Broken off");
});

function goal(changes: Partial<Goal>): Goal {
  return {
    figure: "tcpMbps",
    ours: "ikebana-aes256gcm16",
    theirs: "openvpn-aes256gcm",
    bound: "at least",
    ratio: 2.5,
    ...changes,
  };
}

/** First cells of a Markdown table, without its head. */
function rowsOf(text: string): readonly string[] {
  return text
    .split("\n")
    .slice(2)
    .map((line) => line.split("|")[1]!.trim());
}
