import { describe, expect, test } from "vitest";
import {
  DUMMIES_LIMIT,
  SA_ACTIVE,
  VNET_HEADER_SIZE,
  WORKER_BASE,
  WORKER_CLOCK_OFFSET,
  WORKER_SIZE,
} from "../../assembly/layout.ts";
import { DummyList } from "../../src/esp/dummy-list.ts";
import { createSharedMemory } from "../../src/esp/kernel.ts";
import { sealEsp } from "../../src/esp/reference.ts";
import { innerPacket } from "../support/inner-packets.ts";
import { ACK, superFrame } from "../support/super-packets.ts";
import { ANY, type Child, type ChildFacts, CIPHERS, EspBed, WORKER, withTrailer } from "./esp-bed.ts";

const CLOCK = WORKER_BASE + WORKER * WORKER_SIZE + WORKER_CLOCK_OFFSET;
const FROM_A = { source: "10.1.0.1", destination: "10.2.0.1" };

function bedWith(facts: ChildFacts): { readonly bed: EspBed; readonly child: Child } {
  const bed = new EspBed();
  const child = bed.install({ selectors: ANY, ...facts });
  bed.protect(child);
  bed.view.setFloat64(CLOCK, 1000, true);
  return { bed, child };
}

describe("padding for traffic flow confidentiality", () => {
  test.each(CIPHERS)("makes packets of every length equally long ($name)", (cipher) => {
    const { bed } = bedWith({ cipher, cover: { padTo: 600, dummyEveryMs: 0, dummyLength: 0 } });
    const packets = [0, 1, 17, 300, 579, 580].map((length) =>
      innerPacket({ ...FROM_A, payload: new Uint8Array(length).fill(1) }),
    );
    const lengths = bed.encapsulate(packets).map(({ octets }) => octets.length);
    expect(new Set(lengths).size).toBe(1);
    const [longer] = bed.encapsulate([innerPacket({ ...FROM_A, payload: new Uint8Array(700) })]);
    expect(longer!.octets.length).toBeGreaterThan(lengths[0]!);
  });

  test("holds for each segment of a super-packet, the last too", () => {
    const { bed } = bedWith({ cover: { padTo: 1400, dummyEveryMs: 0, dummyLength: 0 } });
    const frame = superFrame({ version: 4, kind: "tcp", flags: ACK, payload: bed.random.octets(2500) }, 1000);
    expect(frame.length).toBeGreaterThan(VNET_HEADER_SIZE + 2500);
    const [result] = bed.encapsulateFrames([frame]);
    expect(result!.esp.map(({ length }) => length)).toEqual(Array(3).fill(result!.esp[0]!.length));
  });

  test("counts no octet of it as carried", () => {
    const { bed, child } = bedWith({ cover: { padTo: 1000, dummyEveryMs: 0, dummyLength: 0 } });
    bed.encapsulate([innerPacket({ ...FROM_A, payload: new Uint8Array(10) })]);
    expect(bed.sad.traffic(child.inboundSpi)!.outbound).toMatchObject({ packets: 1, octets: 30 });
  });
});

describe("dummy packets", () => {
  const cover = { padTo: 0, dummyEveryMs: 100, dummyLength: 500 };

  test.each(CIPHERS)("carry next header 59 and nothing, under a number of their own ($name)", (cipher) => {
    const { bed, child } = bedWith({ cipher, cover });
    expect(bed.kernel.espDummyBatch(64)).toBe(0);
    bed.view.setFloat64(CLOCK, 1100, true);
    expect(bed.kernel.espDummyBatch(64)).toBe(1);
    const [dummy] = bed.results(1);
    const plaintext = withTrailer(child.outbound, new Uint8Array(500), 59);
    const expected = sealEsp(child.outbound.facts, { sequence: 1n, plaintext });
    expect(Buffer.from(dummy!.octets).toString("hex")).toBe(Buffer.from(expected).toString("hex"));
    expect(bed.sad.traffic(child.inboundSpi)!.outbound).toMatchObject({ packets: 0, octets: 0, dummies: 1 });
    const [next] = bed.encapsulate([innerPacket(FROM_A)]);
    expect(next!.sequence).toBe(2n);
  });

  test("are sent while the SA is silent, at its pace, and not beside real packets", () => {
    const { bed } = bedWith({ cover });
    const sent: number[] = [];
    for (let now = 1000; now < 2000; now += 10) {
      bed.view.setFloat64(CLOCK, now, true);
      if (now >= 1300 && now < 1600) bed.encapsulate([innerPacket(FROM_A)]);
      for (let count = bed.kernel.espDummyBatch(64); count > 0; count--) sent.push(now);
    }
    expect(sent).toEqual([1100, 1200, 1690, 1790, 1890, 1990]);
  });

  test("say when the next is due, and none ever when no SA sends any", () => {
    const { bed } = bedWith({ cover });
    bed.kernel.espDummyBatch(64);
    expect(bed.kernel.espNextDummy()).toBe(100);
    bed.view.setFloat64(CLOCK, 1070, true);
    bed.kernel.espDummyBatch(64);
    expect(bed.kernel.espNextDummy()).toBe(30);
    const other = bedWith({});
    other.bed.kernel.espDummyBatch(64);
    expect(other.bed.kernel.espNextDummy()).toBe(Number.POSITIVE_INFINITY);
  });

  test("come from every SA in turn when there are more than a burst holds", () => {
    const bed = new EspBed();
    bed.view.setFloat64(CLOCK, 1000, true);
    const children = Array.from({ length: 10 }, () => bed.install({ selectors: ANY, cover }));
    bed.protect(...children);
    bed.kernel.espDummyBatch(4);
    bed.view.setFloat64(CLOCK, 1100, true);
    const counts = [4, 4, 4, 4].map((limit) => bed.kernel.espDummyBatch(limit));
    expect(counts).toEqual([4, 4, 2, 0]);
    for (const { inboundSpi } of children) expect(bed.sad.traffic(inboundSpi)!.outbound.dummies).toBe(1);
  });

  test("stop at the packet limit, and with the SA that is replaced or gone", async () => {
    const { bed, child } = bedWith({ cover, packetLimit: 2 });
    const dummiesAt = (now: number): number => {
      bed.view.setFloat64(CLOCK, now, true);
      return bed.kernel.espDummyBatch(64);
    };
    dummiesAt(1000);
    expect([1100, 1200, 1300, 1400].map(dummiesAt)).toEqual([1, 1, 0, 0]);
    expect(bed.encapsulate([innerPacket(FROM_A)])[0]!.status).toBe("limitReached");

    const successor = bed.install({ selectors: ANY, cover });
    bed.spd.replace([
      { action: "protect", inboundSpi: successor.inboundSpi },
      { action: "protect", inboundSpi: child.inboundSpi, isReplaced: true },
    ]);
    dummiesAt(1500);
    expect(dummiesAt(1600)).toBe(1);
    expect(bed.sad.traffic(successor.inboundSpi)!.outbound.dummies).toBe(1);
    const removal = bed.sad.remove(successor.inboundSpi);
    expect(dummiesAt(1700)).toBe(0);
    await removal;
    expect(dummiesAt(1800)).toBe(0);
  });

  test("go on when the policy of the SA moves to another precedence, or is set again", () => {
    const { bed, child } = bedWith({ cover });
    const dummiesAt = (now: number): number => {
      bed.view.setFloat64(CLOCK, now, true);
      return bed.kernel.espDummyBatch(64);
    };
    const policy = { action: "protect", inboundSpi: child.inboundSpi } as const;
    bed.spd.set(7, policy);
    bed.spd.remove(0);
    dummiesAt(1000);
    expect(dummiesAt(1100)).toBe(1);
    bed.spd.set(7, policy);
    expect(dummiesAt(1200)).toBe(1);
    bed.spd.set(7, { ...policy, isReplaced: true });
    expect(dummiesAt(1300)).toBe(0);
  });

  test("are dropped by their receiver, and counted", () => {
    const { bed, child } = bedWith({});
    const plaintext = withTrailer(child.inbound, new Uint8Array(500), 59);
    const octets = sealEsp(child.inbound.facts, { sequence: 1n, plaintext });
    expect(bed.decapsulate([octets]).map(({ status }) => status)).toEqual(["dummy"]);
  });

  test("are for so many SAs and no more", () => {
    const list = new DummyList(createSharedMemory());
    list.replace(Array.from({ length: DUMMIES_LIMIT }, () => SA_ACTIVE));
    expect(() => list.replace(Array.from({ length: DUMMIES_LIMIT + 1 }, () => 0))).toThrow(
      /data plane holds/,
    );
  });
});
