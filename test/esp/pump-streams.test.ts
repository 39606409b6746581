import { expect, test } from "vitest";
import { createSharedMemory, loadKernel } from "../../src/esp/kernel.ts";
import { rolesOf } from "../../src/esp/lanes.ts";
import { DataPump } from "../../src/esp/pump.ts";
import type { PumpSocket } from "../../src/esp/pump-socket.ts";
import { MemoryTun } from "../../src/platform/tun/memory-tun.ts";
import { type MemoryUdpSocket, MemoryWire } from "../../src/platform/udp/memory-udp.ts";
import type { UdpSocket } from "../../src/platform/udp/udp-socket.ts";

/** RFC 3948 section 2.3: a keepalive, which is received and comes to nothing. */
const KEEPALIVE = Uint8Array.of(0xff);

/** A stream that has half a message left: `flush` sends an octet of it. Nothing comes from it. */
class Stream {
  restLength = 0;
  flushes = 0;
  readonly socket: UdpSocket;

  constructor() {
    this.socket = {
      receive: () => 0,
      transmit: () => 0,
      takeTooLong: () => 0,
      flush: () => {
        this.flushes++;
        this.restLength = Math.max(0, this.restLength - 1);
        return this.restLength > 0;
      },
    } as unknown as UdpSocket;
  }
}

function setUp(workers: number, number: number) {
  const memory = createSharedMemory();
  const role = rolesOf(workers)[number - 1]!;
  const { worker } = role;
  const host = new MemoryWire().host(["192.0.2.1"]);
  const udp: MemoryUdpSocket = host.openUdpSocket(memory, { family: 4, port: 4500, worker });
  const streams = [new Stream(), new Stream()] as const;
  const sockets: PumpSocket<UdpSocket>[] = [
    { socket: udp, carriesEsp: true },
    ...streams.map(({ socket }) => ({ socket, carriesEsp: false, isStream: true })),
  ];
  const pump = new DataPump({
    memory,
    kernel: loadKernel(memory, worker),
    role,
    tun: new MemoryTun(memory, { name: "tun0", mtu: 1400 }),
    sockets,
    clock: { now: () => 1000 },
    random: { bytes: (length) => new Uint8Array(length) },
    ring: () => {},
    callCompanion: () => {},
    onRefusal: () => {},
    onTrap: () => {},
    onStray: () => {},
    onElsewhere: () => {},
    onTooLong: () => {},
  });
  const from = { address: "192.0.2.2", port: 4500 };
  const arrive = () => udp.arrive({ from, to: { address: "192.0.2.1", port: 4500 }, octets: KEEPALIVE });
  return { pump, streams, arrive };
}

test("what a stream has left to send leaves while packets keep coming", () => {
  const { pump, streams, arrive } = setUp(1, 1);
  streams[0].restLength = 3;
  streams[1].restLength = 2;
  for (const rest of [
    [2, 1],
    [1, 0],
    [0, 0],
  ]) {
    arrive();
    expect(pump.round()).toBe(1);
    expect(streams.map(({ restLength }) => restLength)).toEqual(rest);
  }
});

test("a worker with nothing to do comes back soon while something is left, and asking sends nothing", () => {
  const { pump, streams } = setUp(1, 1);
  expect(pump.round()).toBe(0);
  expect(pump.restMs).toBe(Number.POSITIVE_INFINITY);
  streams[1].restLength = 3;
  for (const restMs of [1, 1, Number.POSITIVE_INFINITY]) {
    // Woken up for no device, as when the time is over.
    expect(pump.round(0)).toBe(0);
    const flushes = streams.map((each) => each.flushes);
    expect([pump.restMs, pump.restMs]).toEqual([restMs, restMs]);
    expect(streams.map((each) => each.flushes)).toEqual(flushes);
  }
});

test("who only receives leaves the streams alone", () => {
  const { pump, streams, arrive } = setUp(2, 2);
  arrive();
  expect(pump.round()).toBe(1);
  expect(pump.restMs).toBe(Number.POSITIVE_INFINITY);
  expect(streams.map(({ flushes }) => flushes)).toEqual([0, 0]);
});
