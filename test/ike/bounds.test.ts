import { describe, expect, test } from "vitest";
import { DEFAULT_LIMITS } from "../../src/ike/limits.ts";
import { type Fragment, Reassembly } from "../../src/ike/reassembly.ts";
import { Timers } from "../../src/ike/timers.ts";
import { TokenBucket } from "../../src/ike/token-bucket.ts";
import { expectEstablished } from "../support/simulator/expectations.ts";
import { pair, SeededRandom } from "../support/simulator/index.ts";

describe("timers", () => {
  test("fire in the order of their times, whatever was set and cancelled between", () => {
    const random = new SeededRandom(1);
    const timers = new Timers();
    const fired: number[] = [];
    const expected: number[] = [];
    for (let i = 0; i < 2_000; i++) {
      const at = random.below(1_000);
      const handle = timers.set({ at, reason: "linger", fire: () => fired.push(at) });
      if (random.below(3) === 0) {
        timers.cancel(handle);
        timers.cancel(handle);
      } else {
        expected.push(at);
      }
    }
    expected.sort((a, b) => a - b);
    expect(timers.nearest!.at).toBe(expected[0]);
    timers.fireDue(499);
    expect(fired).toEqual(expected.filter((at) => at <= 499));
    timers.fireDue(1_000);
    expect(fired).toEqual(expected);
    expect(timers.nearest).toBeUndefined();
  });

  test("that are set while others fire wait for the next time, even when they are due", () => {
    const timers = new Timers();
    let count = 0;
    const fire = (): void => {
      count++;
      timers.set({ at: 0, reason: "linger", fire });
    };
    timers.set({ at: 0, reason: "linger", fire });
    timers.fireDue(10);
    expect(count).toBe(1);
    timers.fireDue(10);
    expect(count).toBe(2);
  });
});

test("a token bucket lets a second's worth through, and no more", () => {
  const bucket = new TokenBucket(10);
  const taken = (now: number): number =>
    Array.from({ length: 100 }, () => bucket.take(now)).filter(Boolean).length;
  expect(taken(0)).toBe(10);
  expect(taken(0)).toBe(0);
  expect(taken(500)).toBe(5);
  expect(taken(100_000)).toBe(10);
});

describe("reassembly", () => {
  const fragment = (number: number, total: number, more: Partial<Fragment> = {}): Fragment => ({
    messageId: 1,
    number,
    total,
    nextPayload: number === 1 ? 35 : 0,
    plaintext: Uint8Array.of(number),
    ...more,
  });
  const make = (limits = {}, budget = { octets: 0 }) => ({
    reassembly: new Reassembly({ limits: { ...DEFAULT_LIMITS, ...limits }, budget }),
    budget,
  });

  test("takes fragments in any order and gives the budget back", () => {
    const { reassembly, budget } = make();
    expect(reassembly.add(fragment(3, 3)).kind).toBe("need-more");
    expect(reassembly.add(fragment(1, 3)).kind).toBe("need-more");
    expect(budget.octets).toBe(2);
    const result = reassembly.add(fragment(2, 3));
    expect(result).toEqual({ kind: "whole", nextPayload: 35, plaintext: Uint8Array.of(1, 2, 3) });
    expect(budget.octets).toBe(0);
  });

  test("refuses number 0, numbers above the total, repetitions and too many", () => {
    const { reassembly } = make();
    expect(reassembly.add(fragment(0, 3)).kind).toBe("refused");
    expect(reassembly.add(fragment(4, 3)).kind).toBe("refused");
    expect(reassembly.add(fragment(1, 65)).kind).toBe("refused");
    expect(reassembly.add(fragment(1, 3)).kind).toBe("need-more");
    expect(reassembly.add(fragment(1, 3)).kind).toBe("refused");
  });

  test("starts over for a larger total and passes over a smaller one", () => {
    const { reassembly } = make();
    reassembly.add(fragment(1, 2));
    expect(reassembly.add(fragment(1, 3)).kind).toBe("need-more");
    expect(reassembly.add(fragment(2, 2)).kind).toBe("refused");
    expect(reassembly.add(fragment(2, 3)).kind).toBe("need-more");
    expect(reassembly.add(fragment(3, 3)).kind).toBe("whole");
  });

  test("holds no more than its share, nor more than all may hold together", () => {
    const plaintext = new Uint8Array(60);
    const { reassembly } = make({ reassemblyLength: 100 });
    expect(reassembly.add(fragment(1, 3, { plaintext })).kind).toBe("need-more");
    expect(reassembly.add(fragment(2, 3, { plaintext })).kind).toBe("refused");

    const budget = { octets: 0 };
    const first = make({ reassemblyTotalLength: 100 }, budget).reassembly;
    const second = make({ reassemblyTotalLength: 100 }, budget).reassembly;
    expect(first.add(fragment(1, 2, { plaintext })).kind).toBe("need-more");
    expect(second.add(fragment(1, 2, { plaintext })).kind).toBe("refused");
    first.clear();
    expect(second.add(fragment(1, 2, { plaintext })).kind).toBe("need-more");
  });

  test("keeps half of the room for peers that are known", () => {
    const budget = { octets: 0 };
    const limits = { reassemblyTotalLength: 100 };
    const strangers = [1, 2, 3].map(() => make(limits, budget).reassembly);
    const plaintext = new Uint8Array(25);
    const results = strangers.map((reassembly) =>
      reassembly.add(fragment(1, 2, { plaintext, isFromStranger: true })),
    );
    expect(results.map(({ kind }) => kind)).toEqual(["need-more", "need-more", "refused"]);
    const { reassembly } = make(limits, budget);
    expect(reassembly.add(fragment(1, 2, { plaintext })).kind).toBe("need-more");
    expect(reassembly.add(fragment(2, 2, { plaintext })).kind).toBe("whole");
  });
});

describe("a crypto provider that cannot", () => {
  test("make a key pair ends the attempt at once", () => {
    const { initiator } = pair({ seed: 1 });
    initiator.holdsJobs = true;
    initiator.connect();
    initiator.failJobs("the queue is full");
    expect(initiator.event("ike-sa-failed")!.message).toContain("the queue is full");
    expect(initiator.ikeSas).toHaveLength(0);
  });

  test("answer a request lets the next repetition try again", () => {
    const { initiator, responder, link } = pair({ seed: 2 });
    responder.holdsJobs = true;
    initiator.connect();
    link.deliver();
    responder.failJobs("the queue is full");
    expect(responder.ikeSas).toHaveLength(0);
    responder.holdsJobs = false;
    link.advanceToDeadline();
    link.deliverAll();
    expectEstablished(initiator, responder);
  });

  test("a result for an SA that is gone, or for nobody, is passed over", () => {
    const { initiator } = pair({ seed: 3 });
    initiator.holdsJobs = true;
    initiator.connect();
    initiator.disconnect();
    initiator.finishJobs();
    initiator.handle({ kind: "computed", id: 999, result: { kind: "failed", reason: "nobody asked" } });
    expect(initiator.ikeSas).toHaveLength(0);
    expect(initiator.endpoint.deadline).toBeUndefined();
  });
});

test("no SPI left in the data plane is said plainly on either side", () => {
  for (const side of ["initiator", "responder"] as const) {
    const all = pair({ seed: 4 });
    all[side].hasSpis = false;
    all.initiator.connect();
    all.link.deliverAll();
    const event = all[side].event(side === "initiator" ? "ike-sa-failed" : "child-sa-failed")!;
    expect(event.message).toContain("no SPI left");
    expect(all.initiator.installed.size + all.responder.installed.size).toBe(0);
  }
});

test("at a tenth of loss with reordering, 99 % of connections are up within ten seconds", () => {
  let up = 0;
  for (let seed = 0; seed < 500; seed++) {
    const { initiator, responder, link } = pair({ seed });
    link.impair(seed, { loss: 0.1, duplication: 0.02, delayMs: [20, 150] });
    initiator.connect();
    link.run({ until: 10_000, isDone: () => initiator.state === "established" });
    if (initiator.state === "established" && responder.state === "established") up++;
  }
  expect(up).toBeGreaterThanOrEqual(495);
});
