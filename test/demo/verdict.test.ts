import { expect, test } from "vitest";
import type { DemoFacts } from "../../src/demo/story.ts";
import { problemsOf } from "../../src/demo/verdict.ts";
import { GOOD_FACTS } from "./good-facts.ts";

test("a good run has no problems", () => {
  expect(problemsOf(GOOD_FACTS)).toEqual([]);
});

test("what was not reached is a problem each", () => {
  expect(problemsOf({})).toEqual([
    "nothing was negotiated",
    "there was no ping",
    "there was no transfer",
    "the counters were not read",
    "the SAs were not deleted",
    "nobody watched the wire",
  ]);
});

for (const [what, change, problem] of [
  [
    "a lost ping",
    { pings: [{ ...GOOD_FACTS.pings[0]!, received: 19, lost: 1 }] },
    "1 of 20 pings over IPv4 were lost",
  ],
  [
    "a wrong hash",
    { transfer: { ...GOOD_FACTS.transfer, isIntact: false } },
    "what was received is not what was sent",
  ],
  [
    "an empty transfer",
    { transfer: { ...GOOD_FACTS.transfer, sentOctets: 0 } },
    "the transfer moved nothing",
  ],
  [
    "a drop on any of three sides",
    {
      counters: {
        ...GOOD_FACTS.counters,
        client: {
          inbound: { packets: 10, octets: 640, drops: { replayed: 1 }, events: {} },
          outbound: { packets: 100, octets: 140_000, drops: { replayed: 2 }, events: {} },
          drops: { noPolicy: 4 },
        },
      },
    },
    ["the client dropped 3 packets (replayed)", "the client dropped 4 packets (noPolicy)"],
  ],
  [
    "an SA that stays",
    { farewell: { ...GOOD_FACTS.farewell, gatewaySas: 1 } },
    "SAs were left after the delete",
  ],
  [
    "an answer after the delete",
    { farewell: { ...GOOD_FACTS.farewell, pingsAfterwards: { sent: 3, answered: 1 } } },
    "a ping was answered after the delete",
  ],
  ["plaintext", { wire: { ...GOOD_FACTS.wire, plaintext: 2 } }, "2 frames on the wire held plaintext"],
  [
    "a foreign frame",
    { wire: { ...GOOD_FACTS.wire, other: 1 } },
    "1 frames on the wire were neither ESP in UDP nor IKE",
  ],
  [
    "a watcher that missed the decoy",
    { wire: { ...GOOD_FACTS.wire, provenByDecoy: false } },
    "the watcher did not see the datagram that was sent in clear on purpose",
  ],
  [
    "an SPI that is not ours",
    { wire: { ...GOOD_FACTS.wire, espBySpi: { ...GOOD_FACTS.wire.espBySpi, "00000bad": 1 } } },
    "1 ESP packets on the wire had the unknown SPI 00000bad",
  ],
  [
    "more packets on the wire than were sent",
    { wire: { ...GOOD_FACTS.wire, espBySpi: { "0a0a0a0a": 101, "0b0b0b0b": 10 } } },
    "101 packets of SPI 0a0a0a0a were on the wire, 100 were sent",
  ],
  [
    "packets that were sent and not seen",
    { wire: { ...GOOD_FACTS.wire, espInUdp: 90, missed: 5 } },
    "15 ESP packets that were sent were not on the wire",
  ],
] as const satisfies readonly (readonly [string, Partial<DemoFacts>, string | readonly string[]])[]) {
  test(`${what} is noticed`, () => {
    expect(problemsOf({ ...GOOD_FACTS, ...change })).toEqual([problem].flat());
  });
}

test("what the watcher admits to have missed is accounted for", () => {
  expect(problemsOf({ ...GOOD_FACTS, wire: { ...GOOD_FACTS.wire, espInUdp: 90, missed: 20 } })).toEqual([]);
});
