import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { SharedMemory } from "../../src/platform/system-calls/system-calls.ts";
import type { Tun } from "../../src/platform/tun/tun.ts";

/** A device that is up, with the host's side of it. */
export interface TunBench {
  readonly tun: Tun;
  readonly memory: SharedMemory;
  /** The host's stack sends a packet into the device. */
  inject(packet: Uint8Array): void;
  /** What the host's stack got from the device since the last call. */
  drain(): Uint8Array[];
  setUp(isUp: boolean): void;
  /** The device disappears under its reader. */
  destroy(): void;
  close(): void;
}

const ROOM = 1024 * 1024;

/** What every Tun does. */
export function tunSuite(name: string, open: (options: { readonly mtu: number }) => TunBench): void {
  describe(name, () => {
    let bench: TunBench;
    let octets: Uint8Array;

    beforeEach(() => {
      bench = open({ mtu: 1400 });
      octets = new Uint8Array(bench.memory.buffer);
    });
    afterEach(() => bench.close());

    function read(capacity = 2048): Uint8Array {
      const length = bench.tun.read(ROOM, capacity);
      return octets.slice(ROOM, ROOM + length);
    }

    function write(packet: Uint8Array): boolean {
      octets.set(packet, ROOM);
      return bench.tun.write(ROOM, packet.length);
    }

    test("tells its name and MTU", () => {
      expect(bench.tun.name).toMatch(/^[a-z]+[0-9]+$/);
      expect(bench.tun.mtu).toBe(1400);
    });

    test("reads 0 when nothing waits", () => {
      expect(bench.tun.read(ROOM, 2048)).toBe(0);
    });

    test.each([4, 6] as const)("reads IPv%i packets whole, in order, and then 0", (version) => {
      const packets = [packet(version, 60, 1), packet(version, 1400, 2), packet(version, 61, 3)];
      for (const each of packets) bench.inject(each);
      for (const each of packets) expect(read()).toEqual(each);
      expect(read()).toHaveLength(0);
    });

    test("cuts off a packet that is longer than the room for it, and writes nothing behind", () => {
      bench.inject(packet(4, 100, 1));
      octets.fill(0xee, ROOM, ROOM + 128);
      expect(read(50)).toEqual(packet(4, 100, 1).subarray(0, 50));
      expect(octets.slice(ROOM + 50, ROOM + 128)).toEqual(new Uint8Array(78).fill(0xee));
      expect(bench.tun.read(ROOM, 2048)).toBe(0);
    });

    test.each([4, 6] as const)("writes IPv%i packets in order", (version) => {
      const packets = [packet(version, 1400, 1), packet(version, 48, 2)];
      for (const each of packets) expect(write(each)).toBe(true);
      expect(bench.drain()).toEqual(packets);
    });

    test("refuses what is neither IPv4 nor IPv6", () => {
      expect(
        write(Uint8Array.of(0x10, 0, 0, 20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)),
      ).toBe(false);
      expect(write(new Uint8Array(0))).toBe(false);
      expect(bench.drain()).toEqual([]);
    });

    test("refuses packets while the link is down, and takes them again", () => {
      bench.setUp(false);
      expect(write(packet(4, 60, 1))).toBe(false);
      expect(read()).toHaveLength(0);
      bench.setUp(true);
      expect(write(packet(4, 60, 2))).toBe(true);
      expect(bench.drain()).toEqual([packet(4, 60, 2)]);
    });

    test("holds a bounded number of packets for its reader", () => {
      for (let i = 0; i < 600; i++) bench.inject(packet(4, 60, i));
      let count = 0;
      while (bench.tun.read(ROOM, 2048) > 0) count++;
      expect(count).toBeGreaterThanOrEqual(64);
      expect(count).toBeLessThan(600);
    });

    test("says so when the device is gone", () => {
      bench.destroy();
      expect(() => bench.tun.read(ROOM, 2048)).toThrow(
        expect.objectContaining({ name: "PlatformError", message: expect.stringContaining(bench.tun.name) }),
      );
      expect(write(packet(4, 60, 1))).toBe(false);
    });
  });
}

/** A UDP packet between documentation addresses, with `mark` in its payload. No checksums: nobody delivers it further. */
function packet(version: 4 | 6, length: number, mark: number): Uint8Array {
  const result = new Uint8Array(length);
  const view = new DataView(result.buffer);
  result[0] = version << 4;
  if (version === 4) {
    result[0] |= 5;
    view.setUint16(2, length);
    result[8] = 64;
    result[9] = 17;
    result.set([192, 0, 2, 1, 198, 51, 100, 1], 12);
  } else {
    view.setUint16(4, length - 40);
    result[6] = 17;
    result[7] = 64;
    result.set([0x20, 1, 0xd, 0xb8], 8);
    result.set([0x20, 1, 0xd, 0xb8], 24);
  }
  view.setUint32(length - 4, mark);
  return result;
}
