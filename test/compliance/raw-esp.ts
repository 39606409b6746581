import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { encodePacketInfo, encodeSocketAddress } from "../../src/platform/socket-address.ts";
import type { SharedMemory } from "../../src/platform/system-calls/system-calls.ts";
import type { UdpSocket } from "../../src/platform/udp/udp-socket.ts";

/** Two sockets of one family for ESP without UDP; the left one's host has two addresses. */
export interface RawEspBench {
  readonly memory: SharedMemory;
  readonly left: UdpSocket;
  readonly leftAddresses: readonly [string, string];
  readonly right: UdpSocket;
  readonly rightAddress: string;
  close(): void;
}

const SEND = 2 * 1024 * 1024;

/** What every socket for raw ESP does. */
export function rawEspSuite(name: string, open: (family: 4 | 6) => RawEspBench): void {
  describe.each([4, 6] as const)(`${name}, IPv%i`, (family) => {
    let bench: RawEspBench;
    let octets: Uint8Array;

    beforeEach(() => {
      bench = open(family);
      octets = new Uint8Array(bench.memory.buffer);
    });
    afterEach(() => bench.close());

    function queue(
      payload: Uint8Array,
      { at = SEND, from = bench.leftAddresses[0], trafficClass = 0 } = {},
    ): boolean {
      const peer = encodeSocketAddress({ address: bench.rightAddress, port: 0 });
      const control = encodePacketInfo(from);
      octets.set(peer, at);
      octets.set(control, at + 64);
      octets.set(payload, at + 256);
      return bench.left.queue({
        address: at + 256,
        length: payload.length,
        segmentLength: payload.length,
        peer: at,
        peerLength: peer.length,
        control: at + 64,
        controlLength: control.length,
        trafficClass,
        mayFragment: true,
      });
    }

    const received = (count: number): Uint8Array[] =>
      Array.from({ length: count }, (_, i) => {
        const at = bench.right.receivedAt(i);
        return octets.slice(at, at + bench.right.receivedLength(i));
      });

    test("gives packets of every length as they were sent, from the SPI on, one by one", () => {
      const sent = [8, 9, 60, 1400, 1472, 9000, 60_000].map((length, i) =>
        new Uint8Array(length).fill(0x45 + i),
      );
      sent.forEach((payload, i) => {
        expect(queue(payload, { at: SEND + i * 70_000 })).toBe(true);
      });
      expect(bench.left.transmit()).toBe(sent.length);
      expect(bench.right.receive(64)).toBe(sent.length);
      expect(received(sent.length)).toEqual(sent);
      expect(sent.map((_, i) => bench.right.receivedSegmentLength(i))).toEqual(sent.map(() => 0));
      expect(bench.right.receive(64)).toBe(0);
    });

    test("takes no message of several packets", () => {
      expect(bench.left.maySegment(100)).toBe(false);
    });

    test("leaves from the address that the control message names, and tells it", () => {
      const [first, second] = bench.leftAddresses;
      for (const [i, from] of [first, second, first].entries()) {
        queue(new Uint8Array(16).fill(i), { from, at: SEND + i * 1024 });
      }
      bench.left.transmit();
      expect(bench.right.receive(64)).toBe(3);
      expect([0, 1, 2].map((i) => bench.right.receivedFrom(i))).toEqual(
        [first, second, first].map((address) => ({ address, port: 0 })),
      );
    });

    test("carries the traffic class of each packet, DSCP and ECN", () => {
      const classes = [0, 1, 2, 3, 0xb8, 0xff, 0];
      for (const [i, trafficClass] of classes.entries()) {
        queue(new Uint8Array(16).fill(i), { at: SEND + i * 1024, trafficClass });
      }
      expect(bench.left.transmit()).toBe(classes.length);
      expect(bench.right.receive(64)).toBe(classes.length);
      expect(classes.map((_, i) => bench.right.receivedTrafficClass(i))).toEqual(classes);
    });

    test("receives no more than was asked for and keeps the rest", () => {
      for (let i = 0; i < 10; i++) queue(new Uint8Array(16).fill(i), { at: SEND + i * 1024 });
      bench.left.transmit();
      expect(bench.right.receive(4)).toBe(4);
      expect(received(4).map(([first]) => first)).toEqual([0, 1, 2, 3]);
      expect(bench.right.receive(64)).toBe(6);
      expect(received(6).map(([first]) => first)).toEqual([4, 5, 6, 7, 8, 9]);
    });

    test("drops the packet that cannot leave and sends those around it", () => {
      queue(new Uint8Array(16).fill(1));
      queue(new Uint8Array(65_536), { at: SEND + 1024 });
      queue(new Uint8Array(16).fill(3), { at: SEND + 70_000 });
      expect(bench.left.transmit()).toBe(2);
      expect(bench.right.receive(64)).toBe(2);
      expect(received(2).map(([first]) => first)).toEqual([1, 3]);
    });

    test("drops a packet whose source is not ours", () => {
      queue(new Uint8Array(16), { from: family === 4 ? "192.0.2.99" : "2001:db8::99" });
      expect(bench.left.transmit()).toBe(0);
      expect(bench.right.receive(64)).toBe(0);
    });
  });
}
