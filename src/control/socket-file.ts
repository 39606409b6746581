import { chmodSync, linkSync, lstatSync, mkdirSync, rmSync, unlinkSync } from "node:fs";
import { createConnection, type Server } from "node:net";
import { dirname } from "node:path";
import { PlatformError } from "../errors/index.ts";

/** sun_path has 108 octets; the closing zero and the name under which we begin take a few. */
const LONGEST_PATH = 97;
const SOCKET_MODE = 0o660;
/** A living daemon accepts at once. */
const PROBE_TIMEOUT_MS = 2000;

/**
 * Makes the server listen on a unix socket at the path and returns the socket's inode. A dead daemon's socket is replaced.
 *
 * It is bound under a name of our own and then linked to the path: the link fails when somebody else has just done the same, and
 * the runtime, which removes the name it bound, leaves a successor's socket alone.
 */
export async function claimSocket(server: Server, path: string): Promise<number> {
  if (Buffer.byteLength(path) > LONGEST_PATH) {
    throw new PlatformError(`socket path ${path} is longer than ${LONGEST_PATH} octets`, {
      code: "ENAMETOOLONG",
    });
  }
  await removeStale(path);
  const ownName = `${path}.${process.pid}`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    rmSync(ownName, { force: true });
    await listen(server, ownName);
    linkSync(ownName, path);
    rmSync(ownName);
    return lstatSync(path).ino;
  } catch (cause) {
    server.close();
    throw platformError(`cannot listen on ${path}`, cause);
  }
}

/** Removes the socket file if it is still the one that we made; its inode is not given away while we listen. */
export function releaseSocket(path: string, inode: number): void {
  try {
    if (lstatSync(path).ino === inode) unlinkSync(path);
  } catch {
    // Somebody was faster.
  }
}

async function removeStale(path: string): Promise<void> {
  const found = statusOf(path);
  if (found === undefined) return;
  if (!found.isSocket()) throw new PlatformError(`${path} exists and is not a socket`, { code: "EEXIST" });
  const answer = await probe(path);
  if (answer === "alive") {
    throw new PlatformError(`another ikebana is running: its socket ${path} answers`, { code: "EADDRINUSE" });
  }
  if (answer !== "dead") throw platformError(`cannot tell whether another ikebana uses ${path}`, answer);
  try {
    unlinkSync(path);
  } catch (cause) {
    throw platformError(`cannot replace the old socket ${path}`, cause);
  }
}

function statusOf(path: string): ReturnType<typeof lstatSync> | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (cause) {
    throw platformError(`cannot look at ${path}`, cause);
  }
}

function probe(path: string): Promise<"alive" | "dead" | Error> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    const settle = (answer: "alive" | "dead" | Error) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(PROBE_TIMEOUT_MS, () => settle("alive"));
    socket.once("connect", () => settle("alive"));
    socket.once("error", (error: NodeJS.ErrnoException) => {
      settle(error.code === "ECONNREFUSED" || error.code === "ENOENT" ? "dead" : error);
    });
  });
}

/** The socket never exists with a wider mode: libuv binds it within this call. */
async function listen(server: Server, path: string): Promise<void> {
  const listening = new Promise<void>((resolve, reject) => {
    server.once("listening", resolve);
    server.once("error", reject);
  });
  const before = process.umask(0o777 & ~SOCKET_MODE);
  try {
    server.listen(path);
  } finally {
    process.umask(before);
  }
  await listening;
  chmodSync(path, SOCKET_MODE);
}

function platformError(what: string, cause: unknown): PlatformError {
  const code = (cause as NodeJS.ErrnoException | undefined)?.code;
  const reason =
    code === "EACCES" || code === "EPERM" ? "permission denied" : ((cause as Error).message ?? code);
  return new PlatformError(`${what}: ${reason}`, { ...(code === undefined ? {} : { code }), cause });
}
