import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { ExchangeType } from "../../src/iana/ikev2-parameters.ts";
import {
  establishedPair,
  type RawPayload,
  SeededRandom,
  scriptedEstablished,
} from "../support/simulator/index.ts";

// What a flood of nonsense leaves behind is counted in octets of the heap, after a collection. IKEBANA_FUZZ_RUNS=10000000 for long runs.

const RUNS = Number(process.env.IKEBANA_FUZZ_RUNS ?? 200_000);
const MOST_GROWTH = 512 * 1024;

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

function heapUsed(): number {
  collect();
  return process.memoryUsage().heapUsed;
}

test("malformed datagrams of strangers leave the heap as it was", { timeout: 3_600_000 }, () => {
  const { responder, link } = establishedPair({ seed: 1 });
  const samples = link.transmitted.map(({ octets }) => octets);
  const random = new SeededRandom(1);
  const path = {
    local: { address: "192.0.2.2", port: 4500 },
    remote: { address: "192.0.2.1", port: 4500 },
  };
  const bombard = (count: number): void => {
    for (let i = 0; i < count; i++) {
      const octets = samples[i % samples.length]!.slice();
      for (let k = 0; k < 4; k++) octets[random.below(octets.length)] = random.below(256);
      responder.handle({ kind: "datagram", octets, path });
      link.inFlight.length = link.transmitted.length = responder.events.length = 0;
    }
  };
  bombard(RUNS / 4);
  const before = heapUsed();
  bombard(RUNS);
  expect(heapUsed() - before).toBeLessThan(MOST_GROWTH);
  expect(responder.endpoint.counters.internalErrors).toBe(0);
  expect(responder.endpoint.counters.received).toBeGreaterThan(RUNS);
});

test("random payloads of a peer with the right keys are all answered, and leave the heap as it was", {
  timeout: 3_600_000,
}, () => {
  const random = new SeededRandom(2);
  const types = [33, 34, 39, 40, 41, 42, 44, 45, 47, 48, 99];
  const exchanges = [ExchangeType.CREATE_CHILD_SA, ExchangeType.INFORMATIONAL];
  const payloads = (): RawPayload[] =>
    Array.from({ length: random.below(6) }, () => ({
      type: types[random.below(types.length)]!,
      body: random.bytes(random.below(80)),
    }));
  let [sent, answered] = [0, 0];
  const bombard = (count: number): void => {
    for (let end = sent + count; sent < end; ) {
      const { peer, machine, link } = scriptedEstablished({ seed: sent });
      // Nonsense ends an IKE SA (RFC 7296 section 2.21.3), so that there are many.
      for (let messageId = 2; machine.state === "established" && sent < end; messageId++, sent++) {
        const exchangeType = exchanges[random.below(exchanges.length)]!;
        peer.send(machine, peer.sealRaw({ exchangeType, messageId, payloads: payloads() }));
        answered += link.inFlight.length;
        link.inFlight.length = link.transmitted.length = machine.events.length = 0;
      }
      expect(machine.endpoint.counters.internalErrors).toBe(0);
    }
  };
  bombard(RUNS / 80);
  const before = heapUsed();
  bombard(RUNS / 80);
  expect(heapUsed() - before).toBeLessThan(MOST_GROWTH);
  expect(answered).toBeGreaterThanOrEqual(sent);
});
