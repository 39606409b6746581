import { expect, test } from "vitest";
import { OutboundPolicies } from "../../src/engine/outbound-policies.ts";
import { Traps } from "../../src/engine/traps.ts";
import type { DataPolicy } from "../../src/esp/index.ts";
import type { ConnectionPolicy } from "../../src/policy/connection.ts";
import { trafficSelector } from "../support/traffic-selectors.ts";

/** Keeps policies by precedence, and counts what it costs to change them. */
class RecordingDataPlane {
  readonly policies = new Map<number, DataPolicy>();
  changes = 0;
  /** Inbound SPIs that went without a policy although they had one, before another of theirs was there. */
  readonly gaps: string[] = [];
  isFull = false;

  setPolicy(precedence: number, policy: DataPolicy): void {
    if (this.isFull) throw new RangeError("no room");
    this.changes++;
    this.policies.set(precedence, policy);
  }

  removePolicy(precedence: number): void {
    this.changes++;
    this.policies.delete(precedence);
    this.gaps.push(this.order);
  }

  setPoliciesByPrecedence(policies: Iterable<readonly [number, DataPolicy]>): void {
    if (this.isFull) throw new RangeError("no room");
    this.policies.clear();
    for (const [precedence, policy] of policies) this.policies.set(precedence, policy);
  }

  /** First match first: inbound SPIs, and what is not protected. */
  get order(): string {
    return [...this.policies]
      .sort(([a], [b]) => a - b)
      .map(([, policy]) => (policy.action === "protect" ? policy.inboundSpi : policy.action))
      .join(" ");
  }

  get replaced(): readonly number[] {
    return [...this.policies.values()].flatMap((policy) =>
      policy.action === "protect" && policy.isReplaced ? [policy.inboundSpi] : [],
    );
  }
}

function setUp() {
  const dataPlane = new RecordingDataPlane();
  const policies = new OutboundPolicies({ dataPlane, traps: new Traps() });
  const put = (inboundSpi: number, connection: string, rank: number, selectors = "all") =>
    policies.put(inboundSpi, { connection, child: "lan", selectors, rank });
  return { dataPlane, policies, put };
}

function connection(name: string): ConnectionPolicy {
  const side = [trafficSelector("10.0.0.0/8")];
  return { name, children: [{ name: "lan", local: side, remote: side }] } as unknown as ConnectionPolicy;
}

test("protected traffic comes in the order of the configuration and of ranks, and discard entries behind", () => {
  const { dataPlane, policies, put } = setUp();
  policies.configure([connection("a"), connection("b")], new Set(["b"]));
  put(11, "b", 1);
  put(12, "a", 2);
  put(13, "b", 3);
  put(14, "gone", 4);
  expect(dataPlane.order).toBe("12 13 11 discard trap");
  expect(dataPlane.replaced).toEqual([11]);
  policies.configure([connection("b"), connection("a")], new Set());
  expect(dataPlane.order).toBe("13 11 12 discard discard");
});

test("an SA that waits stands behind the one it replaces, until it has a rank or is alone", () => {
  const { dataPlane, policies, put } = setUp();
  policies.configure([connection("a")], new Set());
  put(1, "a", 1);
  put(2, "a", 0);
  put(3, "a", 0);
  expect(dataPlane.order).toBe("1 2 3 discard");
  dataPlane.gaps.length = 0;
  put(3, "a", 2);
  expect(dataPlane.order).toBe("3 1 2 discard");
  // It was there twice before its old place went.
  expect(dataPlane.gaps).toEqual(["3 1 2 discard"]);
  policies.remove(1);
  policies.remove(3);
  expect(dataPlane.order).toBe("2 discard");
  expect(dataPlane.replaced).toEqual([]);
});

test("peers of one connection, told apart by their selectors, do not replace each other", () => {
  const { dataPlane, policies, put } = setUp();
  policies.configure([connection("a")], new Set());
  put(1, "a", 1, "10.0.0.1");
  put(2, "a", 2, "10.0.0.2");
  expect(dataPlane.replaced).toEqual([]);
});

test("an SA more or less costs as much among 10,000 as among none", () => {
  const { dataPlane, policies, put } = setUp();
  policies.configure([connection("a")], new Set());
  for (let i = 1; i <= 10_000; i++) put(i, "a", i, `peer ${i}`);
  expect(dataPlane.changes).toBe(10_000);
  put(20_000, "a", 20_000, "peer 77");
  policies.remove(77);
  expect(dataPlane.changes).toBe(10_003);
});

test("a configuration that does not fit leaves everything as it was", () => {
  const { dataPlane, policies, put } = setUp();
  policies.configure([connection("a"), connection("b")], new Set());
  put(1, "a", 1);
  dataPlane.isFull = true;
  expect(() => policies.configure([connection("b")], new Set())).toThrow("no room");
  dataPlane.isFull = false;
  put(2, "b", 2);
  put(3, "a", 3);
  expect(dataPlane.order).toBe("3 1 2 discard discard");
});
