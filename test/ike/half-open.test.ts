import { describe, expect, test } from "vitest";
import { HalfOpenTable } from "../../src/ike/half-open.ts";
import { DEFAULT_LIMITS, type Limits } from "../../src/ike/limits.ts";

function bed(limits: Partial<Limits>) {
  const table = new HalfOpenTable({ ...DEFAULT_LIMITS, ...limits });
  let now = 0;
  /** With a cookie. Whoever gets in stays until it is told to go. */
  const come = (address: string) => {
    const admission = table.admission(address, true, now);
    if (admission !== "admit") return { admission };
    const guest = {
      admission,
      isTurnedOut: false,
      fail: () => table.fail(place, () => table.leave(place)),
      leave: () => table.leave(place),
    };
    const giveUp = (): void => {
      guest.isTurnedOut = true;
      table.leave(place);
    };
    const place = table.enter({ address, isRoutable: true, giveUp, now });
    return guest;
  };
  return {
    table,
    come,
    wait: (ms: number) => {
      now += ms;
    },
    asks: (address: string) => table.admission(address, false, now),
  };
}

describe("where all places are taken", () => {
  test("the network that has most makes room, with whoever came first", () => {
    const { table, come } = bed({ halfOpenCount: 6 });
    const many = Array.from({ length: 4 }, (_, i) => come(`198.18.0.${i}`));
    const two = Array.from({ length: 2 }, (_, i) => come(`198.18.1.${i}`));
    expect(come("203.0.113.9").admission).toBe("admit");
    expect(many.map((guest) => "isTurnedOut" in guest && guest.isTurnedOut)).toEqual([
      true,
      false,
      false,
      false,
    ]);
    expect(two.some((guest) => "isTurnedOut" in guest && guest.isTurnedOut)).toBe(false);
    expect(table.size).toBe(6);
  });

  test("nobody makes room for more of the same network, and no network for one that has as many", () => {
    const { come } = bed({ halfOpenCount: 4 });
    for (let i = 0; i < 4; i++) come(`198.18.${i >> 1}.${i}`);
    expect(come("198.18.0.9").admission).toBe("refuse");
    expect(come("203.0.113.9").admission).toBe("admit");
    expect(come("203.0.113.10").admission).toBe("admit");
    expect(come("203.0.113.11").admission).toBe("refuse");
  });

  test("those that failed make no room, since they take none", () => {
    const { table, come } = bed({ halfOpenCount: 2 });
    for (let i = 0; i < 8; i++) {
      const guest = come(`198.18.${i}.1`);
      if ("fail" in guest) guest.fail();
    }
    expect(table.size).toBe(0);
    const first = come("203.0.113.9");
    expect(come("203.0.113.10").admission).toBe("admit");
    expect(first).toMatchObject({ isTurnedOut: false });
  });
});

describe("whoever comes from a network where somebody has failed", () => {
  test("shows a cookie, and shares some attempts in a second with all others who do", () => {
    const { come, asks, wait } = bed({ suspectsPerSecond: 2 });
    expect(asks("198.18.0.2")).toBe("admit");
    for (let i = 0; i < 10; i++) {
      const guest = come(`198.18.${i}.1`);
      if ("fail" in guest) guest.fail();
    }
    expect(asks("198.18.0.2")).toBe("demand-cookie");
    const again = () => Array.from({ length: 10 }, (_, i) => come(`198.18.${i}.3`).admission);
    expect(again().filter((admission) => admission === "admit")).toHaveLength(2);
    // The others have all the time that there is.
    expect([asks("203.0.113.9"), come("203.0.113.9").admission]).toEqual(["admit", "admit"]);
    wait(500);
    expect(again().filter((admission) => admission === "admit")).toHaveLength(1);
  });

  test("is as good as anybody when that is forgotten", () => {
    const { come, asks } = bed({ suspectsPerSecond: 0 });
    const guest = come("198.18.0.1");
    if (!("fail" in guest)) throw new Error(guest.admission);
    guest.fail();
    expect([asks("198.18.0.2"), come("198.18.0.2").admission]).toEqual(["demand-cookie", "refuse"]);
    guest.leave();
    expect([asks("198.18.0.2"), come("198.18.0.2").admission]).toEqual(["admit", "admit"]);
  });
});
