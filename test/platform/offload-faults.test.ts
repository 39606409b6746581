import { describe, expect, test } from "vitest";
import { VNET_HEADER_SIZE } from "../../assembly/layout.ts";
import { ioBlock } from "../../src/platform/io-region.ts";
import {
  IFF_VNET_HDR,
  SOL_UDP,
  TUN_F_CSUM,
  TUN_F_TSO4,
  TUN_F_TSO6,
  TUNSETIFF,
  UDP_GRO,
  UDP_SEGMENT,
} from "../../src/platform/system-calls/constants.ts";
import { Errno } from "../../src/platform/system-calls/errno.ts";
import { LinuxTun, openTun } from "../../src/platform/tun/linux-tun.ts";
import { LinuxUdpSocket } from "../../src/platform/udp/linux-udp-socket.ts";
import { openUdpSocket } from "../../src/platform/udp/open-udp-socket.ts";
import { type Answer, FaultySystemCalls } from "../support/faulty-system-calls.ts";
import { sharedMemory } from "../support/shared-memory.ts";

const memory = sharedMemory();
const view = new DataView(memory.buffer);
const E = Errno;
const ENOPROTOOPT = 92;
const BASE = 0x7f12_3456_7000;
const SOCKET = {
  descriptor: 7,
  family: 4,
  port: 4500,
  worker: 1,
  index: 0,
  canSegment: true,
  canCoalesce: true,
  setsDontFragment: false,
} as const;

/** What a sendmmsg is given, message by message. */
interface Offered {
  readonly address: number;
  readonly length: number;
  /** Of the UDP_SEGMENT control message, 0 when there is none. */
  readonly segmentLength: number;
}

describe("a UDP socket that may segment", () => {
  function bench(answer: (offered: readonly Offered[]) => number) {
    const calls: Offered[][] = [];
    const refusals: string[] = [];
    const sendmmsg: Answer = (_: number, headers: number, count: number) => {
      const offered = Array.from({ length: count }, (_, i) => messageAt(headers + 64 * i));
      calls.push(offered);
      return answer(offered);
    };
    const { systemCalls } = new FaultySystemCalls(memory, { sendmmsg: [sendmmsg] }, { base: BASE });
    const socket = new LinuxUdpSocket(systemCalls, { ...SOCKET, onRefusal: (what) => refusals.push(what) });
    const queue = (address: number, length: number, segmentLength = length): void => {
      const isTaken = socket.queue({
        address,
        length,
        segmentLength,
        peer: 64,
        peerLength: 16,
        control: 128,
        controlLength: 32,
        trafficClass: 0,
        mayFragment: false,
      });
      expect(isTaken).toBe(true);
    };
    return { socket, calls, refusals, queue };
  }

  const isSegmented = (offered: readonly Offered[]): boolean => offered[0]!.segmentLength > 0;

  test("says so in a control message behind the path's own, and only where there are several datagrams", () => {
    view.setUint32(128, 28, true);
    view.setUint32(136, 0x1234, true);
    const { socket, calls, queue } = bench((offered) => offered.length);
    queue(0, 1000, 300);
    queue(2000, 300);
    expect(socket.transmit()).toBe(5);
    expect(calls).toEqual([
      [
        { address: 0, length: 1000, segmentLength: 300 },
        { address: 2000, length: 300, segmentLength: 0 },
      ],
    ]);
    const header = ioBlock(1, 0) + 64 * (64 + 16 + 32 + 128);
    const control = Number(view.getBigUint64(header + 32, true)) - BASE;
    expect([view.getUint32(control, true), view.getUint32(control + 8, true)]).toEqual([28, 0x1234]);
    expect(view.getUint32(header + 40, true)).toBe(56);
  });

  test("sends singly for ever after EIO, and says so once", () => {
    const { socket, calls, refusals, queue } = bench((offered) =>
      isSegmented(offered) ? -E.EIO : offered.length,
    );
    queue(0, 250, 100);
    queue(1000, 200, 100);
    queue(2000, 50);
    expect(socket.transmit()).toBe(6);
    expect(calls.map((offered) => offered.map(({ address, length }) => [address, length]))).toEqual([
      [
        [0, 250],
        [1000, 200],
        [2000, 50],
      ],
      [
        [0, 100],
        [100, 100],
        [200, 50],
      ],
      [
        [1000, 200],
        [2000, 50],
      ],
      [
        [1000, 100],
        [1100, 100],
      ],
      [[2000, 50]],
    ]);
    expect(refusals).toEqual(["UDP port 4500: the kernel does not segment (EIO)"]);
    expect(socket.maySegment(1)).toBe(false);
  });

  test.each([
    ["EMSGSIZE", E.EMSGSIZE],
    ["EINVAL", E.EINVAL],
  ])("sends what does not fit the path singly on %s, and smaller ones as before", (_, errno) => {
    const { socket, refusals, queue } = bench((offered) => {
      const unfit = offered.findIndex(({ segmentLength }) => segmentLength >= 1500);
      if (unfit < 0) return offered.length;
      return unfit === 0 ? -errno : unfit;
    });
    queue(0, 1000, 500);
    queue(1000, 5000, 2000);
    queue(6000, 800, 400);
    expect(socket.transmit()).toBe(7);
    expect([1999, 2000, 2001].map((length) => socket.maySegment(length))).toEqual([true, false, false]);
    expect(refusals).toEqual([]);
    // A path may change: after a while it is tried again.
    for (let i = 0; i < 10_000; i++) socket.transmit();
    expect(socket.maySegment(2000)).toBe(true);
  });

  test("blames the path only when the datagrams leave singly", () => {
    const { socket, queue } = bench(() => -E.EINVAL);
    queue(0, 1000, 500);
    expect(socket.transmit()).toBe(0);
    expect(socket.maySegment(500)).toBe(true);
  });

  test.each([
    ["EAGAIN", E.EAGAIN],
    ["ENOBUFS", E.ENOBUFS],
  ])("drops the rest of the batch on %s, and counts in datagrams what had left", (name, errno) => {
    const answers = [1, -errno];
    const { socket, calls, queue } = bench(() => answers.shift()!);
    queue(0, 1000, 100);
    queue(1000, 500, 100);
    queue(2000, 500, 100);
    expect(socket.transmit()).toBe(10);
    expect(calls.length).toBe(2);
    expect(socket.lastError).toBe(name);
  });

  test("drops the rest when the queue fills up while a message is sent singly", () => {
    const answers = [-E.EIO, 2, -E.ENOBUFS];
    const { socket, calls, queue } = bench(() => answers.shift()!);
    queue(0, 1000, 100);
    queue(2000, 500, 100);
    expect(socket.transmit()).toBe(2);
    expect(calls.length).toBe(3);
  });

  test("tries a message again that met the error of an earlier datagram", () => {
    const answers = [-E.ECONNREFUSED, 1];
    const { socket, queue } = bench(() => answers.shift()!);
    queue(0, 1000, 100);
    expect(socket.transmit()).toBe(10);
  });

  test("comes to an end whatever the system answers", () => {
    for (const errno of [...Object.values(Errno), 0]) {
      const { socket, queue } = bench(() => -errno);
      queue(0, 1000, 100);
      queue(1000, 100);
      expect(socket.transmit()).toBe(0);
    }
  });
});

describe("a UDP socket that may coalesce", () => {
  test.each<[string, (control: number) => number, number]>([
    ["none", () => 0, 0],
    ["packet info", (at) => putControl(at, { level: 0, type: 8, length: 28 }), 0],
    ["UDP_GRO", (at) => putControl(at, { level: SOL_UDP, type: UDP_GRO, length: 20, value: 1400 }), 1400],
    [
      "packet info and UDP_GRO",
      (at) => {
        const first = putControl(at, { level: 0, type: 8, length: 28 });
        return first + putControl(at + first, { level: SOL_UDP, type: UDP_GRO, length: 20, value: 77 });
      },
      77,
    ],
    ["one that claims to be empty", (at) => putControl(at, { level: 0, type: 8, length: 0, space: 64 }), 0],
    [
      "another one of its level",
      (at) => putControl(at, { level: SOL_UDP, type: 1, length: 20, value: 9 }),
      0,
    ],
  ])("reads the length of datagrams from the control messages: %s", (_, fill, expected) => {
    const recvmmsg: Answer = (_: number, header: number) => {
      const control = Number(view.getBigUint64(header + 32, true)) - BASE;
      new Uint8Array(memory.buffer).fill(0, control, control + 128);
      view.setUint32(header + 40, fill(control), true);
      return 1;
    };
    const { systemCalls } = new FaultySystemCalls(memory, { recvmmsg: [recvmmsg] }, { base: BASE });
    const socket = new LinuxUdpSocket(systemCalls, SOCKET);
    expect(socket.receive(64)).toBe(1);
    expect(socket.receivedSegmentLength(0)).toBe(expected);
  });

  test("is opened without what the kernel lacks, which it says", () => {
    const setsockopt = (_: number, level: number): number => (level === SOL_UDP ? -ENOPROTOOPT : 0);
    const open = (offloads: "auto" | "off") => {
      const faulty = new FaultySystemCalls(memory, { socket: [33], setsockopt: [setsockopt] });
      const opened = openUdpSocket(faulty.systemCalls, { address: "0.0.0.0", port: 4500, offloads });
      const asked = faulty.of("setsockopt").filter(([, level]) => level === SOL_UDP);
      return { opened, asked: asked.map(([, , option]) => option) };
    };
    expect(open("auto")).toMatchObject({
      opened: {
        canSegment: false,
        canCoalesce: false,
        setsDontFragment: false,
        refusals: [
          "UDP port 4500 on 0.0.0.0: the kernel has no UDP segmentation (ENOPROTOOPT)",
          "UDP port 4500 on 0.0.0.0: the kernel has no UDP coalescing (ENOPROTOOPT)",
        ],
      },
      asked: [UDP_SEGMENT, UDP_GRO],
    });
    expect(open("off")).toMatchObject({
      opened: { canSegment: false, canCoalesce: false, refusals: [] },
      asked: [],
    });
  });
});

describe("a TUN device whose kernel lacks offloads", () => {
  const TCP = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;

  function open(plan: {
    readonly ioctl?: Answer;
    readonly ioctlNumber?: Answer;
    readonly offloads?: "auto" | "off";
  }) {
    const faulty = new FaultySystemCalls(memory, {
      open: [5],
      socket: [6],
      ioctl: [plan.ioctl ?? 0],
      ioctlNumber: [plan.ioctlNumber ?? 0],
    });
    const opened = openTun(faulty.systemCalls, {
      name: "ikebana0",
      mtu: 1400,
      offloads: plan.offloads ?? "auto",
    });
    return { opened, asked: faulty.of("ioctlNumber").map(([, , offloads]) => offloads) };
  }

  test("has all of them on a kernel that has all", () => {
    expect(open({})).toMatchObject({
      opened: { offloads: { headerLength: VNET_HEADER_SIZE, tcp: true, udp: true }, refusals: [] },
      asked: [0x67],
    });
  });

  test("has none when they are not wanted", () => {
    expect(open({ offloads: "off" })).toMatchObject({
      opened: { offloads: { headerLength: 0, tcp: false, udp: false }, refusals: [] },
      asked: [],
    });
  });

  test("has those of TCP where UDP has none", () => {
    const ioctlNumber = (_: number, __: number, offloads: number) => (offloads === TCP ? 0 : -E.EINVAL);
    expect(open({ ioctlNumber })).toMatchObject({
      opened: {
        offloads: { headerLength: VNET_HEADER_SIZE, tcp: true, udp: false },
        refusals: ["TUN device ikebana0: the kernel has no segmentation of UDP (EINVAL)"],
      },
      asked: [0x67, 0x07],
    });
  });

  test("has headers and nothing else where there is none", () => {
    expect(open({ ioctlNumber: -E.EINVAL })).toMatchObject({
      opened: {
        offloads: { headerLength: VNET_HEADER_SIZE, tcp: false, udp: false },
        refusals: ["TUN device ikebana0: the kernel has no segmentation of TCP and UDP (EINVAL)"],
      },
    });
  });

  test("goes without headers where there are none", () => {
    const ioctl = (_: number, request: number, argument: Uint8Array): number => {
      const flags = argument[16]! | (argument[17]! << 8);
      return request === TUNSETIFF && (flags & IFF_VNET_HDR) !== 0 ? -E.EINVAL : 0;
    };
    expect(open({ ioctl })).toMatchObject({
      opened: {
        offloads: { headerLength: 0, tcp: false, udp: false },
        refusals: ["TUN device ikebana0: the kernel has no packet headers, so no offloads (EINVAL)"],
      },
      asked: [],
    });
  });

  test.each([
    [-E.EINVAL, "unsupported"],
    [-E.EAGAIN, "refused"],
    [-E.ENOBUFS, "refused"],
    [-E.EIO, "refused"],
    [300, "taken"],
    [200, "refused"],
  ] as const)("a super-packet whose write ends with %i is %s", (result, expected) => {
    const faulty = new FaultySystemCalls(memory, { writev: [result] }, { base: BASE });
    const { opened } = open({});
    const tun = new LinuxTun(faulty.systemCalls, opened, 1);
    const pieces = 1024;
    [5000, 100, 9000, 200].forEach((word, i) => {
      view.setUint32(pieces + 4 * i, word, true);
    });
    expect(tun.writePieces(pieces, 2)).toBe(expected);
    const [descriptor, vectors, count] = faulty.of("writev")[0]!;
    expect([descriptor, count]).toEqual([5, 2]);
    const pointer = (at: number): number => Number(view.getBigUint64(Number(vectors) + at, true));
    expect([pointer(0) - BASE, pointer(8), pointer(16) - BASE, pointer(24)]).toEqual([5000, 100, 9000, 200]);
  });
});

function messageAt(header: number): Offered {
  const pointer = (at: number): number => Number(view.getBigUint64(at, true)) - BASE;
  const vector = pointer(header + 16);
  const controlLength = view.getUint32(header + 40, true);
  const segment = pointer(header + 32) + 32;
  const isSegment =
    controlLength === 56 &&
    view.getUint32(segment, true) === 18 &&
    view.getUint32(segment + 8, true) === SOL_UDP &&
    view.getUint32(segment + 12, true) === UDP_SEGMENT;
  return {
    address: pointer(vector),
    length: view.getUint32(vector + 8, true),
    segmentLength: isSegment ? view.getUint16(segment + 16, true) : 0,
  };
}

/** Returns how much room it takes. */
function putControl(
  at: number,
  message: {
    readonly level: number;
    readonly type: number;
    readonly length: number;
    readonly value?: number;
    readonly space?: number;
  },
): number {
  view.setUint32(at, message.length, true);
  view.setUint32(at + 8, message.level, true);
  view.setUint32(at + 12, message.type, true);
  view.setUint32(at + 16, message.value ?? 0, true);
  return message.space ?? (message.length + 7) & ~7;
}
