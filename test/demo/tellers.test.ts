import { describe, expect, test } from "vitest";
import { JsonTeller } from "../../src/demo/json-teller.ts";
import type { DemoReport, News, Teller } from "../../src/demo/story.ts";
import { styleOf } from "../../src/demo/style.ts";
import { TerminalTeller } from "../../src/demo/terminal-teller.ts";
import { GOOD_FACTS } from "./good-facts.ts";

const TERMINAL = { isTTY: true };
const FILE = {};
const UTF8 = { LANG: "C.UTF-8" };

const REPORT: DemoReport = {
  version: "1.2.3",
  node: "20.19.0",
  mode: "root",
  modeReason: "asked for",
  isGood: true,
  problems: [],
  ms: 8123,
  ...GOOD_FACTS,
};

const PROGRESS: News = { kind: "progress", what: "transfer", share: 0.5, octets: 123_456_789, ms: 2000 };

describe("on a terminal", () => {
  test("the progress bar is drawn in colour and wiped before the result takes its place", () => {
    const text = toldOn(TERMINAL, UTF8);
    expect(text).toContain("\u2588".repeat(15));
    expect(text).toContain("494 Mbit/s");
    expect(text).toContain("\r\x1b[K   received");
    expect(text).toContain("\x1b[32m");
  });

  test("NO_COLOR takes the colours and leaves the bar", () => {
    const text = toldOn(TERMINAL, { ...UTF8, NO_COLOR: "1" });
    expect(text).toContain("\u2588".repeat(15) + "\u2591".repeat(15));
    expect(text).not.toContain("\x1b[3");
  });

  test("a locale without UTF-8 gets ASCII", () => {
    expect(toldOn(TERMINAL, { LANG: "C" })).toContain("#".repeat(15));
  });

  test("a dumb one gets plain lines", () => {
    expect(toldOn(TERMINAL, { ...UTF8, TERM: "dumb" })).toBe(toldOn(FILE, UTF8));
  });
});

describe("in a file", () => {
  test("there are neither colours nor progress, and no line is longer than 80", () => {
    const text = toldOn(FILE, UTF8);
    expect(text).toMatch(/^[\n\x20-\x7e]+$/);
    expect(text.split("\n").filter((line) => line.length > 80)).toEqual([]);
  });

  test("every fact has its place", () => {
    const text = toldOn(FILE, UTF8);
    for (const fact of [
      "aes256gcm16-prfsha256-x25519",
      "0123456789abcdef",
      "0a0a0a0a",
      "10.77.1.0/24, fd77:1::/64",
      "20 of 20 answered",
      "min 0.20 ms, median 0.30 ms, max 100 ms",
      "634 Mbit/s",
      "SHA-256 abababab",
      "Everything as it should be, in 8.1 s",
    ]) {
      expect(text).toContain(fact);
    }
  });

  test("problems are named at the end, in lines that fit", () => {
    const text = toldOn(FILE, UTF8, {
      ...REPORT,
      isGood: false,
      problems: ["1 of 20 pings over IPv4 were lost", "a rather long story ".repeat(12).trim()],
    });
    expect(text).toContain("Not as it should be (8.1 s):\n  - 1 of 20 pings over IPv4 were lost\n");
    expect(text.split("\n").filter((line) => line.length > 80)).toEqual([]);
  });
});

describe("as JSON", () => {
  test("one object comes at the end, and nothing before it", () => {
    let out = "";
    let error = "";
    const teller = new JsonTeller({
      write: (text) => {
        out += text;
      },
      writeError: (text) => {
        error += text;
      },
      errorStyle: styleOf(FILE, UTF8),
    });
    tell(teller, REPORT);
    expect(JSON.parse(out)).toEqual(REPORT);
    expect(error).toBe("");
  });

  test("progress goes to an error output that somebody looks at", () => {
    let error = "";
    const teller = new JsonTeller({
      write: () => {},
      writeError: (text) => {
        error += text;
      },
      errorStyle: styleOf(TERMINAL, UTF8),
    });
    tell(teller, REPORT);
    expect(error).toContain("50 %");
    expect(error.endsWith("\r\x1b[K")).toBe(true);
  });
});

function toldOn(
  stream: { readonly isTTY?: boolean },
  environment: Readonly<Record<string, string>>,
  report: DemoReport = REPORT,
): string {
  let text = "";
  const write = (part: string): void => {
    text += part;
  };
  tell(new TerminalTeller({ write, style: styleOf(stream, environment), version: "1.2.3" }), report);
  return text;
}

function tell(teller: Teller, report: DemoReport): void {
  const { scene, negotiation, pings, ...rest } = GOOD_FACTS;
  teller.hear({ kind: "mode", mode: report.mode, reason: report.modeReason });
  teller.hear({ kind: "facts", facts: { scene, negotiation, pings } });
  teller.hear(PROGRESS);
  teller.hear({ kind: "facts", facts: rest });
  teller.finish(report);
}
