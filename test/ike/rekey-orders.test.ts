import { describe, expect, test } from "vitest";
import { expectClean, expectEstablished } from "../support/simulator/expectations.ts";
import { establishedPair, type Pair, type PolicyOptions } from "../support/simulator/index.ts";
import { inEveryOrder } from "../support/simulator/orders.ts";
import { CROSSING_SEEDS } from "../support/simulator/seeds.ts";

// Everything that may cross, in every order in which its messages can arrive. Several seeds, so that each side wins.

const PFS: PolicyOptions = { esp: ["aes256gcm16-x25519"] };
/** With a further key exchange behind CREATE_CHILD_SA. */
const FURTHER: PolicyOptions = {
  ike: ["aes256gcm16-prfsha256-x25519-ke1_ecp384"],
  esp: ["aes256gcm16-x25519-ke1_ecp384"],
};

interface Crossing {
  readonly name: string;
  readonly begin: (pair: Pair) => void;
  readonly options?: PolicyOptions;
  /** What there is in the end. */
  readonly end: "one of each" | "nothing" | "an IKE SA without children";
}

const rekeyChild = { kind: "rekey", connection: "tunnel", what: "children" } as const;
const rekeyIke = { kind: "rekey", connection: "tunnel", what: "ike" } as const;
const terminate = { kind: "terminate", connection: "tunnel" } as const;
const terminateChild = { kind: "terminate", connection: "tunnel", child: "lan" } as const;
const liveness = { kind: "liveness", connection: "tunnel" } as const;

function crossing(...inputs: readonly Parameters<Pair["initiator"]["handle"]>[0][]): Crossing["begin"] {
  return ({ initiator, responder }) => {
    initiator.handle(inputs[0]!);
    responder.handle(inputs[1]!);
  };
}

const CROSSINGS: readonly Crossing[] = [
  {
    name: "one side rekeys a child SA",
    begin: ({ initiator }) => initiator.rekey("children"),
    end: "one of each",
  },
  {
    name: "the other side rekeys a child SA",
    begin: ({ responder }) => responder.rekey("children"),
    end: "one of each",
  },
  { name: "both rekey a child SA", begin: crossing(rekeyChild, rekeyChild), end: "one of each" },
  {
    name: "both rekey a child SA with PFS",
    begin: crossing(rekeyChild, rekeyChild),
    options: PFS,
    end: "one of each",
  },
  {
    name: "one rekeys a child SA, the other deletes it",
    begin: crossing(rekeyChild, terminateChild),
    end: "an IKE SA without children",
  },
  {
    name: "one deletes a child SA, the other rekeys it",
    begin: crossing(terminateChild, rekeyChild),
    end: "an IKE SA without children",
  },
  {
    name: "both delete a child SA",
    begin: crossing(terminateChild, terminateChild),
    end: "an IKE SA without children",
  },
  {
    name: "one side rekeys the IKE SA",
    begin: ({ initiator }) => initiator.rekey("ike"),
    end: "one of each",
  },
  {
    name: "the other side rekeys the IKE SA",
    begin: ({ responder }) => responder.rekey("ike"),
    end: "one of each",
  },
  { name: "both rekey the IKE SA", begin: crossing(rekeyIke, rekeyIke), end: "one of each" },
  {
    name: "one rekeys the IKE SA, the other a child SA",
    begin: crossing(rekeyIke, rekeyChild),
    end: "one of each",
  },
  {
    name: "one rekeys a child SA, the other the IKE SA",
    begin: crossing(rekeyChild, rekeyIke),
    end: "one of each",
  },
  {
    name: "one rekeys the IKE SA, the other deletes it",
    begin: crossing(rekeyIke, terminate),
    end: "nothing",
  },
  {
    name: "one deletes the IKE SA, the other rekeys it",
    begin: crossing(terminate, rekeyIke),
    end: "nothing",
  },
  {
    name: "one rekeys the IKE SA, the other deletes a child SA",
    begin: crossing(rekeyIke, terminateChild),
    end: "an IKE SA without children",
  },
  {
    name: "one deletes a child SA, the other rekeys the IKE SA",
    begin: crossing(terminateChild, rekeyIke),
    end: "an IKE SA without children",
  },
  {
    name: "one rekeys the IKE SA, the other asks whether it is alive",
    begin: crossing(rekeyIke, liveness),
    end: "one of each",
  },
  {
    name: "one rekeys a child SA, the other deletes the IKE SA",
    begin: crossing(rekeyChild, terminate),
    end: "nothing",
  },
];

/** Where both sides want something, the same with more messages between. */
const WITH_FURTHER: readonly Crossing[] = CROSSINGS.filter(
  ({ name, options }) =>
    options === undefined && /^both rekey|^one rekeys .*(rekeys|child SA|IKE SA|it)$/.test(name),
).map((one) => ({ ...one, name: `${one.name}, with further key exchanges`, options: FURTHER }));

describe.each([...CROSSINGS, ...WITH_FURTHER])("$name", ({ begin, options, end }) => {
  test("ends well in every order, and nothing is left over", () => {
    for (const seed of CROSSING_SEEDS) {
      const count = inEveryOrder({
        begin: () => {
          const pair = establishedPair({ seed, ...(options && { common: options }) });
          begin(pair);
          return pair;
        },
        check: (pair) => expectEnd(pair, end),
      });
      expect(count).toBeLessThan(20_000);
    }
  });
});

test.each([rekeyChild, rekeyIke])(
  "when both rekey, each side wins with some of the seeds: $what",
  (input) => {
    const winners = CROSSING_SEEDS.map((seed) => {
      const pair = establishedPair({ seed });
      crossing(input, input)(pair);
      pair.link.deliverAll();
      const { initiator } = pair;
      // Of child SAs the first that goes is the one that is superfluous, and who has made it deletes it.
      return input.what === "ike"
        ? initiator.ikeSas[0]!.role
        : initiator.event("child-sa-deleted")!.facts.reason;
    });
    expect(new Set(winners).size).toBe(2);
  },
);

function expectEnd(pair: Pair, end: Crossing["end"]): void {
  const { initiator, responder, link } = pair;
  // What was refused for the moment, lost with an IKE SA or left to the other side comes to its end by time.
  link.run({ until: link.now + 400_000 });
  expect(initiator.endpoint.counters.internalErrors + responder.endpoint.counters.internalErrors).toBe(0);
  if (end === "nothing") {
    expectClean(initiator, responder);
    return;
  }
  if (end === "one of each") {
    expectEstablished(initiator, responder);
    expect(initiator.outboundSpi()).toBe([...responder.installed.keys()][0]);
    expect(responder.outboundSpi()).toBe([...initiator.installed.keys()][0]);
  } else {
    expect([initiator.ikeSas.length, responder.ikeSas.length]).toEqual([1, 1]);
    expect(initiator.ikeSas[0]!.initiatorSpi).toBe(responder.ikeSas[0]!.initiatorSpi);
  }
  const children = end === "one of each" ? 1 : 0;
  for (const machine of [initiator, responder]) {
    expect(machine.installed.size).toBe(children);
    expect(machine.reserved.size).toBe(children);
  }
}
