import { expect } from "vitest";
import type { Pair } from "./index.ts";
import type { SimulatedMachine } from "./simulated-machine.ts";

/** Exactly one IKE SA and one child SA on both sides, and each the mirror of the other. */
export function expectEstablished(a: SimulatedMachine, b: SimulatedMachine): void {
  expect([a.ikeSas.map(({ state }) => state), b.ikeSas.map(({ state }) => state)]).toEqual([
    ["established"],
    ["established"],
  ]);
  const [ours] = a.ikeSas;
  const [theirs] = b.ikeSas;
  expect(ours!.initiatorSpi).toBe(theirs!.initiatorSpi);
  expect(ours!.responderSpi).toBe(theirs!.responderSpi);
  expect(ours!.role).not.toBe(theirs!.role);
  expectMirrored(a, b);
  expect(a.installed.size).toBe(1);
}

/** The data planes fit together: the same SPIs, keys and selectors, seen from both sides. */
export function expectMirrored(a: SimulatedMachine, b: SimulatedMachine): void {
  expect(a.installed.size).toBe(b.installed.size);
  for (const ours of a.installed.values()) {
    const theirs = b.installed.get(ours.outboundSpi);
    expect(theirs).toBeDefined();
    expect(theirs!.outboundSpi).toBe(ours.inboundSpi);
    expect(theirs!.outboundKey).toEqual(ours.inboundKey);
    expect(theirs!.inboundKey).toEqual(ours.outboundKey);
    expect(theirs!.encryption).toEqual(ours.encryption);
    expect(theirs!.esn).toBe(ours.esn);
    expect(theirs!.local).toEqual(ours.remote);
    expect(theirs!.remote).toEqual(ours.local);
  }
}

/** Nothing is left: no IKE SA, no child SA, no SPI taken, no timer. */
export function expectClean(...machines: readonly SimulatedMachine[]): void {
  for (const machine of machines) {
    expect(machine.ikeSas).toHaveLength(0);
    expect([...machine.installed.keys()]).toEqual([]);
    expect([...machine.reserved]).toEqual([]);
    expect(machine.endpoint.deadline).toBeUndefined();
    expect(machine.endpoint.counters.internalErrors).toBe(0);
  }
}

/** One of each on both sides, no SPI beside them, and each side sends through what the other opens. */
export function expectSettled({ initiator, responder }: Pair): void {
  expectEstablished(initiator, responder);
  expect([initiator.reserved.size, responder.reserved.size]).toEqual([1, 1]);
  expect(initiator.outboundSpi()).toBe([...responder.installed.keys()][0]);
  expect(responder.outboundSpi()).toBe([...initiator.installed.keys()][0]);
}
