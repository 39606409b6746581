import { describe, expect, test } from "vitest";
import { Logger } from "../../src/log/logger.ts";
import { RateLimit } from "../../src/log/rate-limit.ts";
import type { LogEvent, LogLevel, LogRecord } from "../../src/log/record.ts";

function bed(level: LogLevel = "info") {
  const clock = { now: 0, monotonicMs: () => clock.now, wallMs: () => 1_700_000_000_000 + clock.now };
  const logger = new Logger({ level, clock });
  const lines: LogRecord[] = [];
  logger.subscribe((record) => lines.push(record));
  return { clock, logger, lines };
}

function event(changes: Partial<LogEvent> = {}): LogEvent {
  return {
    name: "datagram-dropped",
    level: "info",
    connection: undefined,
    message: "dropped",
    facts: {},
    ...changes,
  };
}

test("events below the level do not pass", () => {
  const { logger, lines } = bed("warning");
  for (const level of ["debug", "info", "warning", "error"] as const) logger.log(event({ level }));
  expect(lines.map(({ level }) => level)).toEqual(["warning", "error"]);
  logger.setLevel("debug");
  logger.log(event({ level: "debug" }));
  expect(lines).toHaveLength(3);
});

test("the ring keeps the last 1000 records, oldest first", () => {
  const { clock, logger } = bed();
  for (let index = 0; index < 2500; index += 1) {
    clock.now += 1000;
    logger.log(event({ message: `number ${index}` }));
  }
  const kept = logger.recent().map(({ message }) => message);
  expect(kept).toHaveLength(1000);
  expect(kept[0]).toBe("number 1500");
  expect(kept[999]).toBe("number 2499");
});

test("the ring holds nothing that a log line may not show", () => {
  const { logger } = bed();
  logger.log(event({ facts: { key: new Uint8Array([1, 2, 3]) } }));
  expect(logger.recent()[0]?.facts).toEqual({ key: "[3 octets]" });
});

test("a listener that has left hears nothing more", () => {
  const { logger } = bed();
  const heard: string[] = [];
  const leave = logger.subscribe(({ message }) => heard.push(message));
  logger.log(event({ message: "one" }));
  leave();
  logger.log(event({ message: "two" }));
  expect(heard).toEqual(["one"]);
});

describe("a flood", () => {
  test("from one source, whatever its port, becomes a burst and then one line a second", () => {
    const { clock, logger, lines } = bed();
    for (let packet = 0; packet < 10_000; packet += 1) {
      clock.now = packet;
      logger.log(event({ facts: { remote: `198.51.100.7:${packet}` } }));
      logger.log(event({ name: "refused", facts: { remote: `[2001:db8::7]:${packet}` } }));
    }
    expect(lines.length).toBeGreaterThanOrEqual(20);
    expect(lines.length).toBeLessThanOrEqual(40);
  });

  test("from forged sources is held by what its name is allowed over all", () => {
    const { clock, logger, lines } = bed();
    for (let packet = 0; packet < 50_000; packet += 1) {
      clock.now = packet / 5;
      logger.log(event({ facts: { remote: `10.${packet >> 16}.${(packet >> 8) & 255}.${packet & 255}` } }));
    }
    expect(lines.length).toBeLessThanOrEqual(200);
  });

  test("of strangers is a burst and then one line a second, and takes nothing from those who are known", () => {
    const { clock, logger, lines } = bed();
    for (let login = 0; login < 10_000; login += 1) {
      clock.now = 6 * login;
      const facts = { remote: `198.18.${login >> 8}.${login & 255}:500` };
      logger.log(event({ name: "ike-sa-failed", level: "error", isUnverified: true, facts }));
    }
    expect(lines.length).toBeGreaterThanOrEqual(20 + 59);
    expect(lines.length).toBeLessThanOrEqual(20 + 60);
    logger.log(event({ name: "ike-sa-failed", message: "of ours", facts: { remote: "203.0.113.9:500" } }));
    expect(lines.at(-1)!.message).toBe("of ours");
    logger.flush();
    expect(lines.at(-1)!.facts).toEqual({ event: "ike-sa-failed", count: 10_000 - (lines.length - 2) });
  });

  test("does not silence another source or another event", () => {
    const { logger, lines } = bed();
    for (let packet = 0; packet < 1000; packet += 1) logger.log(event({ facts: { remote: "198.51.100.7" } }));
    logger.log(event({ message: "other source", facts: { remote: "203.0.113.9" } }));
    logger.log(
      event({ name: "ike-sa-established", message: "other event", facts: { remote: "198.51.100.7" } }),
    );
    expect(lines.slice(-2).map(({ message }) => message)).toEqual(["other source", "other event"]);
  });

  test("is told as a number, once", () => {
    const { logger, lines } = bed();
    for (let packet = 0; packet < 500; packet += 1) logger.log(event({ facts: { remote: "198.51.100.7" } }));
    logger.flush();
    logger.flush();
    expect(lines).toHaveLength(11);
    expect(lines[10]).toMatchObject({
      name: "lines-left-out",
      facts: { event: "datagram-dropped", count: 490 },
    });
  });

  test("of sources does not grow the memory of them", () => {
    const limit = new RateLimit({
      sourceBurst: 1,
      sourcePerSecond: 0,
      nameBurst: 1e9,
      namePerSecond: 0,
      strangerBurst: 1e9,
      strangerPerSecond: 0,
      sourceCount: 4,
    });
    const admits = (source: string) => limit.admits({ name: "x", source }, 0);
    expect(admits("a")).toBe(true);
    expect(admits("a")).toBe(false);
    for (const source of ["b", "c", "d", "e"]) admits(source);
    expect(admits("a")).toBe(true); // Forgotten: the oldest goes first.
    expect(admits("e")).toBe(false);
  });
});

test("what we announce ourselves is not limited, only levelled", () => {
  const { logger, lines } = bed();
  for (let index = 0; index < 50; index += 1) logger.announce(event({ name: "configuration-warning" }));
  logger.announce(event({ level: "debug" }));
  expect(lines).toHaveLength(50);
});

test("a clock that jumps back neither opens nor closes the tap", () => {
  const limit = new RateLimit();
  for (let line = 0; line < 10; line += 1) expect(limit.admits({ name: "x", source: "a" }, 1000)).toBe(true);
  expect(limit.admits({ name: "x", source: "a" }, 0)).toBe(false);
  expect(limit.admits({ name: "x", source: "a" }, 1000)).toBe(true);
});
