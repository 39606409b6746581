import { expect, test } from "vitest";
import { FairQueue, NONE } from "../../src/esp/fair-queue.ts";

class Bed {
  readonly shed: number[] = [];
  /** Whether packets are of several segments, of which one may go. */
  areSuper = false;
  readonly queue = new FairQueue({
    capacity: 4096,
    onShed: (packet, isWhole) => {
      this.shed.push(packet);
      return this.areSuper && !isWhole;
    },
  });
  #next = 0;

  /** Adds packets and returns their numbers. */
  add(
    flow: number,
    {
      count = 1,
      octets = 1000,
      now = 0,
    }: { readonly count?: number; readonly octets?: number; readonly now?: number } = {},
  ): number[] {
    return Array.from({ length: count }, () => {
      const packet = this.#next++ & 4095;
      this.queue.add(packet, flow, octets, now);
      return packet;
    });
  }

  take(count: number, now = 0): number[] {
    return Array.from({ length: count }, () => this.queue.take(now)).filter((packet) => packet !== NONE);
  }
}

test("a flow keeps its order, and an empty queue says so", () => {
  const bed = new Bed();
  const packets = bed.add(7, { count: 300, octets: 1400 });
  expect(bed.take(301)).toEqual(packets);
  expect(bed.queue.count).toBe(0);
});

test("a flow that begins is served before one that has been sending", () => {
  const bed = new Bed();
  const bulk = bed.add(1, { count: 100, octets: 60_000 });
  expect(bed.take(3)).toEqual(bulk.slice(0, 3));
  const [ping] = bed.add(2, { octets: 84 });
  expect(bed.queue.peekNewcomer()).toBe(84);
  expect(bed.take(2)).toEqual([ping, bulk[3]]);
});

test("a newcomer is seen behind one that has had its turn, and only until it has had its own", () => {
  const bed = new Bed();
  const bulk = bed.add(1, { count: 2, octets: 60_000 });
  expect(bed.queue.peekNewcomer()).toBe(60_000);
  expect(bed.take(1)).toEqual([bulk[0]]);
  expect(bed.queue.peekNewcomer()).toBe(0);
  const [ping] = bed.add(2, { octets: 84 });
  expect(bed.queue.peekNewcomer()).toBe(84);
  expect(bed.take(1)).toEqual([ping]);
  expect(bed.queue.peekNewcomer()).toBe(0);
  expect(bed.take(1)).toEqual([bulk[1]]);
});

test("flows that send without end get equal shares of octets, whatever the size of their packets", () => {
  const bed = new Bed();
  const sizes = [100, 500, 1400, 9000];
  const owner = new Map<number, number>();
  sizes.forEach((octets, flow) => {
    for (const packet of bed.add(flow, { count: Math.ceil(1_000_000 / octets / 10), octets }))
      owner.set(packet, flow);
  });
  const sent = [0, 0, 0, 0];
  while (Math.max(...sent) < 90_000) {
    const flow = owner.get(bed.queue.take(0))!;
    sent[flow]! += sizes[flow]!;
  }
  // What a turn gives, and a packet that overdraws it.
  for (const octets of sent) expect(octets).toBeGreaterThan(90_000 - 16_384 - 9000);
});

test("a flow of single packets is not always a new one: it does not starve the others", () => {
  const bed = new Bed();
  const bulk = bed.add(1, { count: 200, octets: 16_384 });
  bed.take(1);
  let served = 0;
  for (let i = 0; i < 200; i++) {
    bed.add(2, { octets: 16_384 });
    if (bulk.includes(bed.take(1)[0]!)) served++;
  }
  expect(served).toBeGreaterThan(90);
});

test("a queue that is long but does not last sheds nothing", () => {
  const bed = new Bed();
  bed.add(1, { count: 500, octets: 1400, now: 0 });
  expect(bed.take(500, 99)).toHaveLength(500);
  expect(bed.shed).toEqual([]);
});

/** A flow that sends a fifth more than leaves, for some time. Packets leave one each millisecond. */
function overload(bed: Bed, milliseconds: number): void {
  bed.add(1, { count: 100, octets: 1400, now: 0 });
  for (let now = 1; now <= milliseconds; now++) {
    bed.add(1, { count: now % 5 === 0 ? 2 : 1, octets: 1400, now });
    bed.take(1, now);
  }
}

test("a queue that stands loses single packets, more and more often", () => {
  const bed = new Bed();
  overload(bed, 99);
  expect(bed.shed).toEqual([]);
  overload(bed, 1000);
  const early = bed.shed.length;
  expect(early).toBeGreaterThan(3);
  const other = new Bed();
  overload(other, 2000);
  expect(other.shed.length).toBeGreaterThan(2 * early);
});

test("what gives up a segment leaves all the same, and as often as others are given up", () => {
  const bed = new Bed();
  bed.areSuper = true;
  const packets = bed.add(1, { count: 3000, octets: 1400, now: 0 });
  const left: number[] = [];
  for (let now = 1; now <= 1000; now++) left.push(...bed.take(1, now));
  expect(left).toEqual(packets.slice(0, 1000));
  expect(bed.shed.length).toBeGreaterThan(10);
  expect(new Set(bed.shed).size).toBe(bed.shed.length);
  expect(bed.queue.count).toBe(2000);
});

test("a queue of one super-packet is none that stands", () => {
  const bed = new Bed();
  for (let now = 0; now < 1000; now += 10) {
    bed.add(1, { octets: 65_000, now });
    bed.take(1, now + 9);
  }
  expect(bed.shed).toEqual([]);
});

test("where there is no room, the longest queue gives way from its front", () => {
  const bed = new Bed();
  const long = bed.add(1, { count: 50, octets: 1400 });
  const short = bed.add(2, { count: 60, octets: 84 });
  for (let i = 0; i < 10; i++) bed.queue.shedLongest();
  expect(bed.shed).toEqual(long.slice(0, 10));
  expect(bed.take(200).sort((a, b) => a - b)).toEqual([...long.slice(10), ...short]);
});

test("flows far more than it can tell apart all get through", () => {
  const bed = new Bed();
  const packets = Array.from({ length: 4000 }, (_, flow) => bed.add(flow, { octets: 200 })[0]!);
  expect(bed.take(4000).sort((a, b) => a - b)).toEqual(packets);
});
