import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { EngineConfig } from "../../src/engine/engine-config.ts";
import type { IkeListener, OpenHost } from "../../src/engine/host.ts";
import { createLinuxHost } from "../../src/engine/linux-host.ts";
import { LinuxNetwork } from "../../src/platform/network/linux-network.ts";
import { EFD_CLOEXEC } from "../../src/platform/system-calls/constants.ts";
import { Errno } from "../../src/platform/system-calls/errno.ts";
import { createLinuxSystemCalls } from "../../src/platform/system-calls/linux-system-calls.ts";
import type { SharedMemory, SystemCalls } from "../../src/platform/system-calls/system-calls.ts";
import { enterFreshNamespace, raiseLoopback, requireRoot } from "../support/namespace.ts";
import { responderPolicy } from "../support/simulator/index.ts";
import { until } from "../support/waiting.ts";

/** Calls that open something, or make of it what it is for. */
const FALLIBLE = ["open", "socket", "socketpair", "eventfd", "bind", "connect", "listen", "ioctl", "send"];

const mayRun = requireRoot("what a start leaves behind that the machine refuses");

describe.skipIf(!mayRun)("a start that the machine refuses", () => {
  if (!mayRun) return;
  enterFreshNamespace();
  raiseLoopback([]);
  const network = new LinuxNetwork(createLinuxSystemCalls());
  const config: EngineConfig = {
    connections: [responderPolicy()],
    listen: { addresses: ["127.0.0.1"], port: 500, natTraversalPort: 4500, tcpPort: 4500 },
    tun: { name: "host0", mtu: 1400 },
    workers: 2,
    stateDirectory: "/nowhere",
  };

  const open = (facts: Parameters<typeof createLinuxHost>[0]): Promise<OpenHost> =>
    createLinuxHost(facts).open(config, DEAF);
  const present = () => ({
    descriptors: readdirSync("/proc/self/fd").length,
    threads: readdirSync("/proc/self/task").length,
    links: network.links().map(({ name }) => name),
  });
  /** What the runtime has for itself, it has from now on. */
  async function presentBefore(): Promise<ReturnType<typeof present>> {
    const host = await open({});
    expect(present().links).toContain(config.tun.name);
    await host.close();
    await until("the device is gone", () => present().links.length === 1);
    return present();
  }
  const untilAsBefore = (before: ReturnType<typeof present>, what: string): Promise<void> =>
    until(`nothing is left (${what})`, () => JSON.stringify(present()) === JSON.stringify(before), {
      describe: () => JSON.stringify([before, present()]),
    });

  test("at whichever call it does: no descriptor, thread or device is left", async () => {
    const before = await presentBefore();
    const refusals: string[] = [];
    let isReached = true;
    for (let nth = 1; isReached; nth++) {
      const calls = failingAt(nth);
      const host = await open(calls).catch((error: Error) => void refusals.push(error.message));
      await host?.close();
      await untilAsBefore(before, calls.failed ?? "");
      isReached = calls.failed !== undefined;
    }
    const steps = [
      /^open a netlink socket: /,
      /^connect a netlink socket: /,
      /^UDP port 500 /,
      /^UDP port 4500 /,
      /^local stream: /,
      /^open \/dev\/net\/tun: /,
      /^make TUN device host0: /,
      /^TCP port 4500 /,
      /^set link host0 up: /,
      /^eventfd: /,
    ];
    for (const step of steps) expect(refusals).toContainEqual(expect.stringMatching(step));
  });

  // One for each lane.
  test.each([
    [1, 2],
    [2, 4],
  ])("behind the data workers, at local stream %i of %i workers", async (nth, workers) => {
    const before = await presentBefore();
    let count = 0;
    const facts = {
      systemCallsOver: (memory: SharedMemory) => {
        const systemCalls = createLinuxSystemCalls(memory);
        const socketpair: SystemCalls["socketpair"] = (family, type, protocol, pair) => {
          if (++count !== nth) return systemCalls.socketpair(family, type, protocol, pair);
          const ends = new Int32Array(pair.buffer);
          for (const end of [0, 1]) ends[end] = systemCalls.eventfd(0, EFD_CLOEXEC);
          return 0;
        };
        return { ...systemCalls, socketpair };
      },
    };
    const refused = createLinuxHost(facts).open({ ...config, workers }, DEAF);
    await expect(refused).rejects.toMatchObject({ code: "ERR_INVALID_FD_TYPE" });
    expect(count).toBe(nth);
    await untilAsBefore(before, "");
  });

  test("behind everything, where what comes behind a new thread fails", async () => {
    const before = await presentBefore();
    const onThreadStart = (): never => {
      throw new RangeError("no more threads");
    };
    await expect(open({ onThreadStart })).rejects.toThrow("no more threads");
    await untilAsBefore(before, "");
  });
});

/** System calls of which the nth fallible one fails. */
function failingAt(nth: number): {
  readonly systemCallsOver: (memory: SharedMemory) => SystemCalls;
  readonly failed: string | undefined;
} {
  let count = 0;
  let failed: string | undefined;
  const fail = (name: string): number => {
    failed = `${name}, call ${nth}`;
    return -Errno.ENOBUFS;
  };
  return {
    get failed() {
      return failed;
    },
    systemCallsOver: (memory) =>
      new Proxy(createLinuxSystemCalls(memory), {
        get: (calls, name: keyof SystemCalls) =>
          FALLIBLE.includes(name) && ++count === nth ? () => fail(name) : calls[name],
      }),
  };
}

const DEAF: IkeListener = {
  onIkeDatagram: () => {},
  onStreamClosed: () => {},
  onFailure: () => {},
  onRefusal: () => {},
  onTrap: () => {},
  onStray: () => {},
  onElsewhere: () => {},
};
