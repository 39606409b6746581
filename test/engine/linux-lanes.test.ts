import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { openLanes } from "../../src/engine/linux-lanes.ts";
import { PlatformError } from "../../src/errors/index.ts";
import { InheritedSockets } from "../../src/platform/privileges/inherited-sockets.ts";
import { createLinuxSystemCalls } from "../../src/platform/system-calls/linux-system-calls.ts";
import { openTun } from "../../src/platform/tun/linux-tun.ts";
import { enterFreshNamespace, raiseLoopback, requireRoot } from "../support/namespace.ts";
import { sharedMemory } from "../support/shared-memory.ts";

const mayRun = requireRoot("sockets and devices of the lanes");

describe.skipIf(!mayRun)("sockets and devices of the lanes", () => {
  if (!mayRun) return;
  enterFreshNamespace();
  raiseLoopback([]);
  const systemCalls = createLinuxSystemCalls(sharedMemory());
  const config = {
    connections: [],
    listen: { addresses: ["127.0.0.1"], port: 500, natTraversalPort: 4500 },
    tun: { name: "lanes0", mtu: 1400 },
    offloads: "off",
    workers: 4,
    stateDirectory: "",
  } as const;
  const openNow = (): ReadonlySet<string> => new Set(readdirSync("/proc/self/fd"));

  test.each([true, false])(
    "whoever closes what is listed has closed all (a device in the way: %s)",
    (isTaken) => {
      const taken = isTaken ? [openTun(systemCalls, { name: config.tun.name, mtu: 1400 }).descriptor] : [];
      const before = openNow();
      const descriptors: number[] = [];
      const open = () => openLanes(systemCalls, config, { descriptors, inherited: new InheritedSockets() });
      if (isTaken) expect(open).toThrow(PlatformError);
      else open();
      expect(new Set(descriptors).size).toBe(descriptors.length);
      expect(descriptors.map((descriptor) => systemCalls.close(descriptor))).toEqual(
        descriptors.map(() => 0),
      );
      expect(openNow()).toEqual(before);
      for (const descriptor of taken) systemCalls.close(descriptor);
    },
  );
});
