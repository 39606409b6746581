import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { formatHuman, formatJson } from "../../src/log/format.ts";
import type { LogRecord } from "../../src/log/record.ts";
import { presentable, printable } from "../../src/log/redact.ts";

const zoneBefore = process.env.TZ;
beforeAll(() => {
  process.env.TZ = "UTC";
});
afterAll(() => {
  if (zoneBefore === undefined) delete process.env.TZ;
  else process.env.TZ = zoneBefore;
});

function record(changes: Partial<LogRecord> = {}): LogRecord {
  return {
    time: "2026-01-02T03:04:05.678Z",
    level: "info",
    name: "ike-sa-established",
    connection: "office",
    message: "IKE SA with b.example.org established",
    facts: {},
    ...changes,
  };
}

describe("a line for people", () => {
  test("has time, level, connection and message", () => {
    expect(formatHuman(record(), { colour: false })).toBe(
      "2026-01-02 03:04:05.678 info    office: IKE SA with b.example.org established",
    );
  });

  test("adds the facts that the message does not say", () => {
    const facts = {
      remote: "192.0.2.2",
      identity: "b.example.org",
      rekeyed: true,
      selectors: ["10.1.0.0/16", "fd00::/64"],
    };
    expect(formatHuman(record({ facts }), { colour: false })).toBe(
      "2026-01-02 03:04:05.678 info    office: IKE SA with b.example.org established  remote=192.0.2.2 rekeyed=true selectors=10.1.0.0/16,fd00::/64",
    );
  });

  test("does not take a part of a word for a fact that was said", () => {
    const line = formatHuman(
      record({ message: "sent to 192.0.2.1.", facts: { messageId: 1, remote: "192.0.2.1" } }),
      {
        colour: false,
      },
    );
    expect(line).toMatch(/sent to 192\.0\.2\.1\. {2}messageId=1$/);
  });

  test("leaves to programs what tells one SA from another", () => {
    const facts = {
      initiatorSpi: "7d24a0fc61be9033",
      inboundSpi: "c0010001",
      role: "initiator",
      isBehindNat: false,
    };
    expect(formatHuman(record({ facts }), { colour: false })).toMatch(/established$/);
    expect(JSON.parse(formatJson(record({ facts }))).facts).toEqual(facts);
  });

  test("quotes a fact that has spaces", () => {
    expect(formatHuman(record({ facts: { reason: "no way" } }), { colour: false })).toContain(
      'reason="no way"',
    );
  });

  test("is coloured only when asked", () => {
    expect(formatHuman(record({ level: "error" }), { colour: false })).not.toContain("\x1b");
    expect(formatHuman(record({ level: "error" }), { colour: true })).toContain("\x1b[31merror");
  });

  test("tells the time where the reader is", () => {
    process.env.TZ = "Asia/Kolkata";
    const line = formatHuman(record(), { colour: false });
    process.env.TZ = "UTC";
    expect(line.slice(0, 23)).toBe("2026-01-02 08:34:05.678");
  });

  test("leaves out a connection that there is none of", () => {
    expect(formatHuman(record({ connection: undefined }), { colour: false })).toBe(
      "2026-01-02 03:04:05.678 info    IKE SA with b.example.org established",
    );
  });
});

describe("a JSON line", () => {
  test("is one object with all fields", () => {
    expect(JSON.parse(formatJson(record({ facts: { remote: "192.0.2.2" } })))).toEqual({
      time: "2026-01-02T03:04:05.678Z",
      level: "info",
      name: "ike-sa-established",
      connection: "office",
      message: "IKE SA with b.example.org established",
      facts: { remote: "192.0.2.2" },
    });
  });
});

describe("what must not show", () => {
  const secret = Uint8Array.from({ length: 32 }, (_, index) => 0xa0 + index);
  const traces = [Buffer.from(secret).toString("hex"), Buffer.from(secret).toString("base64"), "160,161,162"];

  test.each([
    ["octets", { key: secret }],
    ["a Buffer", { key: Buffer.from(secret) }],
    ["a DataView", { key: new DataView(secret.buffer) }],
    ["an ArrayBuffer", { key: secret.buffer }],
    ["shared memory", { key: new SharedArrayBuffer(32) }],
    ["octets in a list", { keys: [secret, "x"] }],
    ["octets deep inside", { sa: { keys: { e: secret } } }],
  ])("%s print as their length", (_, facts) => {
    for (const line of [formatJson(record({ facts })), formatHuman(record({ facts }), { colour: false })]) {
      expect(line).toContain("[32 octets]");
      for (const trace of traces) expect(line).not.toContain(trace);
    }
  });

  test.each(["psk", "password", "skEi", "skD", "sharedSecret", "presharedKey", "keymat", "PSK"])(
    "a text under the name %s is hidden",
    (name) => {
      expect(formatJson(record({ facts: { [name]: "swordfish" } }))).not.toContain("swordfish");
      expect(formatJson(record({ facts: { inside: { [name]: "swordfish" } } }))).not.toContain("swordfish");
    },
  );

  test("an ordinary name that begins with sk is not hidden", () => {
    expect(presentable({ skipped: 3 })).toEqual({ skipped: 3 });
  });
});

describe("what a peer can choose", () => {
  test("cannot begin a line of its own or steer the terminal", () => {
    const hostile = "a\n2026 info    ike-sa-established \x1b[2J\u202egro.elpmaxe\u2028\x9b31m";
    const line = formatHuman(
      record({ message: hostile, connection: hostile, facts: { identity: hostile } }),
      { colour: false },
    );
    expect(line).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
    expect(line).toContain("\\u{a}2026");
  });

  test("is cut when it is endless", () => {
    expect(printable("x".repeat(100_000)).length).toBeLessThan(1100);
    expect(
      formatJson(record({ facts: { list: Array.from({ length: 10_000 }, () => "y".repeat(2000)) } })).length,
    ).toBeLessThan(100_000);
  });

  test("whatever the facts hold, both formats give one line", () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.anything({ withTypedArray: true, withBigInt: true })),
        fc.string(),
        (facts, message) => {
          const json = formatJson(record({ facts, message }));
          const human = formatHuman(record({ facts, message }), { colour: false });
          JSON.parse(json);
          expect(json + human).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}]/u);
        },
      ),
      { seed: 11, numRuns: Number(process.env.IKEBANA_FUZZ_RUNS ?? 500) },
    );
  });

  test("a value that contains itself ends", () => {
    const loop: Record<string, unknown> = {};
    loop.self = loop;
    expect(formatJson(record({ facts: { loop } }))).toContain("[...]");
  });
});
