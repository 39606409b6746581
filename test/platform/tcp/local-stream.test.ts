import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { SA_BASE, WORKER_BASE, WORKER_SEND_SLAB_OFFSET, WORKER_SIZE } from "../../../assembly/layout.ts";
import { concat } from "../../../src/bytes/concat.ts";
import { createLinuxSystemCalls } from "../../../src/platform/system-calls/linux-system-calls.ts";
import { LinuxStreamSocket } from "../../../src/platform/tcp/linux-stream-socket.ts";
import { LocalStream, openLocalStream } from "../../../src/platform/tcp/local-stream.ts";
import { sharedMemory } from "../../support/shared-memory.ts";
import { until } from "../../support/waiting.ts";

const memory = sharedMemory();
const systemCalls = createLinuxSystemCalls(memory);
const octets = new Uint8Array(memory.buffer);
const SLAB = WORKER_BASE + WORKER_SIZE + WORKER_SEND_SLAB_OFFSET;

function frame(packet: Uint8Array): Uint8Array {
  return concat(Uint8Array.of((packet.length + 2) >>> 8, packet.length + 2), packet);
}

/** A packet that says which one it is. */
function packet(number: number, length: number): Uint8Array {
  const result = new Uint8Array(length).fill(number);
  new DataView(result.buffer).setUint32(0, number);
  return result;
}

/** Puts packets into the slab and names them to the socket, as one message to a stream. */
function queue(
  worker: LinuxStreamSocket,
  stream: number,
  packets: readonly Uint8Array[],
  at = SLAB,
): boolean {
  const message = concat(...packets);
  octets.set(message, at);
  new DataView(memory.buffer).setUint32(SA_BASE, stream, true);
  return worker.queue({
    address: at,
    length: message.length,
    segmentLength: packets[0]!.length,
    peer: SA_BASE,
    peerLength: 4,
    control: 0,
    controlLength: 0,
    trafficClass: 0,
    mayFragment: false,
  });
}

function received(worker: LinuxStreamSocket, count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => {
    const at = worker.receivedAt(i);
    return octets.slice(at, at + worker.receivedLength(i));
  });
}

describe.skipIf(process.platform !== "linux")("the stream between the host and a data worker", () => {
  let host: LocalStream;
  let worker: LinuxStreamSocket;
  let isUsed: SharedArrayBuffer;
  let got: { readonly stream: number; readonly frames: Uint8Array; readonly count: number }[];

  beforeEach(() => {
    const [hostEnd, workerEnd] = openLocalStream(systemCalls);
    got = [];
    isUsed = new SharedArrayBuffer(4);
    host = new LocalStream(hostEnd, (stream, pieces, count) =>
      got.push({ stream, frames: concat(...pieces), count }),
    );
    worker = new LinuxStreamSocket(systemCalls, { worker: 1, descriptor: workerEnd, isUsed });
  });

  afterEach(async () => {
    await host.close();
    worker.close();
  });

  test("frames come out as packets, as many as are wanted, wherever the reads end", async () => {
    Atomics.store(new Int32Array(isUsed), 0, 1);
    const packets = Array.from({ length: 200 }, (_, i) => packet(i, 20 + 13 * (i % 100)));
    const stream = concat(...packets.map(frame));
    const seen: Uint8Array[] = [];
    for (let at = 0; at < stream.length; at += 7_001) host.write(stream.slice(at, at + 7_001));
    await until("all have come", () => {
      for (let limit = 1; ; limit = 1 + (seen.length % 7)) {
        const count = worker.receive(limit);
        expect(count).toBeLessThanOrEqual(limit);
        if (count === 0) return seen.length === packets.length;
        seen.push(...received(worker, count));
      }
    });
    expect(seen).toEqual(packets);
    expect(worker.receive(64)).toBe(0);
  });

  test("is not read before something can have come", () => {
    host.write(frame(packet(1, 40)));
    expect(worker.receive(64)).toBe(0);
    Atomics.store(new Int32Array(isUsed), 0, 1);
    expect(received(worker, worker.receive(64))).toEqual([packet(1, 40)]);
  });

  test("the longest frames pass, one behind the other", async () => {
    Atomics.store(new Int32Array(isUsed), 0, 1);
    const packets = [packet(1, 65_533), packet(2, 65_533), packet(3, 8)];
    for (const each of packets) host.write(frame(each));
    const seen: Uint8Array[] = [];
    await until("all have come", () => {
      seen.push(...received(worker, worker.receive(64)));
      return seen.length === packets.length;
    });
    expect(seen).toEqual(packets);
  });

  test("messages become frames of one TCP connection each", async () => {
    const first = [packet(1, 100), packet(2, 100), packet(3, 60)];
    const second = [packet(4, 1400)];
    expect(queue(worker, 7, first)).toBe(true);
    expect(queue(worker, 0xffff_fffe, second, SLAB + 1000)).toBe(true);
    expect(worker.transmit()).toBe(4);
    await until("both have come", () => got.length === 2);
    expect(got).toEqual([
      { stream: 7, frames: concat(...first.map(frame)), count: 3 },
      { stream: 0xffff_fffe, frames: concat(...second.map(frame)), count: 1 },
    ]);
  });

  test("a host that does not read loses whole messages and nothing else, and what has begun is ended", async () => {
    const sent: Uint8Array[] = [];
    let lost = 0;
    // Nothing is read as long as we do not wait.
    for (let i = 0; lost < 50; i++) {
      const message = Array.from({ length: 40 }, (_, segment) => packet(40 * i + segment, 1400));
      expect(queue(worker, 9, message)).toBe(true);
      if (worker.transmit() === message.length) sent.push(concat(...message.map(frame)));
      else lost++;
    }
    await until("what has begun is ended", () => {
      const rests = worker.flush();
      return !rests && got.length === sent.length;
    });
    expect(got.every(({ stream, count }) => stream === 9 && count === 40)).toBe(true);
    expect(Buffer.compare(concat(...got.map(({ frames }) => frames)), concat(...sent))).toBe(0);
    const after = [packet(1, 50)];
    expect(queue(worker, 3, after)).toBe(true);
    expect(worker.transmit()).toBe(1);
    await until("the next one comes", () => got.at(-1)!.stream === 3);
  });
});
