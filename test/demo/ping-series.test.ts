import { expect, test } from "vitest";
import { pingSeries, summarizePings } from "../../src/demo/ping-series.ts";
import type { EchoResult } from "../../src/platform/icmp-echo.ts";

const reply = (rttMs: number): EchoResult => ({ kind: "reply", sequence: 1, rttMs });
const lost: EchoResult = { kind: "lost", sequence: 1, reason: "timeout" };

test("the median of an odd and of an even number of round trips", () => {
  expect(summarizePings("10.77.1.1", [reply(3), reply(1), reply(20)])).toEqual({
    family: 4,
    destination: "10.77.1.1",
    sent: 3,
    received: 3,
    lost: 0,
    rttMs: { min: 1, median: 3, max: 20 },
  });
  expect(summarizePings("fd77:1::1", [reply(4), reply(10), reply(2), reply(1)])).toMatchObject({
    family: 6,
    rttMs: { min: 1, median: 3, max: 10 },
  });
});

test("lost pings count, and have no round trip", () => {
  expect(summarizePings("10.77.1.1", [lost, reply(2)])).toMatchObject({ sent: 2, received: 1, lost: 1 });
  expect(summarizePings("10.77.1.1", [lost, lost])).toMatchObject({ lost: 2, rttMs: undefined });
});

test("a slow answer does not hold up the next request", async () => {
  const order: string[] = [];
  const answers: (() => void)[] = [];
  const pinger = {
    ping: () => {
      order.push("sent");
      return new Promise<EchoResult>((resolve) => {
        answers.push(() => resolve(reply(1)));
      });
    },
  };
  const series = pingSeries({
    pinger,
    count: 3,
    intervalMs: 1,
    onSent: (sent) => {
      order.push(`told ${sent}`);
      if (sent === 3) for (const answer of answers) answer();
    },
  });
  expect(await series).toHaveLength(3);
  expect(order).toEqual(["sent", "told 1", "sent", "told 2", "sent", "told 3"]);
});
