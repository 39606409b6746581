import { createSocket } from "node:dgram";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { enterFreshNamespace, raiseLoopback, requireRoot, type TestHost } from "../namespace.ts";
import { DATAGRAM_PORT, DatagramLink } from "./datagram-link.ts";

const mayRun = requireRoot("datagrams that nobody sent");
const here = { inside: (action: () => unknown) => action() } as TestHost;
const way = { from: here, to: here, source: "127.0.0.1", destination: "127.0.0.2" };

test.skipIf(!mayRun)("a datagram that nobody sent is noticed", async () => {
  enterFreshNamespace();
  raiseLoopback([]);
  const stranger = createSocket("udp4");
  const send = promisify((octets: Uint8Array, done: (error: Error | null) => void) =>
    stranger.send(octets, DATAGRAM_PORT, way.destination, done),
  );
  const link = new DatagramLink(way, "a seed");
  try {
    await link.carry([1, 1000, 9000]);
    await link.carryTrain(1000, 40);
    expect({ sent: link.sent, outstanding: link.outstanding }).toEqual({ sent: 43, outstanding: 0 });
    await send(Buffer.alloc(1000, 7));
    await expect(link.carry([1000])).rejects.toThrow("a datagram of 1000 octets arrived that nobody sent");
  } finally {
    link.close();
    stranger.close();
  }
});
