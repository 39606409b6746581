import { describe, expect, test } from "vitest";
import { MemoryPoller } from "../../src/platform/poller/memory-poller.ts";
import { MemoryTun } from "../../src/platform/tun/memory-tun.ts";
import { MemoryWire, type WireDatagram } from "../../src/platform/udp/memory-udp.ts";
import { sharedMemory } from "../support/shared-memory.ts";

const memory = sharedMemory();

function twoHosts(capacity?: number) {
  const wire = new MemoryWire();
  const left = wire.host(["192.0.2.1"]);
  const right = wire.host(["192.0.2.2"]);
  const socket = right.openUdpSocket(memory, {
    family: 4,
    port: 500,
    worker: 1,
    ...(capacity !== undefined && { capacity }),
  });
  const from = { address: "192.0.2.1", port: 500 };
  const to = { address: "192.0.2.2", port: 500 };
  const send = (mark: number) => left.send({ octets: Uint8Array.of(mark), from, to });
  const received = (): number[] => {
    const count = socket.receive(64);
    const octets = new Uint8Array(memory.buffer);
    return Array.from({ length: count }, (_, i) => octets[socket.receivedAt(i)]!);
  };
  return { wire, left, right, socket, send, received };
}

describe("a wire in memory", () => {
  test("loses, doubles, alters and holds back datagrams as its filter says", () => {
    const { wire, send, received } = twoHosts();
    const held: WireDatagram[] = [];
    wire.filter = (datagram) => {
      switch (datagram.octets[0]) {
        case 1:
          return [];
        case 2:
          return [datagram, datagram];
        case 3:
          held.push(datagram);
          return [];
        default:
          return [{ ...datagram, octets: Uint8Array.of(99) }];
      }
    };
    for (const mark of [1, 2, 3, 4]) expect(send(mark)).toBeUndefined();
    expect(received()).toEqual([2, 2, 99]);
    for (const datagram of held) wire.deliver(datagram);
    expect(received()).toEqual([3]);
  });

  test("shows each datagram to who watches, lost or not", () => {
    const { wire, send } = twoHosts();
    const seen: number[] = [];
    wire.onDatagram = ({ octets }) => seen.push(octets[0]!);
    wire.filter = () => [];
    send(5);
    send(6);
    expect(seen).toEqual([5, 6]);
  });

  test("can put somebody in between who changes addresses, as a NAT does", () => {
    const { wire, socket, send } = twoHosts();
    wire.filter = (datagram) => [{ ...datagram, from: { address: "198.51.100.1", port: 40_000 } }];
    send(1);
    expect(socket.receive(1)).toBe(1);
    expect(socket.receivedFrom(0)).toEqual({ address: "198.51.100.1", port: 40_000 });
  });

  test("drops what does not fit a socket's queue", () => {
    const { send, received } = twoHosts(3);
    for (let i = 0; i < 10; i++) send(i);
    expect(received()).toEqual([0, 1, 2]);
  });

  test("delivers nothing to a closed socket, and the port is free again", () => {
    const { right, socket, send } = twoHosts();
    expect(() => right.openUdpSocket(memory, { family: 4, port: 500, worker: 2 })).toThrow("EADDRINUSE");
    socket.close();
    send(1);
    const next = right.openUdpSocket(memory, { family: 4, port: 500, worker: 2 });
    expect(next.receive(64)).toBe(0);
  });
});

describe("a poller in memory", () => {
  test("is ready while a device holds something, and calls when something comes", () => {
    const { socket, send, received } = twoHosts();
    const tun = new MemoryTun(memory, { name: "memory0", mtu: 1400 });
    const poller = new MemoryPoller([tun, socket]);
    let calls = 0;
    poller.onReady = () => calls++;
    expect(poller.wait(1000)).toBe(false);
    send(1);
    expect([calls, poller.wait(1000), poller.wait(1000)]).toEqual([1, true, true]);
    received();
    expect(poller.wait(1000)).toBe(false);
    tun.inject(Uint8Array.of(0x45));
    expect([calls, poller.wait(1000)]).toEqual([2, true]);
    tun.read(0, 100);
    expect(poller.wait(1000)).toBe(false);
  });

  test("is woken once for any number of wake-ups, and no more after it is closed", () => {
    const { socket, send } = twoHosts();
    const poller = new MemoryPoller([socket]);
    let calls = 0;
    poller.onReady = () => calls++;
    poller.wake();
    poller.wake();
    expect([poller.wait(0), poller.wait(0), calls]).toEqual([true, false, 2]);
    poller.close();
    send(1);
    expect(calls).toBe(2);
  });
});
