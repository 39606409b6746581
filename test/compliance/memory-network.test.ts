import { MemoryNetwork } from "../../src/platform/network/memory-network.ts";
import { networkSuite } from "./network.ts";

networkSuite("a network in memory", () => {
  const network = new MemoryNetwork();
  network.addLink("wire0");
  return { network, close: () => network.close() };
});
