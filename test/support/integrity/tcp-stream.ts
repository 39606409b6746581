import { createCipheriv, createHash } from "node:crypto";
import { once } from "node:events";
import type { Socket } from "node:net";

// Either end of a TCP transfer says how many octets passed and their SHA-256: equal when all is well.

export interface StreamReport {
  readonly octets: number;
  readonly hash: string;
}

/** Takes what comes until the other end has said all. */
export function takeStream(socket: Socket): Promise<StreamReport> {
  const hash = createHash("sha256");
  let octets = 0;
  socket.on("data", (part) => {
    octets += part.length;
    hash.update(part);
  });
  return new Promise((resolve) => {
    socket.on("end", () => {
      socket.end();
      resolve({ octets, hash: hash.digest("hex") });
    });
  });
}

/** Sends octets by a connection that stands; `seed`, any text, says which, and in which pieces. */
export async function sendStream(
  socket: Socket,
  { octets: total, seed }: { readonly octets: number; readonly seed: string },
): Promise<StreamReport> {
  const hash = createHash("sha256");
  const key = createHash("sha256").update(seed).digest().subarray(0, 16);
  const cipher = createCipheriv("aes-128-ctr", key, Buffer.alloc(16));
  const next = (length: number): Buffer => cipher.update(Buffer.alloc(length));
  const below = (limit: number): number => next(4).readUInt32LE() % limit;
  const closed = new Promise((resolve) => {
    socket.once("close", resolve);
  });
  let octets = 0;
  while (octets < total && !socket.destroyed) {
    // Mostly small writes, and now and then one that fills several super-packets.
    const limit = below(10) === 0 ? 300_000 : 5000;
    const part = next(Math.min(1 + below(limit), total - octets));
    octets += part.length;
    hash.update(part);
    if (!socket.write(part)) await Promise.race([once(socket, "drain"), closed]);
  }
  socket.end();
  socket.resume();
  await closed;
  return { octets, hash: hash.digest("hex") };
}
