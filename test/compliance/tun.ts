import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { VNET_HEADER_SIZE } from "../../assembly/layout.ts";
import type { SharedMemory } from "../../src/platform/system-calls/system-calls.ts";
import type { Tun } from "../../src/platform/tun/tun.ts";
import { superFrame } from "../support/super-packets.ts";

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
export function tunSuite(
  name: string,
  open: (options: { readonly mtu: number; readonly offloads: "auto" | "off" }) => TunBench,
): void {
  describe.each(["off", "auto"] as const)(`${name}, offloads %s`, (offloads) => {
    let bench: TunBench;
    let octets: Uint8Array;
    let headerLength: number;

    beforeEach(() => {
      bench = open({ mtu: 1400, offloads });
      headerLength = bench.tun.offloads.headerLength;
      octets = new Uint8Array(bench.memory.buffer);
    });
    afterEach(() => bench.close());

    function read(capacity = 2048): Uint8Array {
      const length = bench.tun.read(ROOM, capacity + headerLength);
      return octets.slice(ROOM + headerLength, ROOM + Math.max(length, headerLength));
    }

    function write(packet: Uint8Array): boolean {
      octets.fill(0, ROOM, ROOM + headerLength);
      octets.set(packet, ROOM + headerLength);
      return bench.tun.write(ROOM, headerLength + packet.length);
    }

    test("tells its name and MTU", () => {
      expect(bench.tun.name).toMatch(/^[a-z]+[0-9]+$/);
      expect(bench.tun.mtu).toBe(1400);
    });

    test("says what it does for us", () => {
      expect(bench.tun.offloads).toEqual(
        offloads === "auto"
          ? { headerLength: VNET_HEADER_SIZE, tcp: true, udp: true }
          : { headerLength: 0, tcp: false, udp: false },
      );
    });

    test.each([4, 6] as const)("writes an IPv%i packet that lies in pieces", (version) => {
      const whole = packet(version, 1000, 5);
      const frame = new Uint8Array(headerLength + whole.length);
      frame.set(whole, headerLength);
      const view = new DataView(octets.buffer);
      const lengths = [headerLength + 60, 7, frame.length - headerLength - 67];
      let from = 0;
      lengths.forEach((length, i) => {
        const at = ROOM + 4096 * (i + 1);
        octets.set(frame.subarray(from, from + length), at);
        view.setUint32(ROOM + 8 * i, at, true);
        view.setUint32(ROOM + 8 * i + 4, length, true);
        from += length;
      });
      expect(bench.tun.writePieces(ROOM, 3)).toBe("taken");
      expect(bench.drain()).toEqual([whole]);
      bench.setUp(false);
      expect(bench.tun.writePieces(ROOM, 3)).toBe("refused");
    });

    if (offloads === "auto") {
      test.each([
        [4, "tcp"],
        [6, "tcp"],
        [4, "udp"],
        [6, "udp"],
      ] as const)("takes a super-packet of IPv%i and %s", (version, kind) => {
        const payload = new Uint8Array(5000).map((_, i) => i);
        const frame = superFrame({ version, kind, payload, identification: 3 }, 1200);
        octets.set(frame, ROOM);
        expect(bench.tun.write(ROOM, frame.length)).toBe(true);
        // Its checksum is the stack's to complete, and its length what headers say.
        const [arrived] = bench.drain();
        expect(arrived!.length).toBe(frame.length - headerLength);
        expect(Buffer.compare(arrived!.subarray(-5000), payload)).toBe(0);
      });
    }

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
      expect(octets.slice(ROOM + headerLength + 50, ROOM + 128)).toEqual(
        new Uint8Array(78 - headerLength).fill(0xee),
      );
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
