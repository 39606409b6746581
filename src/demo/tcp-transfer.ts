import { createHash } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { PlatformError } from "../errors/index.ts";
import { Payload } from "./payload.ts";
import type { TransferEnd } from "./transfer-facts.ts";

const BLOCK_LENGTH = 65_536;

/** A connection on which nothing moves for so long is lost. */
const SILENCE_MS = 5000;

const PROGRESS_MS = 100;

/** Takes one connection and reads it to its end. */
export class TransferServer {
  readonly received: Promise<TransferEnd>;
  readonly #server: Server;

  /** Listens on `address`, on a port that the kernel chooses. */
  static async listen(address: string): Promise<TransferServer> {
    const server = createServer();
    server.listen({ host: address, port: 0 });
    await once(server, "listening");
    return new TransferServer(server);
  }

  private constructor(server: Server) {
    this.#server = server;
    this.received = once(server, "connection").then(([socket]) => receiveAll(socket));
    // Whoever waits for it hears of a failure; whoever does not need not.
    this.received.catch(() => {});
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    this.#server.close();
  }
}

/** Sends numbered blocks for a time and closes the connection. Rejects when it breaks or gets stuck. */
export async function sendFor({
  to,
  from,
  durationMs,
  marker,
  onProgress,
}: {
  readonly to: { readonly address: string; readonly port: number };
  readonly from: string;
  readonly durationMs: number;
  readonly marker: Uint8Array;
  readonly onProgress: (progress: { readonly octets: number; readonly ms: number }) => void;
}): Promise<TransferEnd> {
  const socket = connect({ host: to.address, port: to.port, localAddress: from });
  const closed = guard(socket);
  await Promise.race([once(socket, "connect"), closed]);
  const payload = new Payload(marker, BLOCK_LENGTH);
  const hash = createHash("sha256");
  const startedAt = performance.now();
  let octets = 0;
  let toldAt = startedAt;
  for (let now = startedAt; now < startedAt + durationMs; now = performance.now()) {
    const block = payload.next();
    hash.update(block);
    octets += block.length;
    if (!socket.write(block)) await Promise.race([once(socket, "drain"), closed]);
    if (now >= toldAt + PROGRESS_MS) {
      toldAt = now;
      onProgress({ octets: socket.bytesWritten - socket.writableLength, ms: now - startedAt });
    }
  }
  // The far end answers the end with its own once it has everything.
  socket.resume();
  socket.end();
  await closed;
  return { octets, ms: performance.now() - startedAt, hash: hash.digest("hex") };
}

async function receiveAll(socket: Socket): Promise<TransferEnd> {
  const closed = guard(socket);
  const hash = createHash("sha256");
  let octets = 0;
  let firstAt = 0;
  let lastAt = 0;
  socket.on("data", (part) => {
    lastAt = performance.now();
    if (octets === 0) firstAt = lastAt;
    octets += part.length;
    hash.update(part);
  });
  await closed;
  return { octets, ms: lastAt - firstAt, hash: hash.digest("hex") };
}

/** Settles when the connection is closed by both sides, rejects when it breaks or when nothing moves. */
function guard(socket: Socket): Promise<void> {
  const closed = new Promise<void>((resolve, reject) => {
    socket.once("error", (cause) => reject(new PlatformError(`TCP transfer: ${cause.message}`, { cause })));
    socket.setTimeout(SILENCE_MS, () => {
      socket.destroy(new Error(`nothing moved for ${SILENCE_MS / 1000} s`));
    });
    socket.once("close", () => resolve());
  });
  closed.catch(() => {});
  return closed;
}
