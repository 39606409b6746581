import { MemoryTun } from "../../src/platform/tun/memory-tun.ts";
import { sharedMemory } from "../support/shared-memory.ts";
import { tunSuite } from "./tun.ts";

const memory = sharedMemory();

tunSuite("a TUN device in memory", ({ mtu, offloads }) => {
  const tun = new MemoryTun(memory, { name: "memory0", mtu, offloads });
  return {
    tun,
    memory,
    inject: (packet) => void tun.inject(packet),
    drain: () => tun.drain(),
    setUp: (isUp) => {
      tun.isUp = isUp;
    },
    destroy: () => tun.close(),
    close: () => tun.close(),
  };
});
