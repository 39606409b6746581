import { expect, test } from "vitest";
import { establishedPair, pair } from "../support/simulator/index.ts";

test("IKE_SA_INIT and IKE_AUTH establish an IKE SA and a child SA on both sides", () => {
  const { initiator, responder, link } = pair({ seed: 1 });
  initiator.connect();
  link.deliver(); // --> IKE_SA_INIT { SAi1, KEi, Ni }
  expect(responder.state).toBe("authenticating");
  link.deliver(); // <-- IKE_SA_INIT { SAr1, KEr, Nr }
  expect(initiator.state).toBe("authenticating");
  link.deliver(); // --> IKE_AUTH { IDi, AUTH, SAi2, TSi, TSr }
  expect(responder.state).toBe("established");
  link.deliver(); // <-- IKE_AUTH { IDr, AUTH, SAr2, TSi, TSr }
  expect(initiator.state).toBe("established");
  expect(link.inFlight).toHaveLength(0);
  expect(initiator.childSas).toHaveLength(1);
  expect(responder.childSas).toHaveLength(1);
});

test("keys, SPIs and selectors of a child SA mirror each other", () => {
  const { initiator, responder } = establishedPair({ seed: 2 });
  const [ours] = [...initiator.installed.values()];
  const [theirs] = [...responder.installed.values()];
  expect(ours!.inboundSpi).toBe(theirs!.outboundSpi);
  expect(ours!.outboundSpi).toBe(theirs!.inboundSpi);
  expect(ours!.inboundKey).toEqual(theirs!.outboundKey);
  expect(ours!.outboundKey).toEqual(theirs!.inboundKey);
  expect(ours!.inboundKey).not.toEqual(ours!.outboundKey);
  expect(ours!.local).toEqual(theirs!.remote);
  expect(ours!.remote).toEqual(theirs!.local);
});
