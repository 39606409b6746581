import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type UsedUp, type Volume, VolumeWatch } from "../../src/engine/volume-watch.ts";

const NOTHING: Volume = { octets: 0, packets: 0 };
const FAR: Volume = { octets: 64 * 2 ** 30, packets: 2 ** 31 };

describe("the watch over what child SAs carry", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test("tells of an SA that has come to a limit in either direction, until it is forgotten", () => {
    const { watch, carry, told } = setUp();
    watch.watch(1, {
      connection: "a",
      soft: { octets: 1000, packets: 10 },
      hard: { octets: 1250, packets: 12 },
    });
    watch.watch(2, {
      connection: "b",
      soft: { octets: 1000, packets: 10 },
      hard: { octets: 1250, packets: 12 },
    });
    carry(1, { inbound: NOTHING, outbound: { octets: 999, packets: 9 } });
    carry(2, { inbound: NOTHING, outbound: NOTHING });
    vi.advanceTimersByTime(3_000);
    expect(told).toEqual([]);

    carry(1, { inbound: NOTHING, outbound: { octets: 1000, packets: 9 } });
    carry(2, { inbound: { octets: 5, packets: 10 }, outbound: NOTHING });
    vi.advanceTimersByTime(2_000);
    const soft = [
      { connection: "a", inboundSpi: 1, limit: "soft" },
      { connection: "b", inboundSpi: 2, limit: "soft" },
    ];
    expect(told).toEqual([...soft, ...soft]);

    watch.forget(2);
    carry(1, { inbound: { octets: 1250, packets: 0 }, outbound: NOTHING });
    vi.advanceTimersByTime(1_000);
    expect(told.slice(4)).toEqual([{ connection: "a", inboundSpi: 1, limit: "hard" }]);
  });

  test("leaves alone what is far from its limits, and is there in time for the fastest", () => {
    const { watch, carry, told, asked } = setUp();
    watch.watch(1, { connection: "a", soft: FAR, hard: FAR });
    carry(1, { inbound: NOTHING, outbound: NOTHING });
    vi.advanceTimersByTime(60_000);
    const whileIdle = asked();
    expect(whileIdle).toBeLessThan(15);

    // From idle to its limit at 8 GB/s: told within two looks of the moment when it gets there.
    const seconds = FAR.octets / 8e9;
    for (let second = 1; second <= seconds + 2; second++) {
      carry(1, { inbound: { octets: 8e9 * second, packets: second }, outbound: NOTHING });
      vi.advanceTimersByTime(1_000);
    }
    expect(told.length).toBeGreaterThan(0);
  });

  test("ends with its last SA, and when it is stopped", () => {
    const { watch, carry } = setUp();
    carry(1, { inbound: NOTHING, outbound: NOTHING });
    watch.watch(1, { connection: "a", soft: FAR, hard: FAR });
    watch.forget(1);
    vi.advanceTimersByTime(1_000);
    expect(vi.getTimerCount()).toBe(0);
    watch.watch(1, { connection: "a", soft: FAR, hard: FAR });
    watch.stop();
    expect(vi.getTimerCount()).toBe(0);
  });
});

function setUp() {
  const carried = new Map<number, { readonly inbound: Volume; readonly outbound: Volume }>();
  const told: UsedUp[] = [];
  let asked = 0;
  const watch = new VolumeWatch({
    carried: (inboundSpi) => {
      asked++;
      return carried.get(inboundSpi);
    },
    onUsedUp: (usedUp) => told.push(usedUp),
  });
  return {
    watch,
    told,
    carry: (inboundSpi: number, volume: { inbound: Volume; outbound: Volume }) =>
      carried.set(inboundSpi, volume),
    asked: () => asked,
  };
}
