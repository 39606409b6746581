import { RAW_ESP_PORT } from "../../src/platform/raw-esp/open-raw-esp-socket.ts";
import { MemoryWire } from "../../src/platform/udp/memory-udp.ts";
import { sharedMemory } from "../support/shared-memory.ts";
import { rawEspSuite } from "./raw-esp.ts";

const memory = sharedMemory();

rawEspSuite("raw ESP sockets in memory", (family) => {
  const wire = new MemoryWire();
  const leftAddresses =
    family === 4 ? (["192.0.2.1", "192.0.2.2"] as const) : (["2001:db8::1", "2001:db8::2"] as const);
  const rightAddress = family === 4 ? "192.0.2.3" : "2001:db8::3";
  const open = (addresses: readonly string[], worker: number) =>
    wire.host(addresses).openUdpSocket(memory, { family, port: RAW_ESP_PORT, worker });
  const [left, right] = [open(leftAddresses, 1), open([rightAddress], 2)];
  return {
    memory,
    left,
    leftAddresses,
    right,
    rightAddress,
    close: () => {
      left.close();
      right.close();
    },
  };
});
