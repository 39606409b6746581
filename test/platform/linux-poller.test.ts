import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LinuxPoller } from "../../src/platform/poller/linux-poller.ts";
import { LinuxWakeUp } from "../../src/platform/poller/linux-wake-up.ts";
import { createLinuxSystemCalls } from "../../src/platform/system-calls/linux-system-calls.ts";
import { LinuxDatagramSender } from "../../src/platform/udp/linux-datagram-sender.ts";
import { openUdpSocket } from "../../src/platform/udp/open-udp-socket.ts";
import { sharedMemory } from "../support/shared-memory.ts";

const memory = sharedMemory();
const systemCalls = createLinuxSystemCalls(memory);

describe.skipIf(process.platform !== "linux")("the poller of a data worker", () => {
  let wakeUp: LinuxWakeUp;

  beforeEach(() => {
    wakeUp = new LinuxWakeUp(systemCalls);
  });
  afterEach(() => wakeUp.close());

  test("waits as long as it was told when nothing happens", () => {
    const poller = new LinuxPoller(systemCalls, { worker: 1, descriptors: [], wakeUp: wakeUp.descriptor });
    const start = performance.now();
    expect(poller.wait(30)).toBe(false);
    expect(performance.now() - start).toBeGreaterThan(25);
  });

  test("never waits longer than its back-stop of a second", () => {
    const poller = new LinuxPoller(systemCalls, { worker: 1, descriptors: [], wakeUp: wakeUp.descriptor });
    const start = performance.now();
    expect(poller.wait(60_000)).toBe(false);
    expect(performance.now() - start).toBeLessThan(3000);
  });

  test("takes any number of wake-ups at once and then waits again", () => {
    const poller = new LinuxPoller(systemCalls, { worker: 1, descriptors: [], wakeUp: wakeUp.descriptor });
    for (let i = 0; i < 1000; i++) wakeUp.wake();
    expect(poller.wait(1000)).toBe(true);
    expect(poller.wait(0)).toBe(false);
  });

  test("is woken by a device and stays so until it is read", () => {
    const socket = openUdpSocket(systemCalls, { address: "127.0.0.1", port: 0 });
    const sender = new LinuxDatagramSender(systemCalls, [socket]);
    const poller = new LinuxPoller(systemCalls, {
      worker: 1,
      descriptors: [socket.descriptor],
      wakeUp: wakeUp.descriptor,
    });
    const here = { address: "127.0.0.1", port: socket.port };
    expect(poller.wait(0)).toBe(false);
    expect(sender.send({ octets: Uint8Array.of(1), from: here, to: here })).toBeUndefined();
    expect(poller.wait(1000)).toBe(true);
    expect(poller.wait(0)).toBe(true);
    systemCalls.close(socket.descriptor);
  });

  test("says which device has something, and that a wake-up is none of them", () => {
    const sockets = [0, 1].map(() => openUdpSocket(systemCalls, { address: "127.0.0.1", port: 0 }));
    const sender = new LinuxDatagramSender(systemCalls, sockets);
    const poller = new LinuxPoller(systemCalls, {
      worker: 1,
      descriptors: sockets.map(({ descriptor }) => descriptor),
      wakeUp: wakeUp.descriptor,
    });
    wakeUp.wake();
    expect(poller.wait(1000)).toBe(true);
    expect(poller.ready).toBe(0);
    const here = { address: "127.0.0.1", port: sockets[1]!.port };
    expect(sender.send({ octets: Uint8Array.of(1), from: here, to: here })).toBeUndefined();
    expect(poller.wait(1000)).toBe(true);
    expect(poller.ready).toBe(0b10);
    for (const { descriptor } of sockets) systemCalls.close(descriptor);
  });

  test("does not keep the process from ending while it sleeps, and is woken at once when asked", () => {
    const script = fileURLToPath(new URL("fixtures/sleeping-worker.mjs", import.meta.url));
    const { status, stdout, stderr } = spawnSync(process.execPath, [script], {
      encoding: "utf8",
      timeout: 20_000,
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const rounds = JSON.parse(stdout) as { readonly wasWoken: boolean; readonly ms: number }[];
    expect(rounds.slice(1).map(({ wasWoken }) => wasWoken)).toEqual([true, true, true, true, true]);
  });
});
