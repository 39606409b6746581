import { createServer, type Server, Socket } from "node:net";
import { customerPrefix, formatAddress, parseAddress } from "../../bytes/ip-address.ts";
import type { Path, SocketAddress } from "../address.ts";
import type { Clock } from "../clock.ts";
import type { SystemCalls } from "../system-calls/system-calls.ts";
import { LocalStream, type OnFrames } from "./local-stream.ts";
import { countFrames, StreamConnection } from "./stream-connection.ts";
import { DEFAULT_STREAM_LIMITS, type StreamLimits } from "./stream-limits.ts";
import type { StreamCounts, Streams, StreamsListener, StreamUse } from "./streams.ts";
import { BACKLOG, connectTcpSocket } from "./tcp-socket.ts";

/**
 * The kernel's TCP connections, in the thread that makes it. IKE messages come and go by calls; ESP goes through local streams to the data
 * workers and back, frame by frame as it is.
 */
export class LinuxStreams implements Streams {
  readonly #systemCalls: SystemCalls;
  readonly #clock: Clock;
  readonly #mark: number;
  readonly #limits: StreamLimits;
  readonly #listener: StreamsListener;
  readonly #servers: readonly Server[];
  readonly #locals: readonly LocalStream[];
  readonly #isUsed: Int32Array;
  readonly #connections = new Map<number, StreamConnection>();
  /** Those among them that others have opened and that nobody we know uses, the oldest first. */
  readonly #strangers = new Set<StreamConnection>();
  #uses: () => ReadonlyMap<number, StreamUse> = () => new Map();
  #last = 0;
  #timer: NodeJS.Timeout | undefined;
  #isClosing = false;
  #lostOutbound = 0;
  #lostInbound = 0;

  /**
   * `listeners`: sockets that listen. `locals`: our ends of the local streams, of which the first carries what comes in. All of them are
   * its own from now on, and closed when it throws. `isUsed`: set as soon as there is something to read for a data worker.
   */
  constructor(facts: {
    readonly systemCalls: SystemCalls;
    readonly clock: Clock;
    readonly mark: number;
    readonly listeners: readonly number[];
    readonly locals: readonly number[];
    readonly isUsed: SharedArrayBuffer;
    readonly listener: StreamsListener;
    readonly limits?: Partial<StreamLimits>;
  }) {
    this.#systemCalls = facts.systemCalls;
    this.#clock = facts.clock;
    this.#mark = facts.mark;
    this.#limits = { ...DEFAULT_STREAM_LIMITS, ...facts.limits };
    this.#listener = facts.listener;
    this.#isUsed = new Int32Array(facts.isUsed);
    const locals: LocalStream[] = [];
    const servers: Server[] = [];
    try {
      for (const descriptor of facts.locals) {
        const carryOut = (...outbound: Parameters<OnFrames>): void => this.#carryOut(...outbound);
        locals.push(new LocalStream(descriptor, carryOut));
      }
      for (const descriptor of facts.listeners) servers.push(this.#serve(descriptor));
    } catch (error) {
      for (const local of locals) void local.close();
      for (const server of servers) server.close();
      const left = [...facts.locals.slice(locals.length), ...facts.listeners.slice(servers.length)];
      for (const descriptor of left) facts.systemCalls.close(descriptor);
      throw error;
    }
    this.#locals = locals;
    this.#servers = servers;
  }

  open({
    localAddress,
    remote,
  }: {
    readonly localAddress: string | undefined;
    readonly remote: SocketAddress;
  }): Path | undefined {
    if (this.#isClosing || this.#connections.size >= this.#limits.count) return undefined;
    const facts = { localAddress, remote, mark: this.#mark };
    const opened = connectTcpSocket(this.#systemCalls, facts);
    if (opened === undefined) return undefined;
    const path = { local: opened.local, remote, stream: ++this.#last };
    this.#adopt(new Socket({ fd: opened.descriptor, readable: true, writable: true }), path, true);
    return path;
  }

  send(stream: number, message: Uint8Array): void {
    this.#connections.get(stream)?.sendIke(message);
  }

  trust(stream: number): void {
    const connection = this.#connections.get(stream);
    if (connection === undefined) return;
    this.#know(connection);
    Atomics.store(this.#isUsed, 0, 1);
  }

  watch(uses: () => ReadonlyMap<number, StreamUse>): void {
    this.#uses = uses;
  }

  get counts(): StreamCounts {
    return {
      connections: this.#connections.size,
      strangers: this.#openStrangers.length,
      lostOutbound: this.#lostOutbound,
      lostInbound: this.#lostInbound,
    };
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    clearInterval(this.#timer);
    for (const connection of this.#connections.values()) connection.close();
    const servers = this.#servers.map(
      (server) => new Promise<void>((resolve) => server.close(() => resolve())),
    );
    await Promise.all([...servers, ...this.#locals.map((local) => local.close())]);
  }

  // ---- Connections ----------------------------------------------------------------------------------------

  #serve(descriptor: number): Server {
    const server = createServer((socket) => this.#accept(socket));
    // Such as too many open files: the next one may be luckier.
    server.on("error", () => {});
    // As an argument: behind a descriptor nobody reads it among the options.
    server.listen({ fd: descriptor }, BACKLOG);
    return server;
  }

  #accept(socket: Socket): void {
    const remote = endOf(socket.remoteAddress, socket.remotePort);
    const local = endOf(socket.localAddress, socket.localPort);
    const hasEnds = remote !== undefined && local !== undefined;
    if (!hasEnds || this.#isClosing || !this.#makeRoom(remote.address)) {
      socket.destroy();
      return;
    }
    this.#adopt(socket, { local, remote, stream: ++this.#last }, false);
  }

  /** Who has waited longest of those from this address, or of the prefix that has most, goes. False where nobody can. */
  #makeRoom(address: string): boolean {
    const { strangerCount, strangersPerAddressCount, count } = this.#limits;
    const strangers = this.#openStrangers;
    const alike = strangers.filter(({ path }) => path.remote.address === address);
    const isCrowded = alike.length >= strangersPerAddressCount;
    if (!isCrowded && strangers.length < strangerCount && this.#connections.size < count) return true;
    const leaving = isCrowded ? alike[0] : oldestOfMost(strangers);
    if (leaving === undefined) return false;
    leaving.close();
    this.#forget(leaving);
    return true;
  }

  /** A connection that has closed itself is forgotten a little later. */
  get #openStrangers(): readonly StreamConnection[] {
    return [...this.#strangers].filter(({ isClosed }) => !isClosed);
  }

  #know(connection: StreamConnection): void {
    connection.isTrusted = true;
    this.#strangers.delete(connection);
  }

  #adopt(socket: Socket, path: Path & { readonly stream: number }, isOurs: boolean): void {
    const connection = new StreamConnection(socket, {
      path,
      isOurs,
      now: this.#clock.now(),
      limits: this.#limits,
      listener: {
        onIke: (message) => this.#listener.onIkeMessage(message, path),
        onEsp: (from, frames) => this.#carryIn(from, frames),
        onClosed: (closed) => this.#forget(closed),
      },
    });
    this.#connections.set(path.stream, connection);
    if (!isOurs) this.#strangers.add(connection);
    this.#timer ??= setInterval(() => this.#look(), this.#limits.lookMs);
  }

  #forget(connection: StreamConnection): void {
    const { stream } = connection;
    if (!this.#connections.delete(stream)) return;
    this.#strangers.delete(connection);
    if (this.#connections.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
    if (!this.#isClosing) this.#listener.onStreamClosed(stream);
  }

  #look(): void {
    const uses = this.#uses();
    const now = this.#clock.now();
    for (const connection of [...this.#connections.values()]) {
      const use = uses.get(connection.stream);
      connection.looked();
      if (use === "established") this.#know(connection);
      connection.unusedSince = use === undefined ? (connection.unusedSince ?? now) : undefined;
      if (this.#isOver(connection, use, now)) connection.close();
    }
  }

  #isOver(connection: StreamConnection, use: StreamUse | undefined, now: number): boolean {
    const { prefixMs, firstMessageMs, strangerMs, unusedMs } = this.#limits;
    const { isOurs, isTrusted, openedAt, unusedSince } = connection;
    const age = now - openedAt;
    if (isOurs || isTrusted) return unusedSince !== undefined && now - unusedSince >= unusedMs;
    if (connection.awaitsPrefix) return age >= prefixMs;
    return age >= (use === undefined ? firstMessageMs : strangerMs);
  }

  // ---- ESP ------------------------------------------------------------------------------------------------

  #carryOut(stream: number, frames: readonly Uint8Array[], count: number): void {
    if (this.#connections.get(stream)?.sendFrames(frames) !== true) this.#lostOutbound += count;
  }

  #carryIn({ isTrusted }: StreamConnection, frames: Uint8Array): void {
    const [first] = this.#locals;
    if (!isTrusted || first?.write(frames) !== true) this.#lostInbound += countFrames(frames);
  }
}

function oldestOfMost(strangers: readonly StreamConnection[]): StreamConnection | undefined {
  const groups = new Map<string, StreamConnection[]>();
  for (const stranger of strangers) {
    const prefix = customerPrefix(stranger.path.remote.address);
    const group = groups.get(prefix);
    if (group === undefined) groups.set(prefix, [stranger]);
    else group.push(stranger);
  }
  let most: readonly StreamConnection[] = [];
  for (const group of groups.values()) if (group.length > most.length) most = group;
  return most[0];
}

/** In canonical text. A link-local address that names its link is none that we answer. */
function endOf(address: string | undefined, port: number | undefined): SocketAddress | undefined {
  const octets = address === undefined ? undefined : parseAddress(address);
  return octets === undefined || port === undefined ? undefined : { address: formatAddress(octets), port };
}
