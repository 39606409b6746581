import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { concat } from "../../../src/bytes/concat.ts";
import type { Path } from "../../../src/platform/address.ts";
import { createMonotonicClock } from "../../../src/platform/clock.ts";
import { createLinuxSystemCalls } from "../../../src/platform/system-calls/linux-system-calls.ts";
import { LinuxStreamSocket } from "../../../src/platform/tcp/linux-stream-socket.ts";
import { LinuxStreams } from "../../../src/platform/tcp/linux-streams.ts";
import { openLocalStream } from "../../../src/platform/tcp/local-stream.ts";
import type { StreamLimits } from "../../../src/platform/tcp/stream-limits.ts";
import type { StreamUse } from "../../../src/platform/tcp/streams.ts";
import { bindTcpSocket, openTcpListener } from "../../../src/platform/tcp/tcp-socket.ts";
import { encodeIkeFrame, STREAM_PREFIX } from "../../../src/wire/tcp-encapsulation.ts";
import { enterFreshNamespace, raiseLoopback, requireRoot } from "../../support/namespace.ts";
import { sharedMemory } from "../../support/shared-memory.ts";
import { until } from "../../support/waiting.ts";

const PORT = 4500;
const MARK = 0x1234;
/** As long as an IKE header, and of version 2. */
const IKE = Uint8Array.from({ length: 28 }, (_, i) => (i === 17 ? 0x20 : i + 1));
const ESP_FRAME = Uint8Array.of(0, 12, 0xc0, 1, 2, 3, 0, 0, 0, 1, 5, 6);

const mayRun = requireRoot("TCP connections of the kernel");

describe.skipIf(!mayRun)("TCP connections of the kernel", () => {
  if (!mayRun) return;
  enterFreshNamespace();
  raiseLoopback([]);
  const memory = sharedMemory();
  const systemCalls = createLinuxSystemCalls(memory);
  let gateway: End;
  let client: End;
  const raw: Socket[] = [];

  interface End {
    readonly streams: LinuxStreams;
    readonly worker: LinuxStreamSocket;
    readonly messages: { readonly octets: Uint8Array; readonly path: Path }[];
    readonly closed: number[];
    readonly uses: Map<number, StreamUse>;
    /** What becomes of a connection with its first message. */
    use: StreamUse | undefined;
    close(): Promise<void>;
  }

  function start(ports: readonly number[], worker: number, limits: Partial<StreamLimits> = {}): End {
    const [host, workerEnd] = openLocalStream(systemCalls);
    const isUsed = new SharedArrayBuffer(4);
    const messages: End["messages"] = [];
    const closed: number[] = [];
    const uses = new Map<number, StreamUse>();
    const streams = new LinuxStreams({
      systemCalls,
      clock: createMonotonicClock(),
      mark: MARK,
      listeners: ports.map((port) =>
        openTcpListener(systemCalls, { address: "127.0.0.1", port, mark: MARK, bound: undefined }),
      ),
      locals: [host],
      isUsed,
      limits,
      listener: {
        onIkeMessage: (octets, path) => {
          messages.push({ octets: octets.slice(), path });
          if (all.use !== undefined) uses.set(path.stream!, all.use);
        },
        onStreamClosed: (stream) => closed.push(stream),
      },
    });
    streams.watch(() => uses);
    const end = new LinuxStreamSocket(systemCalls, { worker, descriptor: workerEnd, isUsed });
    const all: End = {
      streams,
      worker: end,
      messages,
      closed,
      uses,
      use: undefined,
      close: async () => {
        await streams.close();
        end.close();
      },
    };
    return all;
  }

  function startBoth(limits: Partial<StreamLimits> = {}): void {
    gateway = start([PORT], 1, limits);
    client = start([], 2);
  }

  const open = (port = PORT): Path & { readonly stream: number } => {
    const remote = { address: "127.0.0.1", port };
    const path = client.streams.open({ localAddress: undefined, remote });
    return path as Path & { readonly stream: number };
  };

  /** Somebody who need not keep to anything. */
  function dial(...octets: readonly Uint8Array[]): Socket {
    return dialFrom("127.0.0.1", ...octets);
  }

  function dialFrom(localAddress: string, ...octets: readonly Uint8Array[]): Socket {
    const socket = connect({ host: "127.0.0.1", port: PORT, localAddress });
    socket.on("error", () => {});
    socket.resume();
    for (const each of octets) socket.write(each);
    raw.push(socket);
    return socket;
  }

  const isShut = (socket: Socket): boolean => socket.readableEnded || socket.destroyed;

  beforeEach(() => {
    raw.splice(0);
  });

  afterEach(async () => {
    for (const socket of raw) socket.destroy();
    await client.close();
    await gateway.close();
  });

  test("IKE goes both ways, and each side knows the ends of the connection before it stands", async () => {
    startBoth();
    const path = open();
    client.streams.send(path.stream, IKE);
    await until("it has come", () => gateway.messages.length === 1);
    const [{ octets, path: theirs }] = gateway.messages as [(typeof gateway.messages)[0]];
    expect(octets).toEqual(IKE);
    expect([theirs.local, theirs.remote]).toEqual([path.remote, path.local]);
    const long = concat(IKE, new Uint8Array(60_000).fill(3));
    gateway.streams.send(theirs.stream!, long);
    await until("the answer has come", () => client.messages.length === 1);
    expect(client.messages[0]!.octets).toEqual(long);
    expect(client.messages[0]!.path).toEqual(path);
  });

  test("ESP passes between the data workers once an IKE SA is there, and not before", async () => {
    startBoth();
    const path = open();
    client.streams.send(path.stream, IKE);
    await until("it has come", () => gateway.messages.length === 1);
    const theirs = gateway.messages[0]!.path.stream!;
    const send = (): void => {
      const at = 1 << 20;
      new Uint8Array(memory.buffer).set(ESP_FRAME.subarray(2), at);
      new DataView(memory.buffer).setUint32(at + 64, path.stream, true);
      const sizes = { length: 10, segmentLength: 10, peerLength: 4, control: 0, controlLength: 0 };
      client.worker.queue({ address: at, peer: at + 64, trafficClass: 0, mayFragment: false, ...sizes });
      expect(client.worker.transmit()).toBe(1);
    };
    send();
    await until("it is counted as lost", () => gateway.streams.counts.lostInbound === 1);
    expect(gateway.worker.receive(64)).toBe(0);
    gateway.streams.trust(theirs);
    send();
    await until("it has come", () => gateway.worker.receive(64) === 1);
    const at = gateway.worker.receivedAt(0);
    expect(new Uint8Array(memory.buffer).slice(at, at + 10)).toEqual(ESP_FRAME.slice(2));
  });

  test("whoever connects in vain, or loses the connection, hears of it", async () => {
    startBoth();
    const refused = open(PORT + 1);
    await until("it is refused", () => client.closed.includes(refused.stream));
    const path = open();
    client.streams.send(path.stream, IKE);
    await until("it stands", () => gateway.messages.length === 1);
    await gateway.streams.close();
    await until("it has ended", () => client.closed.includes(path.stream));
    expect(client.streams.open({ localAddress: "192.0.2.1", remote: path.remote })).toBeUndefined();
  });

  test("what is no stream of ours is closed at once, and so is nonsense of a stranger", async () => {
    startBoth();
    const text = new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n");
    const bad = [
      dial(text),
      dial(STREAM_PREFIX, Uint8Array.of(0, 1)),
      dial(STREAM_PREFIX, encodeIkeFrame(IKE.subarray(0, 27))),
      dial(STREAM_PREFIX, encodeIkeFrame(new Uint8Array(28))),
    ];
    await until("all are closed", () => bad.every(isShut));
    expect(gateway.messages).toEqual([]);
    await until("none is left", () => gateway.streams.counts.connections === 0);
  });

  test("a stranger has so long for the prefix, and for a first message", async () => {
    startBoth({ lookMs: 10, prefixMs: 50, firstMessageMs: 50 });
    const silent = dial();
    const idle = dial(STREAM_PREFIX);
    await until("both are closed", () => isShut(silent) && isShut(idle));
  });

  test("a stranger has so long for a login", async () => {
    startBoth({ lookMs: 10, strangerMs: 50 });
    gateway.use = "negotiating";
    const slow = dial(STREAM_PREFIX, encodeIkeFrame(IKE));
    await until("it is closed", () => gateway.messages.length === 1 && isShut(slow));
  });

  test("whom we know stays, and is closed when nobody uses it any more", async () => {
    startBoth({ lookMs: 10, strangerMs: 50, unusedMs: 50 });
    gateway.use = "established";
    const known = dial(STREAM_PREFIX, encodeIkeFrame(IKE));
    await until("it is known", () => gateway.messages.length === 1 && gateway.streams.counts.strangers === 0);
    gateway.use = "negotiating";
    const later = dial(STREAM_PREFIX, encodeIkeFrame(IKE));
    await until("another one is closed", () => gateway.messages.length === 2 && isShut(later));
    expect(isShut(known)).toBe(false);
    gateway.uses.clear();
    await until("it is closed", () => isShut(known));
  });

  test("strangers from one address are few, and the oldest makes room", async () => {
    startBoth({ strangersPerAddressCount: 3 });
    const dialled: Socket[] = [];
    for (let i = 0; i < 5; i++) {
      const socket = dial(STREAM_PREFIX, encodeIkeFrame(IKE));
      dialled.push(socket);
      await until("it has come", () => gateway.messages.length === i + 1);
    }
    await until("the first two are closed", () => isShut(dialled[0]!) && isShut(dialled[1]!));
    expect(dialled.slice(2).some(isShut)).toBe(false);
    await until("the others are left", () => gateway.streams.counts.connections === 3);
    expect(gateway.streams.counts.strangers).toBe(3);
  });

  test("strangers are few in all, and the oldest of the prefix that has most makes room", async () => {
    startBoth({ strangersPerAddressCount: 3, strangerCount: 4 });
    const dialled: Socket[] = [];
    // The first of all is the only one of its prefix; in the next one no address has more than one.
    const addresses = ["127.0.1.1", "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.2.1", "127.0.3.1"];
    for (const [i, address] of addresses.entries()) {
      dialled.push(dialFrom(address, STREAM_PREFIX, encodeIkeFrame(IKE)));
      await until("it has come", () => gateway.messages.length === i + 1);
    }
    await until("two are closed", () => isShut(dialled[1]!) && isShut(dialled[2]!));
    expect(dialled.map(isShut)).toEqual([false, true, true, false, false, false]);
    expect(gateway.streams.counts).toMatchObject({ connections: 4, strangers: 4 });
  });

  test("connections are so many in all: a stranger makes room, and where there is none nobody comes in", async () => {
    startBoth({ lookMs: 10, count: 2 });
    const enter = async (address: string): Promise<Socket> => {
      const before = gateway.messages.length;
      const socket = dialFrom(address, STREAM_PREFIX, encodeIkeFrame(IKE));
      await until("it has come", () => gateway.messages.length === before + 1);
      expect(gateway.streams.counts.connections).toBeLessThanOrEqual(2);
      return socket;
    };
    gateway.use = "established";
    const known = await enter("127.0.0.2");
    await until("it is known", () => gateway.streams.counts.strangers === 0);
    gateway.use = "negotiating";
    const stranger = await enter("127.0.0.3");
    gateway.use = "established";
    const next = await enter("127.0.0.4");
    await until("the stranger has made room", () => isShut(stranger));
    expect(gateway.closed).toEqual([gateway.messages[1]!.path.stream]);
    await until("both are known", () => gateway.streams.counts.strangers === 0);
    const late = dialFrom("127.0.0.5", STREAM_PREFIX, encodeIkeFrame(IKE));
    await until("it is closed", () => isShut(late));
    expect(gateway.messages).toHaveLength(3);
    expect([known, next].map(isShut)).toEqual([false, false]);
    expect(gateway.streams.counts).toMatchObject({ connections: 2, strangers: 0 });
  });

  test("a listener goes to no program that we start, and what is bound for another life of ours does", () => {
    startBoth();
    const CLOSE_ON_EXEC = 0o2000000;
    const outlives = (descriptor: number): boolean => {
      const [, flags] = /^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, "utf8"))!;
      return (Number.parseInt(flags!, 8) & CLOSE_ON_EXEC) === 0;
    };
    const place = { address: "127.0.0.1", port: PORT + 1 };
    const listener = openTcpListener(systemCalls, { ...place, mark: MARK, bound: undefined });
    const bound = bindTcpSocket(systemCalls, { ...place, port: PORT + 2 });
    expect([listener, bound].map(outlives)).toEqual([false, true]);
    for (const descriptor of [listener, bound]) systemCalls.close(descriptor);
  });

  test("a stranger may say so much and no more", async () => {
    startBoth({ strangerLength: 1_000, strangerMessageCount: 4 });
    const many = dial(STREAM_PREFIX, ...Array.from({ length: 5 }, () => encodeIkeFrame(IKE)));
    await until("it is closed", () => isShut(many));
    expect(gateway.messages).toHaveLength(4);
    const long = dial(STREAM_PREFIX, encodeIkeFrame(concat(IKE, new Uint8Array(1_000))));
    await until("it is closed", () => isShut(long));
    expect(gateway.messages).toHaveLength(4);
  });
});
