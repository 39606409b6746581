import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { expect, test } from "vitest";
import { concat } from "../../../src/bytes/concat.ts";
import { StreamConnection } from "../../../src/platform/tcp/stream-connection.ts";
import { DEFAULT_STREAM_LIMITS, type StreamLimits } from "../../../src/platform/tcp/stream-limits.ts";
import { encodeIkeFrame, STREAM_PREFIX } from "../../../src/wire/tcp-encapsulation.ts";

const IKE = Uint8Array.from({ length: 28 }, (_, i) => (i === 17 ? 0x20 : i + 1));
const LIMITS: Partial<StreamLimits> = { messagesPerLook: 3, sendQueueLength: 1_000, ikeQueueLength: 5_000 };

/** A connection over a socket whose peer takes nothing until it is told to. */
function connection({ isOurs }: { readonly isOurs: boolean }) {
  const written: Uint8Array[] = [];
  const waiting: (() => void)[] = [];
  const socket = new Duplex({
    read: () => {},
    write: (octets: Uint8Array, _, done) => {
      written.push(octets);
      waiting.push(done);
    },
  });
  let ikeCount = 0;
  const stream = new StreamConnection(socket as Socket, {
    path: {
      local: { address: "192.0.2.1", port: 4500 },
      remote: { address: "192.0.2.2", port: 4500 },
      stream: 1,
    },
    isOurs,
    now: 0,
    limits: { ...DEFAULT_STREAM_LIMITS, ...LIMITS },
    listener: { onIke: () => ikeCount++, onEsp: () => {}, onClosed: () => {} },
  });
  const drain = (): void => {
    for (let done = waiting.shift(); done !== undefined; done = waiting.shift()) done();
  };
  return { stream, socket, written, drain, ikeCount: () => ikeCount };
}

test("whoever opens it sends the prefix first, and the other side none", () => {
  const ours = connection({ isOurs: true });
  expect(ours.written).toEqual([Buffer.from(STREAM_PREFIX)]);
  const theirs = connection({ isOurs: false });
  expect(theirs.written).toEqual([]);
});

test("IKE messages beyond the rate are lost, and the connection stands", () => {
  const { stream, socket, ikeCount } = connection({ isOurs: true });
  const burst = concat(...Array.from({ length: 10 }, () => encodeIkeFrame(IKE)));
  socket.emit("data", burst);
  expect(ikeCount()).toBe(3);
  stream.looked();
  socket.emit("data", burst);
  expect(ikeCount()).toBe(6);
  expect(stream.isClosed).toBe(false);
});

test("a full queue loses ESP before it loses IKE, and holds no more than its limit", () => {
  const { stream, socket, drain } = connection({ isOurs: true });
  drain();
  const frames = [new Uint8Array(600)];
  let taken = 0;
  while (stream.sendFrames(frames)) taken++;
  expect(taken).toBe(2);
  expect(stream.sendIke(IKE)).toBe(true);
  let messages = 0;
  while (stream.sendIke(new Uint8Array(600))) messages++;
  expect(messages).toBeGreaterThan(3);
  expect(socket.writableLength).toBeLessThan(5_000 + 1_000);
  drain();
  expect(stream.sendFrames(frames)).toBe(true);
});

test("what a closed connection is given is lost, and nothing that still comes is heard", () => {
  const { stream, socket, ikeCount } = connection({ isOurs: true });
  stream.close();
  socket.emit("data", encodeIkeFrame(IKE));
  expect([stream.sendIke(IKE), stream.sendFrames([new Uint8Array(9)]), ikeCount()]).toEqual([
    false,
    false,
    0,
  ]);
});
