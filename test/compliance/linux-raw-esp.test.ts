import { describe } from "vitest";
import { LinuxRawEspSocket } from "../../src/platform/raw-esp/linux-raw-esp-socket.ts";
import { openRawEspSocket } from "../../src/platform/raw-esp/open-raw-esp-socket.ts";
import { createLinuxSystemCalls } from "../../src/platform/system-calls/linux-system-calls.ts";
import { enterFreshNamespace, raiseLoopback, requireRoot } from "../support/namespace.ts";
import { sharedMemory } from "../support/shared-memory.ts";
import { rawEspSuite } from "./raw-esp.ts";

const mayRun = requireRoot("raw ESP sockets of the kernel");

describe.skipIf(!mayRun)("in a fresh network namespace", () => {
  if (!mayRun) return;
  enterFreshNamespace();
  raiseLoopback(["::2/128", "::3/128"]);
  const memory = sharedMemory();
  const systemCalls = createLinuxSystemCalls(memory);

  rawEspSuite("raw ESP sockets of the kernel", (family) => {
    const open = (worker: number, index: number) =>
      new LinuxRawEspSocket(systemCalls, { ...openRawEspSocket(systemCalls, { family }), worker, index });
    // Both see every packet: the left one does not read.
    const [left, right] = [open(1, 0), open(2, 5)];
    return {
      memory,
      left,
      leftAddresses: family === 4 ? (["127.0.0.1", "127.0.0.2"] as const) : (["::1", "::2"] as const),
      right,
      rightAddress: family === 4 ? "127.0.0.3" : "::3",
      close: () => {
        left.close();
        right.close();
      },
    };
  });
});
