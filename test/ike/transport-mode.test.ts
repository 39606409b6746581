import { describe, expect, test } from "vitest";
import type { ChildPolicy } from "../../src/policy/connection.ts";
import { childPolicy, establishedPair, type Pair } from "../support/simulator/index.ts";

const LEFT = "192.0.2.1/32";
const RIGHT = "192.0.2.2/32";

function pairWith(
  modes: readonly [ChildPolicy["mode"], ChildPolicy["mode"]],
  { left = LEFT, right = RIGHT }: { readonly left?: string; readonly right?: string } = {},
): Pair {
  const child = (mode: ChildPolicy["mode"], local: string, remote: string): ChildPolicy => ({
    ...childPolicy({ local: [local], remote: [remote] }),
    ...(mode !== undefined && { mode }),
  });
  return establishedPair({
    seed: 9,
    initiator: { children: [child(modes[0], left, right)] },
    responder: { children: [child(modes[1], right, left)] },
  });
}

function agreed({ initiator, responder }: Pair): boolean[][] {
  return [initiator, responder].map(({ installed }) =>
    [...installed.values()].flatMap(({ isTransport, takesTfcPadding }) => [isTransport, takesTfcPadding]),
  );
}

describe("transport mode (RFC 7296 section 1.3.1)", () => {
  test("is agreed on where both want it, between the ends of the path; nobody pads then", () => {
    const all = pairWith(["transport", "transport"]);
    expect(agreed(all)).toEqual([
      [true, false],
      [true, false],
    ]);
    expect(all.initiator.event("child-sa-established")!.message).toContain("transport mode");
  });

  test("is tunnel mode where one side does not want it", () => {
    expect(agreed(pairWith(["transport", undefined])).map(([isTransport]) => isTransport)).toEqual([
      false,
      false,
    ]);
    expect(agreed(pairWith([undefined, "transport"]))).toEqual([
      [false, true],
      [false, true],
    ]);
  });

  test("is tunnel mode where the selectors are not the ends of the path", () => {
    for (const left of ["192.0.2.0/30", "10.1.0.1/32"]) {
      expect(
        agreed(pairWith(["transport", "transport"], { left })).map(([isTransport]) => isTransport),
      ).toEqual([false, false]);
    }
  });
});
