import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { IcmpEcho } from "../../src/platform/icmp-echo.ts";
import { LinuxNetwork } from "../../src/platform/network/linux-network.ts";
import { PacketCapture, type SeenPacket } from "../../src/platform/packet-capture.ts";
import { createLinuxSystemCalls } from "../../src/platform/system-calls/linux-system-calls.ts";
import { LinuxDatagramSender } from "../../src/platform/udp/linux-datagram-sender.ts";
import { openUdpSocket } from "../../src/platform/udp/open-udp-socket.ts";
import { enterFreshNamespace, requireRoot } from "../support/namespace.ts";
import { sharedMemory } from "../support/shared-memory.ts";
import { until } from "../support/waiting.ts";

const mayRun = requireRoot("packet capture and ICMP echo");
const PATIENCE_MS = 10_000;

describe.skipIf(!mayRun)("on a link of a fresh network namespace", () => {
  if (!mayRun) return;
  enterFreshNamespace();
  const systemCalls = createLinuxSystemCalls(sharedMemory());
  const network = new LinuxNetwork(systemCalls);
  network.setLinkUp("lo");

  let capture: PacketCapture;
  let seen: (SeenPacket & { readonly copy: Uint8Array })[];

  beforeEach(() => {
    seen = [];
    capture = new PacketCapture({
      link: network.linkIndex("lo")!,
      onPacket: (packet) => seen.push({ ...packet, copy: packet.octets.slice() }),
    });
  });
  afterEach(() => capture.close());

  test.each(["127.0.0.1", "::1"])(
    "an echo request to %s is answered, in the time that it took",
    async (destination) => {
      const payload = Buffer.from("the quick brown fox jumps over the lazy dog");
      const echo = new IcmpEcho({ destination, payload });
      for (const sequence of [1, 2, 3]) {
        const start = performance.now();
        const result = await echo.ping({ timeoutMs: PATIENCE_MS });
        expect(result).toMatchObject({ kind: "reply", sequence });
        const { rttMs } = result as { rttMs: number };
        expect(rttMs).toBeGreaterThanOrEqual(0);
        expect(rttMs).toBeLessThan(performance.now() - start + 1);
      }
      echo.close();
      capture.close();
      expect(capture.counts.other).toBeGreaterThanOrEqual(6);
      expect(seen.some(({ copy }) => Buffer.from(copy).includes(payload))).toBe(true);
    },
  );

  test("requests that overlap each get their own reply", async () => {
    const echo = new IcmpEcho({ destination: "127.0.0.1" });
    const results = await Promise.all(
      Array.from({ length: 50 }, () => echo.ping({ timeoutMs: PATIENCE_MS })),
    );
    echo.close();
    expect(results.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 50 }, (_, i) => i + 1));
    expect(results.every(({ kind }) => kind === "reply")).toBe(true);
  });

  test("an echo request that nobody answers is lost, with the reason", async () => {
    network.createVethPair({ name: "dead0" }, { name: "dead1" });
    network.setLinkUp("dead0");
    network.setLinkUp("dead1");
    network.addAddress("dead0", "198.51.100.1/24");
    const silent = new IcmpEcho({ destination: "198.51.100.2", source: "198.51.100.1" });
    expect(await silent.ping({ timeoutMs: 50 })).toEqual({ kind: "lost", sequence: 1, reason: "timeout" });
    const closed = silent.ping({ timeoutMs: 60_000 });
    silent.close();
    expect(await closed).toMatchObject({ kind: "lost", reason: "closed" });
    network.deleteLink("dead0");
    expect(() => new IcmpEcho({ destination: "203.0.113.9" })).toThrow(
      expect.objectContaining({ name: "PlatformError", code: "ENETUNREACH" }),
    );
  });

  test("tells ESP in UDP, IKE and keepalives apart and reads SPI and sequence number", async () => {
    const sockets = [500, 4500].map((port) => openUdpSocket(systemCalls, { address: "127.0.0.1", port }));
    const sender = new LinuxDatagramSender(systemCalls, sockets);
    const send = (port: number, octets: Uint8Array): void => {
      const here = { address: "127.0.0.1", port };
      expect(sender.send({ octets, from: here, to: here })).toBeUndefined();
    };
    const esp = Uint8Array.of(0x11, 0x22, 0x33, 0x44, 0, 0, 0, 9, 1, 2, 3, 4);
    send(4500, esp);
    send(4500, Uint8Array.of(0, 0, 0, 0, 1, 2, 3, 4));
    send(4500, Uint8Array.of(0xff));
    send(500, new Uint8Array(28));
    await until("all have been seen", () => capture.counts.ike === 4);
    capture.close();
    for (const { descriptor } of sockets) systemCalls.close(descriptor);
    // A loopback link shows each packet leaving and arriving.
    expect(capture.counts).toMatchObject({ "esp-in-udp": 2, ike: 4, keepalive: 2, other: 0 });
    expect(seen[0]).toMatchObject({
      kind: "esp-in-udp",
      spi: 0x11223344,
      sequenceNumber: 9,
      source: "127.0.0.1",
      destination: "127.0.0.1",
      length: 14 + 20 + 8 + esp.length,
    });
    expect(capture.missed).toBe(0);
  });

  test("counts a burst without missing a packet", async () => {
    const socket = openUdpSocket(systemCalls, { address: "127.0.0.1", port: 4500 });
    const sender = new LinuxDatagramSender(systemCalls, [socket]);
    const here = { address: "127.0.0.1", port: 4500 };
    const octets = new Uint8Array(1400).fill(1);
    for (let i = 0; i < 1000; i++) sender.send({ octets, from: here, to: here });
    // A processor that is busy with the packets of others lets them arrive a little later.
    await until("all have been seen", () => capture.counts["esp-in-udp"] === 2000);
    capture.close();
    systemCalls.close(socket.descriptor);
    expect(capture.missed).toBe(0);
    expect(seen[0]!.length).toBe(14 + 20 + 8 + 1400);
    expect(seen[0]!.copy).toHaveLength(256);
  });

  test("counts what finds no room in the ring as missed, and goes on with what comes after", () => {
    const socket = openUdpSocket(systemCalls, { address: "127.0.0.1", port: 4500 });
    const sender = new LinuxDatagramSender(systemCalls, [socket]);
    const here = { address: "127.0.0.1", port: 4500 };
    const send = (count: number): void => {
      for (let i = 0; i < count; i++)
        sender.send({ octets: new Uint8Array(20).fill(1), from: here, to: here });
    };
    send(20_000); // 40,000 frames; there is room for 32,768
    capture.poll();
    expect(capture.counts["esp-in-udp"]).toBe(32_768);
    expect(capture.missed).toBe(40_000 - 32_768);
    send(10_000);
    capture.close();
    systemCalls.close(socket.descriptor);
    expect(capture.counts["esp-in-udp"]).toBe(32_768 + 20_000);
    expect(capture.missed).toBe(40_000 - 32_768);
  });
});
