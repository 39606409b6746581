import { expect, test } from "vitest";
import { SPI_SLOT_BITS } from "../../assembly/layout.ts";
import { SO_ATTACH_REUSEPORT_CBPF, SOL_SOCKET } from "../../src/platform/system-calls/constants.ts";
import { createLinuxSystemCalls } from "../../src/platform/system-calls/linux-system-calls.ts";
import { LinuxUdpSocket } from "../../src/platform/udp/linux-udp-socket.ts";
import { openUdpSocket } from "../../src/platform/udp/open-udp-socket.ts";
import { refuseAll, steerBySpi } from "../../src/platform/udp/socket-filters.ts";
import { FaultySystemCalls } from "../support/faulty-system-calls.ts";
import { sharedMemory } from "../support/shared-memory.ts";

const memory = sharedMemory();
const ENOPROTOOPT = 92;

/** Three sockets of one port on the loopback link, and one that sends to them. */
function openGroup() {
  const systemCalls = createLinuxSystemCalls(memory);
  const address = "127.0.0.1";
  const first = openUdpSocket(systemCalls, { address, port: 0, sharesPort: true });
  const others = [1, 2].map(() =>
    openUdpSocket(systemCalls, { address, port: first.port, sharesPort: true }),
  );
  const sender = openUdpSocket(systemCalls, { address, port: 0 });
  const all = [first, ...others].map(
    (open, i) => new LinuxUdpSocket(systemCalls, { ...open, worker: i + 1, index: 0 }),
  );
  const source = new LinuxUdpSocket(systemCalls, { ...sender, worker: 4, index: 0 });
  return { systemCalls, first, all, source };
}

/** A datagram of the source. The peer's address lies at 64 of the memory. */
function send(source: LinuxUdpSocket, port: number, octets: Uint8Array): void {
  const whole = new Uint8Array(memory.buffer);
  whole.set([2, 0, port >>> 8, port & 0xff, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], 64);
  whole.set(octets, 4096);
  source.queue({
    address: 4096,
    length: octets.length,
    segmentLength: octets.length,
    peer: 64,
    peerLength: 16,
    control: 0,
    controlLength: 0,
    trafficClass: 0,
    mayFragment: true,
  });
  expect(source.transmit()).toBe(1);
}

test("of sockets that share a port each gets the SPIs of its worker, and the first all else", () => {
  const { systemCalls, first, all, source } = openGroup();
  try {
    const workers = [2, 3, 7];
    steerBySpi(systemCalls, first.descriptor, workers);
    const counts = (): number[] => all.map((socket) => socket.receive(64));
    for (const [i, worker] of workers.entries()) {
      for (let n = 0; n < 20; n++) {
        const spi = new Uint8Array(32);
        new DataView(spi.buffer).setUint32(
          0,
          (0x4ad0_0000 + n * 0x0104_0000 + (worker << SPI_SLOT_BITS) + n) >>> 0,
        );
        send(source, first.port, spi);
      }
      expect(counts()).toEqual(workers.map((_, other) => (other === i ? 20 : 0)));
    }
    // IKE, a keepalive, nothing, and a worker that nobody is.
    const stranger = new Uint8Array(8);
    new DataView(stranger.buffer).setUint32(0, 0x4ad0_0000 + (5 << SPI_SLOT_BITS));
    for (const octets of [new Uint8Array(100), Uint8Array.of(0xff), Uint8Array.of(1, 2, 3), stranger]) {
      send(source, first.port, octets);
    }
    expect(counts()).toEqual([4, 0, 0]);
  } finally {
    for (const socket of [...all, source]) socket.close();
  }
});

test("a socket that refuses all receives nothing", () => {
  const { systemCalls, first, all, source } = openGroup();
  try {
    for (const { descriptor } of all) refuseAll(systemCalls, descriptor);
    send(source, first.port, new Uint8Array(100));
    expect(all.map((socket) => socket.receive(64))).toEqual([0, 0, 0]);
  } finally {
    for (const socket of [...all, source]) socket.close();
  }
});

test("a kernel that cannot choose sockets says so", () => {
  const faulty = new FaultySystemCalls(memory, { setsockopt: [-ENOPROTOOPT] });
  expect(() => steerBySpi(faulty.systemCalls, 7, [2, 4])).toThrow("choose sockets by SPI");
  expect(faulty.of("setsockopt")[0]!.slice(0, 3)).toEqual([7, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF]);
});
