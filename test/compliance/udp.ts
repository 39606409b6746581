import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { RECEIVE_SLOT_COUNT } from "../../assembly/layout.ts";
import type { SocketAddress } from "../../src/platform/address.ts";
import { encodePacketInfo, encodeSocketAddress } from "../../src/platform/socket-address.ts";
import type { SharedMemory } from "../../src/platform/system-calls/system-calls.ts";
import type { DatagramSender, UdpSocket } from "../../src/platform/udp/udp-socket.ts";

/** Two sockets of one family that reach each other; the left one's host has two addresses. */
export interface UdpBench {
  readonly memory: SharedMemory;
  readonly left: UdpSocket;
  readonly leftAddresses: readonly [string, string];
  readonly leftSender: DatagramSender;
  readonly right: UdpSocket;
  readonly rightAddress: string;
  /** The largest packet that leaves either host, IP header included. */
  setLinkMtu(mtu: number): void;
  /** What the left host knows of the largest packet to the right one. */
  pathMtu(): number | undefined;
  close(): void;
}

export type Offloads = "auto" | "off";

const SEND = 2 * 1024 * 1024;

/** What every UdpSocket and DatagramSender does. */
export function udpSuite(name: string, open: (family: 4 | 6, offloads: Offloads) => UdpBench): void {
  const kinds = ([4, 6] as const).flatMap((family) =>
    (["off", "auto"] as const).map((offloads) => [family, offloads] as const),
  );
  describe.each(kinds)(`${name}, IPv%i, offloads %s`, (family, offloads) => {
    let bench: UdpBench;
    let octets: Uint8Array;

    beforeEach(() => {
      bench = open(family, offloads);
      octets = new Uint8Array(bench.memory.buffer);
    });
    afterEach(() => bench.close());

    /** Queues a datagram from the left socket, as the data worker does with an SA's peer and control. */
    function queue({
      payload,
      to = { address: bench.rightAddress, port: bench.right.port },
      from,
      at = SEND,
      segmentLength = payload.length,
      trafficClass = 0,
      mayFragment = true,
    }: {
      readonly payload: Uint8Array;
      readonly segmentLength?: number;
      readonly trafficClass?: number;
      readonly mayFragment?: boolean;
      readonly to?: SocketAddress;
      readonly from?: string;
      readonly at?: number;
    }): boolean {
      const peer = encodeSocketAddress(to);
      const control = from === undefined ? new Uint8Array(0) : encodePacketInfo(from);
      octets.set(peer, at);
      octets.set(control, at + 64);
      octets.set(payload, at + 256);
      return bench.left.queue({
        address: at + 256,
        length: payload.length,
        segmentLength,
        peer: at,
        peerLength: peer.length,
        control: at + 64,
        controlLength: control.length,
        trafficClass,
        mayFragment,
      });
    }

    function payloads(count: number): Uint8Array[] {
      return Array.from({ length: count }, (_, i) => {
        const at = bench.right.receivedAt(i);
        return octets.slice(at, at + bench.right.receivedLength(i));
      });
    }

    /** The datagrams of `count` messages. */
    function datagrams(count: number): Uint8Array[] {
      return payloads(count).flatMap((message, i) => {
        const length = bench.right.receivedSegmentLength(i) || message.length;
        const pieces = Math.max(1, Math.ceil(message.length / length));
        return Array.from({ length: pieces }, (_, piece) =>
          message.slice(piece * length, (piece + 1) * length),
        );
      });
    }

    /** Everything that arrived, message by message until there is no more. */
    function drain(): Uint8Array[] {
      const all: Uint8Array[] = [];
      for (let count = bench.right.receive(64); count > 0; count = bench.right.receive(64)) {
        all.push(...datagrams(count));
      }
      return all;
    }

    test("says whether a message may be several datagrams", () => {
      expect(bench.left.maySegment(100)).toBe(offloads === "auto");
    });

    if (offloads === "auto") {
      test.each([
        ["of equal length", 700, 100],
        ["the last of which is shorter", 650, 100],
        ["of one octet", 64, 1],
        ["as many and as long as a message can be", 65_408, 1022],
        ["with one among them that is nearly empty", 1001, 1000],
      ])("a message is cut into datagrams %s", (_, length, segmentLength) => {
        const payload = new Uint8Array(length).map((_, i) => i ^ (i >> 8));
        expect(queue({ payload, segmentLength, from: bench.leftAddresses[1] })).toBe(true);
        expect(queue({ payload: Uint8Array.of(7), at: SEND + 100_000 })).toBe(true);
        const count = Math.ceil(length / segmentLength);
        expect(bench.left.transmit()).toBe(count + 1);
        const arrived = drain();
        expect(arrived.map((each) => each.length)).toEqual(
          Array.from({ length: count }, (_, i) => Math.min(segmentLength, length - i * segmentLength)).concat(
            1,
          ),
        );
        expect(Buffer.compare(Buffer.concat(arrived.slice(0, -1)), payload)).toBe(0);
      });

      test("datagrams of one message come as one, and everybody is told from whom", () => {
        const payload = new Uint8Array(1000).fill(3);
        queue({ payload, segmentLength: 300, from: bench.leftAddresses[1] });
        bench.left.transmit();
        expect(bench.right.receive(64)).toBe(1);
        expect(bench.right.receivedSegmentLength(0)).toBe(300);
        expect(bench.right.receivedLength(0)).toBe(1000);
        expect(bench.right.receivedFrom(0).address).toBe(bench.leftAddresses[1]);
        expect(bench.right.receivedTo(0).address).toBe(bench.rightAddress);
      });
    }

    if (offloads === "auto") {
      test("a message of several datagrams has one traffic class, and those of different ones stay apart", () => {
        const classes = [0x2a, 0x2b, 0];
        for (const [i, trafficClass] of classes.entries()) {
          const payload = new Uint8Array(1000).fill(i);
          queue({ payload, segmentLength: 300, at: SEND + i * 2048, trafficClass });
        }
        expect(bench.left.transmit()).toBe(12);
        expect(bench.right.receive(64)).toBe(3);
        expect(classes.map((_, i) => bench.right.receivedTrafficClass(i))).toEqual(classes);
        expect(classes.map((_, i) => bench.right.receivedSegmentLength(i))).toEqual([300, 300, 300]);
      });
    }

    test("receives 0 when nothing waits", () => {
      expect(bench.right.receive(64)).toBe(0);
    });

    test("carries datagrams of every length in order, empty ones too", () => {
      const sent = [0, 1, 1400, 9000, 65_000].map((length, i) => new Uint8Array(length).fill(i + 1));
      for (const [i, payload] of sent.entries()) {
        expect(queue({ payload, at: SEND + i * 70_000 })).toBe(true);
      }
      expect(bench.left.transmit()).toBe(sent.length);
      expect(bench.right.receive(64)).toBe(sent.length);
      expect(payloads(sent.length)).toEqual(sent);
      expect(bench.right.receive(64)).toBe(0);
    });

    test("tells who sent a datagram and which address it reached", () => {
      queue({ payload: Uint8Array.of(1), from: bench.leftAddresses[1] });
      expect(bench.left.transmit()).toBe(1);
      expect(bench.right.receive(64)).toBe(1);
      expect(bench.right.receivedFrom(0)).toEqual({ address: bench.leftAddresses[1], port: bench.left.port });
      expect(bench.right.receivedTo(0)).toEqual({ address: bench.rightAddress, port: bench.right.port });
    });

    test("leaves from the address that the control message names, one datagram after another", () => {
      const [first, second] = bench.leftAddresses;
      for (const [i, from] of [first, second, first].entries()) {
        queue({ payload: Uint8Array.of(i), from, at: SEND + i * 1024 });
      }
      bench.left.transmit();
      expect(bench.right.receive(64)).toBe(3);
      expect([0, 1, 2].map((i) => bench.right.receivedFrom(i).address)).toEqual([first, second, first]);
    });

    test("carries the traffic class of each datagram, DSCP and ECN", () => {
      const classes = [0, 1, 2, 3, 0xb8, 0xff, 0];
      for (const [i, trafficClass] of classes.entries()) {
        const from = i % 2 === 0 ? undefined : bench.leftAddresses[1];
        queue({ payload: Uint8Array.of(i), at: SEND + i * 1024, trafficClass, ...(from && { from }) });
      }
      expect(bench.left.transmit()).toBe(classes.length);
      expect(bench.right.receive(64)).toBe(classes.length);
      expect(classes.map((_, i) => bench.right.receivedTrafficClass(i))).toEqual(classes);
      expect(bench.right.receivedFrom(1).address).toBe(bench.leftAddresses[1]);
      expect(bench.right.receivedTo(1).address).toBe(bench.rightAddress);
    });

    test("receives no more than was asked for and keeps the rest", () => {
      for (let i = 0; i < 10; i++) queue({ payload: Uint8Array.of(i), at: SEND + i * 1024 });
      bench.left.transmit();
      expect(bench.right.receive(4)).toBe(4);
      expect(payloads(4)).toEqual([0, 1, 2, 3].map((i) => Uint8Array.of(i)));
      expect(bench.right.receive(64)).toBe(6);
      expect(payloads(6)).toEqual([4, 5, 6, 7, 8, 9].map((i) => Uint8Array.of(i)));
    });

    test("fills at most the worker's receive slots at once", () => {
      for (let i = 0; i < 100; i++) queue({ payload: Uint8Array.of(i), at: SEND + i * 1024 });
      expect(bench.left.transmit()).toBe(100);
      expect(bench.right.receive(1000)).toBe(RECEIVE_SLOT_COUNT);
      expect(bench.right.receive(1000)).toBe(100 - RECEIVE_SLOT_COUNT);
    });

    test("refuses to queue beyond the batch, and takes more after a transmit", () => {
      let count = 0;
      while (count < 10_000 && queue({ payload: Uint8Array.of(1) })) count++;
      expect(count).toBe(128);
      expect(bench.left.transmit()).toBe(128);
      expect(queue({ payload: Uint8Array.of(1) })).toBe(true);
    });

    test("drops the datagram that cannot leave and sends those around it", () => {
      queue({ payload: Uint8Array.of(1) });
      queue({ payload: new Uint8Array(65_530), at: SEND + 1024 });
      queue({ payload: Uint8Array.of(3), at: SEND + 70_000 });
      expect(bench.left.transmit()).toBe(2);
      expect(bench.right.receive(64)).toBe(2);
      expect(payloads(2)).toEqual([Uint8Array.of(1), Uint8Array.of(3)]);
    });

    test("refuses what is longer than the link, unless it may be fragmented, and says whose it was", () => {
      bench.setLinkMtu(1400);
      expect(bench.pathMtu()).toBe(1400);
      const longest = 1400 - (family === 4 ? 28 : 48);
      const lengths = [longest, longest + 1, longest + 1, 100];
      const may = [false, false, true, false];
      for (const [i, length] of lengths.entries()) {
        const payload = new Uint8Array(length).fill(i);
        queue({ payload, at: SEND + i * 4096, mayFragment: may[i]! });
      }
      expect(bench.left.takeTooLong()).toBe(0);
      expect(bench.left.transmit()).toBe(3);
      expect(bench.left.takeTooLong()).toBe(SEND + 4096);
      expect(bench.left.takeTooLong()).toBe(0);
      expect(drain().map((each) => [each.length, each[0]])).toEqual([
        [longest, 0],
        [longest + 1, 2],
        [100, 3],
      ]);
    });

    test("refuses a message of datagrams that are each longer than the link, and sends one of those that fit", () => {
      bench.setLinkMtu(1400);
      const longest = 1400 - (family === 4 ? 28 : 48);
      const several = offloads === "auto" ? 3 : 1;
      for (const [i, segmentLength] of [longest + 1, longest].entries()) {
        const payload = new Uint8Array(several * segmentLength).fill(i);
        queue({ payload, at: SEND + i * 8192, segmentLength, mayFragment: false });
      }
      expect(bench.left.transmit()).toBe(several);
      expect(bench.left.takeTooLong()).toBe(SEND);
      expect(drain().map((each) => [each.length, each[0]])).toEqual(Array(several).fill([longest, 1]));
    });

    test("the host's IKE datagrams pass a short link in fragments", () => {
      bench.setLinkMtu(1400);
      const from = { address: bench.leftAddresses[1], port: bench.left.port };
      const to = { address: bench.rightAddress, port: bench.right.port };
      expect(bench.leftSender.send({ octets: new Uint8Array(3000).fill(5), from, to })).toBeUndefined();
      expect(drain()).toEqual([new Uint8Array(3000).fill(5)]);
      // What follows has DF again.
      queue({ payload: new Uint8Array(1400), mayFragment: false });
      expect(bench.left.transmit()).toBe(0);
    });

    test("a probe of the host's goes as it is, or not at all where it is longer than the link", () => {
      bench.setLinkMtu(1400);
      const from = { address: bench.leftAddresses[1], port: bench.left.port };
      const to = { address: bench.rightAddress, port: bench.right.port };
      const longest = 1400 - (family === 4 ? 28 : 48);
      const probe = (length: number) =>
        bench.leftSender.send({ octets: new Uint8Array(length), from, to, mayFragment: false });
      expect(probe(longest + 1)).toBe("EMSGSIZE");
      expect(probe(longest)).toBeUndefined();
      expect(drain().map(({ length }) => length)).toEqual([longest]);
      // Other datagrams of the host's still pass in fragments.
      expect(bench.leftSender.send({ octets: new Uint8Array(3000), from, to })).toBeUndefined();
      expect(drain().map(({ length }) => length)).toEqual([3000]);
    });

    test("drops a datagram whose source is not ours", () => {
      queue({ payload: Uint8Array.of(1), from: family === 4 ? "192.0.2.99" : "2001:db8::99" });
      expect(bench.left.transmit()).toBe(0);
      expect(bench.right.receive(64)).toBe(0);
    });

    test("goes on after nobody listened where a datagram went", () => {
      const nobody = { address: bench.rightAddress, port: 9 };
      for (let round = 0; round < 3; round++) {
        queue({ payload: Uint8Array.of(1), to: nobody });
        bench.left.transmit();
        expect(bench.left.receive(64)).toBe(0);
        queue({ payload: Uint8Array.of(2) });
        expect(bench.left.transmit()).toBe(1);
      }
      expect(bench.right.receive(64)).toBe(3);
    });

    test("the host sends from the address and port that it names", () => {
      const from = { address: bench.leftAddresses[1], port: bench.left.port };
      const to = { address: bench.rightAddress, port: bench.right.port };
      expect(bench.leftSender.send({ octets: Uint8Array.of(7, 8), from, to })).toBeUndefined();
      expect(bench.right.receive(64)).toBe(1);
      expect(payloads(1)).toEqual([Uint8Array.of(7, 8)]);
      expect(bench.right.receivedFrom(0)).toEqual(from);
    });

    test("the host is told why a datagram did not leave", () => {
      const from = { address: bench.leftAddresses[0], port: bench.left.port };
      const to = { address: bench.rightAddress, port: bench.right.port };
      const strange = { address: family === 4 ? "192.0.2.99" : "2001:db8::99", port: bench.left.port };
      expect(bench.leftSender.send({ octets: new Uint8Array(65_600), from, to })).toBe("EMSGSIZE");
      expect(bench.leftSender.send({ octets: Uint8Array.of(1), from: strange, to })).toMatch(
        /^(EINVAL|ENETUNREACH|EADDRNOTAVAIL)$/,
      );
    });
  });
}
