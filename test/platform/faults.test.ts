import { describe, expect, test } from "vitest";
import { ioBlock } from "../../src/platform/io-region.ts";
import { LinuxPoller } from "../../src/platform/poller/linux-poller.ts";
import { SO_RCVBUF, SO_RCVBUFFORCE } from "../../src/platform/system-calls/constants.ts";
import { Errno } from "../../src/platform/system-calls/errno.ts";
import { MMSGHDR_SIZE } from "../../src/platform/system-calls/structures.ts";
import { LinuxTun, openTun } from "../../src/platform/tun/linux-tun.ts";
import { NO_OFFLOADS } from "../../src/platform/tun/tun.ts";
import { LinuxDatagramSender } from "../../src/platform/udp/linux-datagram-sender.ts";
import { LinuxUdpSocket } from "../../src/platform/udp/linux-udp-socket.ts";
import { openUdpSocket } from "../../src/platform/udp/open-udp-socket.ts";
import { type Answer, FaultySystemCalls } from "../support/faulty-system-calls.ts";
import { sharedMemory } from "../support/shared-memory.ts";

const memory = sharedMemory();
const SOCKET = {
  descriptor: 7,
  family: 4,
  port: 4500,
  worker: 1,
  index: 0,
  canSegment: false,
  canCoalesce: false,
  setsDontFragment: false,
} as const;
const E = Errno;

describe("a UDP socket whose system refuses", () => {
  /** A socket with five datagrams queued, whose sendmmsg answers as planned. */
  function transmit(...sendmmsg: Answer[]) {
    const faulty = new FaultySystemCalls(memory, { sendmmsg });
    const socket = new LinuxUdpSocket(faulty.systemCalls, SOCKET);
    for (let i = 0; i < 5; i++) {
      socket.queue({
        address: 1024 * i,
        length: 100,
        segmentLength: 100,
        peer: 64,
        peerLength: 16,
        control: 128,
        controlLength: 0,
        trafficClass: 0,
        mayFragment: false,
      });
    }
    const taken = socket.transmit();
    const headers = ioBlock(1, 0);
    const first = Number(faulty.of("sendmmsg")[0]?.[1]);
    expect(first).toBeGreaterThan(headers);
    /** Which datagram each call began with, and how many it offered. */
    const tried = faulty.of("sendmmsg").map(([, at, count]) => [(Number(at) - first) / MMSGHDR_SIZE, count]);
    return { socket, taken, tried };
  }

  test("goes on behind what was taken when only a part was", () => {
    expect(transmit(2, 3)).toMatchObject({
      taken: 5,
      tried: [
        [0, 5],
        [2, 3],
      ],
    });
  });

  test("tries a datagram again that met the error of an earlier one", () => {
    expect(transmit(1, -E.ECONNREFUSED, 4)).toMatchObject({
      taken: 5,
      tried: [
        [0, 5],
        [1, 4],
        [1, 4],
      ],
    });
    expect(transmit(-E.EINTR, 5)).toMatchObject({
      taken: 5,
      tried: [
        [0, 5],
        [0, 5],
      ],
    });
  });

  test("tries it once more and no further, then sends the others", () => {
    const result = transmit(-E.ECONNREFUSED, -E.ECONNREFUSED, 4);
    expect(result).toMatchObject({
      taken: 4,
      tried: [
        [0, 5],
        [0, 5],
        [1, 4],
      ],
    });
    expect(result.socket.lastError).toBe("ECONNREFUSED");
  });

  test.each([
    ["EMSGSIZE", E.EMSGSIZE],
    ["ENETUNREACH", E.ENETUNREACH],
    ["EINVAL", E.EINVAL],
    ["EPERM", E.EPERM],
  ])("drops only the datagram that %s is about", (name, errno) => {
    const result = transmit(2, -errno, 2);
    expect(result).toMatchObject({
      taken: 4,
      tried: [
        [0, 5],
        [2, 3],
        [3, 2],
      ],
    });
    expect(result.socket.lastError).toBe(name);
  });

  test.each([
    ["EAGAIN", E.EAGAIN],
    ["ENOBUFS", E.ENOBUFS],
  ])("drops the rest of the batch on %s", (name, errno) => {
    const result = transmit(2, -errno, 3);
    expect(result).toMatchObject({
      taken: 2,
      tried: [
        [0, 5],
        [2, 3],
      ],
    });
    expect(result.socket.lastError).toBe(name);
  });

  test("sets again that datagrams may be fragmented when somebody has set the socket back", () => {
    const faulty = new FaultySystemCalls(memory, { sendmmsg: [-E.EMSGSIZE, 1] });
    const socket = new LinuxUdpSocket(faulty.systemCalls, { ...SOCKET, setsDontFragment: true });
    const transmitOne = (): number => {
      const path = { peer: 64, peerLength: 16, control: 128, controlLength: 0, trafficClass: 0 };
      socket.queue({ address: 1024, length: 1500, segmentLength: 1500, ...path, mayFragment: true });
      return socket.transmit();
    };
    expect([transmitOne(), transmitOne(), transmitOne()]).toEqual([0, 1, 1]);
    expect(faulty.of("setsockopt")).toHaveLength(2);
    expect(socket.takeTooLong()).toBe(0);
  });

  test("comes to an end whatever the system answers", () => {
    for (const errno of Object.values(Errno)) expect(transmit(-errno).taken).toBe(0);
    expect(transmit(0).taken).toBe(0);
  });

  test("writes pointers above four gigabytes, also where the low word overflows", () => {
    const base = 0x7fff_ffff_f000;
    const faulty = new FaultySystemCalls(memory, { sendmmsg: [1] }, { base });
    const socket = new LinuxUdpSocket(faulty.systemCalls, SOCKET);
    socket.queue({
      address: 0x2000,
      length: 9,
      segmentLength: 9,
      peer: 64,
      peerLength: 16,
      control: 0x1000,
      controlLength: 32,
      trafficClass: 0,
      mayFragment: false,
    });
    socket.transmit();
    const header = Number(faulty.of("sendmmsg")[0]?.[1]);
    const view = new DataView(memory.buffer);
    const pointer = (at: number): number => Number(view.getBigUint64(at, true)) - base;
    expect(pointer(header)).toBe(64);
    expect(pointer(header + 32)).toBe(0x1000);
    expect(view.getUint32(header + 40, true)).toBe(32);
    const vector = pointer(header + 16);
    expect(pointer(vector)).toBe(0x2000);
    expect(view.getUint32(vector + 8, true)).toBe(9);
  });

  test.each([E.EAGAIN, E.EINTR, E.ENOBUFS, E.ENOMEM, E.ECONNREFUSED, E.EHOSTUNREACH])(
    "receives nothing, and no exception, on errno %i",
    (errno) => {
      const { systemCalls } = new FaultySystemCalls(memory, { recvmmsg: [-errno] });
      expect(new LinuxUdpSocket(systemCalls, SOCKET).receive(64)).toBe(0);
    },
  );

  test("receives behind the error of an earlier datagram", () => {
    const { systemCalls } = new FaultySystemCalls(memory, { recvmmsg: [-E.ECONNREFUSED, 3] });
    expect(new LinuxUdpSocket(systemCalls, SOCKET).receive(64)).toBe(3);
  });

  test("gives name and control their room back before each receive", () => {
    const view = new DataView(memory.buffer);
    const lengths: number[][] = [];
    const receiveOne = (_: number, header: number): number => {
      lengths.push([view.getUint32(header + 8, true), view.getUint32(header + 40, true)]);
      view.setUint32(header + 8, 16, true);
      view.setUint32(header + 40, 0, true);
      return 1;
    };
    const { systemCalls } = new FaultySystemCalls(memory, { recvmmsg: [receiveOne] });
    const socket = new LinuxUdpSocket(systemCalls, SOCKET);
    for (let i = 0; i < 3; i++) socket.receive(64);
    expect(lengths).toEqual([
      [32, 128],
      [32, 128],
      [32, 128],
    ]);
  });

  test("says which port when the socket is gone", () => {
    const { systemCalls } = new FaultySystemCalls(memory, { recvmmsg: [-E.EBADF] });
    expect(() => new LinuxUdpSocket(systemCalls, SOCKET).receive(64)).toThrow(
      expect.objectContaining({
        name: "PlatformError",
        code: "EBADF",
        message: "receive on UDP port 4500: EBADF",
      }),
    );
  });

  test("names port and address when it cannot be bound, and closes what it opened", () => {
    const faulty = new FaultySystemCalls(memory, { socket: [33], bind: [-98] });
    expect(() => openUdpSocket(faulty.systemCalls, { address: "::", port: 500 })).toThrow(
      expect.objectContaining({ code: "EADDRINUSE", message: "UDP port 500 on ::: EADDRINUSE" }),
    );
    expect(faulty.of("close")).toEqual([[33]]);
  });

  test("takes the ordinary buffer where the large one is forbidden", () => {
    const setsockopt = (_: number, __: number, option: number): number =>
      option === SO_RCVBUFFORCE ? -E.EPERM : 0;
    const faulty = new FaultySystemCalls(memory, { socket: [33], setsockopt: [setsockopt] });
    expect(openUdpSocket(faulty.systemCalls, { address: "0.0.0.0", port: 500 })).toMatchObject({
      descriptor: 33,
    });
    expect(faulty.of("setsockopt").map(([, , option]) => option)).toContain(SO_RCVBUF);
  });
});

describe("a sender whose system refuses", () => {
  const datagram = {
    octets: Uint8Array.of(1, 2, 3),
    from: { address: "192.0.2.1", port: 500 },
    to: { address: "192.0.2.2", port: 500 },
  };

  function send(...sendmmsg: Answer[]) {
    const faulty = new FaultySystemCalls(memory, { sendmmsg });
    const sender = new LinuxDatagramSender(faulty.systemCalls, [{ descriptor: 7, family: 4, port: 500 }]);
    return { error: sender.send(datagram), count: faulty.of("sendmmsg").length };
  }

  test("tries once more when the error was an earlier datagram's", () => {
    expect(send(-E.ECONNREFUSED, 1)).toEqual({ error: undefined, count: 2 });
    expect(send(-E.ECONNREFUSED)).toEqual({ error: "ECONNREFUSED", count: 2 });
  });

  test.each([
    ["ENETUNREACH", E.ENETUNREACH],
    ["EPERM", E.EPERM],
    ["EAGAIN", E.EAGAIN],
  ])("tells %s instead of throwing it", (name, errno) => {
    expect(send(-errno)).toEqual({ error: name, count: 1 });
  });

  test("says when no socket of that port and family is open", () => {
    const { systemCalls } = new FaultySystemCalls(memory, {});
    const sender = new LinuxDatagramSender(systemCalls, [{ descriptor: 7, family: 6, port: 500 }]);
    expect(sender.send(datagram)).toBe("no IPv4 socket is open on UDP port 500");
  });
});

describe("a TUN device whose system refuses", () => {
  const device = { descriptor: 5, name: "ikebana0", mtu: 1400, offloads: NO_OFFLOADS };

  test.each([E.EAGAIN, E.EINTR])("reads nothing on errno %i", (errno) => {
    const { systemCalls } = new FaultySystemCalls(memory, { read: [-errno] });
    expect(new LinuxTun(systemCalls, device, 1).read(0, 2048)).toBe(0);
  });

  test("names the device when it cannot be read", () => {
    const { systemCalls } = new FaultySystemCalls(memory, { read: [-E.EBADFD] });
    expect(() => new LinuxTun(systemCalls, device, 1).read(0, 2048)).toThrow(
      expect.objectContaining({ code: "EBADFD", message: "read from TUN device ikebana0: EBADFD" }),
    );
  });

  test.each([E.EAGAIN, E.ENOBUFS, E.EINVAL, E.EIO, E.EBADFD, E.ENOMEM])(
    "says that a packet was not taken on errno %i",
    (errno) => {
      const { systemCalls } = new FaultySystemCalls(memory, { write: [-errno] });
      expect(new LinuxTun(systemCalls, device, 1).write(0, 100)).toBe(false);
    },
  );

  test.each<[string, Partial<Record<"open" | "ioctl", number[]>>, string, number]>([
    ["the device file is missing", { open: [-E.ENOENT] }, "open /dev/net/tun: ENOENT", 0],
    ["the right is missing", { open: [5], ioctl: [-E.EPERM] }, "make TUN device ikebana0: EPERM", 1],
    [
      "the MTU is impossible",
      { open: [5], ioctl: [0, -E.EINVAL] },
      "set the MTU of ikebana0 to 1400: EINVAL",
      2,
    ],
  ])("is not opened when %s, and nothing stays open", (_, plan, message, closed) => {
    const faulty = new FaultySystemCalls(memory, { ...plan, socket: [6] });
    expect(() => openTun(faulty.systemCalls, { name: "ikebana0", mtu: 1400 })).toThrow(
      expect.objectContaining({ name: "PlatformError", message }),
    );
    expect(faulty.of("close")).toHaveLength(closed);
  });

  test.each(["", "a name", "a/b", "sixteen-letters!"])("is not opened under the name %o", (name) => {
    const faulty = new FaultySystemCalls(memory, { open: [5] });
    expect(() => openTun(faulty.systemCalls, { name, mtu: 1400 })).toThrow(
      expect.objectContaining({ name: "PlatformError", code: "EINVAL" }),
    );
    expect(faulty.of("close")).toEqual([[5]]);
  });
});

describe("a poller whose system refuses", () => {
  test("takes an interruption for nothing and reports the rest", () => {
    const { systemCalls } = new FaultySystemCalls(memory, { poll: [-E.EINTR, -E.EINVAL] });
    const poller = new LinuxPoller(systemCalls, { worker: 1, descriptors: [3], wakeUp: 4 });
    expect(poller.wait(10)).toBe(false);
    expect(() => poller.wait(10)).toThrow(expect.objectContaining({ name: "PlatformError", code: "EINVAL" }));
  });
});
