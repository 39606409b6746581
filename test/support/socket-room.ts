import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import koffi from "koffi";

const library = koffi.load(null);
/** The same numbers on every architecture that came after the calls did. */
const PIDFD_OPEN = 434;
const PIDFD_GETFD = 438;
const syscall = library.func("long syscall(long number, long a, long b, long c)");
const setsockopt = library.func("int setsockopt(int fd, int level, int name, int *value, uint length)");
const close = library.func("int close(int fd)");
const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;

/**
 * Gives the UDP sockets that a process has on a port so many octets of room for what arrives, whatever the machine's limit is
 * (socket(7), SO_RCVBUFFORCE), and returns how many sockets these are. For peers that have no setting for it: the socket is
 * fetched from the process (pidfd_getfd(2)), which knows nothing of it.
 */
export function giveReceiveRoom(
  pid: number,
  { port, octets }: { readonly port: number; readonly octets: number },
): number {
  const sockets = socketsOn(pid, port);
  const process = succeed("pidfd_open", syscall(PIDFD_OPEN, pid, 0, 0));
  try {
    let count = 0;
    for (const name of readdirSync(`/proc/${pid}/fd`)) {
      const inode = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${name}`))?.[1];
      if (inode === undefined || !sockets.has(inode)) continue;
      const socket = succeed("pidfd_getfd", syscall(PIDFD_GETFD, process, Number(name), 0));
      try {
        succeed("setsockopt SO_RCVBUFFORCE", setsockopt(socket, SOL_SOCKET, SO_RCVBUFFORCE, [octets], 4));
        count++;
      } finally {
        close(socket);
      }
    }
    return count;
  } finally {
    close(process);
  }
}

/** Inodes of the UDP sockets on a port in the network of a process: /proc/net/udp, columns 2 and 10. */
function socketsOn(pid: number, port: number): ReadonlySet<string> {
  const inodes = new Set<string>();
  for (const family of ["udp", "udp6"]) {
    for (const line of readFileSync(`/proc/${pid}/net/${family}`, "utf8").split("\n").slice(1)) {
      const columns = line.trim().split(/\s+/);
      const local = columns[1]?.split(":")[1];
      if (local !== undefined && Number.parseInt(local, 16) === port) inodes.add(columns[9]!);
    }
  }
  return inodes;
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return ""; // closed meanwhile
  }
}

function succeed(what: string, result: number): number {
  if (result < 0) throw new Error(`${what} failed: errno ${koffi.errno()}`);
  return result;
}
