import { PlatformError } from "../../errors/index.ts";
import { MAP_SHARED, PROT_READ_WRITE, SYSTEM_CALL_NUMBERS } from "./constants.ts";
import { requireKoffi } from "./require-koffi.ts";
import type { SharedMemory, SystemCalls } from "./system-calls.ts";

/**
 * System calls of this machine over `memory`, for the calling thread. Without a memory only the calls that take octets are
 * of use. Throws PlatformError where there is no Linux, no libc that we can call, or an unknown processor.
 */
export function createLinuxSystemCalls(
  memory: SharedMemory = { buffer: new SharedArrayBuffer(64) },
): SystemCalls {
  const libc = loadLibc();
  const octets = new Uint8Array(memory.buffer);
  const base = libc.addressOf(octets);
  const { errno } = libc;
  const numbers = libc.numbers;

  /** Every C function here answers -1 and sets errno; we answer as the kernel does. */
  const settle = (result: number): number => (result === -1 ? -errno[0]! : result);

  return {
    memory,
    base,
    read: (descriptor, address, length) => settle(libc.read(descriptor, base + address, length)),
    write: (descriptor, address, length) => settle(libc.write(descriptor, base + address, length)),
    writev: (descriptor, address, count) => settle(libc.writev(descriptor, base + address, count)),
    recvmmsg: (descriptor, address, count, flags) =>
      settle(libc.syscall(numbers.recvmmsg, descriptor, base + address, count, flags, 0)),
    sendmmsg: (descriptor, address, count, flags) =>
      settle(libc.syscall(numbers.sendmmsg, descriptor, base + address, count, flags, 0)),
    poll: (address, count, timeoutMs) => settle(libc.poll(base + address, count, timeoutMs)),
    open: (path, flags) => settle(libc.open(path, flags, 0)),
    close: (descriptor) => settle(libc.close(descriptor)),
    flock: (descriptor, operation) => settle(libc.flock(descriptor, operation)),
    socket: (family, type, protocol) => settle(libc.socket(family, type, protocol)),
    socketpair: (family, type, protocol, pair) => settle(libc.socketpair(family, type, protocol, pair)),
    bind: (descriptor, address) => settle(libc.bind(descriptor, address, address.length)),
    listen: (descriptor, backlog) => settle(libc.listen(descriptor, backlog)),
    connect: (descriptor, address) => settle(libc.connect(descriptor, address, address.length)),
    getsockname: (descriptor, address) =>
      settle(libc.getsockname(descriptor, address, lengthOf(address.length))),
    setsockopt: (descriptor, level, option, value) =>
      settle(libc.setsockopt(descriptor, level, option, value, value.length)),
    getsockopt: (descriptor, level, option, value) =>
      settle(libc.getsockopt(descriptor, level, option, value, lengthOf(value.length))),
    ioctl: (descriptor, request, argument) => settle(libc.ioctl(descriptor, request, argument)),
    ioctlNumber: (descriptor, request, argument) => settle(libc.ioctlNumber(descriptor, request, argument)),
    send: (descriptor, data, flags) => settle(libc.send(descriptor, data, data.length, flags)),
    recv: (descriptor, data, flags) => settle(libc.recv(descriptor, data, data.length, flags)),
    mmap: (descriptor, length) => settle(libc.mmap(0, length, PROT_READ_WRITE, MAP_SHARED, descriptor, 0)),
    munmap: (address, length) => settle(libc.munmap(address, length)),
    octetsAt: (address, length) => libc.octetsAt(address, length),
    eventfd: (initial, flags) => settle(libc.eventfd(initial, flags)),
    setns: (descriptor, kind) => settle(libc.setns(descriptor, kind)),
    unshare: (flags) => settle(libc.unshare(flags)),
    prctl: (option, first, second) => settle(libc.prctl(option, first, second, 0, 0)),
    execve: (path, words, environment) => settle(libc.execve(path, words, environment)),
    clockGettime: (clock, timespec) => settle(libc.clock_gettime(clock, timespec)),
  };
}

/** A socklen_t that the kernel may overwrite. */
function lengthOf(length: number): Uint8Array {
  return new Uint8Array(new Uint32Array([length]).buffer);
}

type Call = (...values: readonly (number | string | Uint8Array)[]) => number;

/**
 * C prototypes as koffi reads them. Lengths are `int`, which is cheaper to pass than `size_t`; `intptr_t` is an address in
 * the memory, `void *` are octets of a call that is made once.
 */
const PROTOTYPES = {
  read: ["int", "intptr_t", "int"],
  write: ["int", "intptr_t", "int"],
  writev: ["int", "intptr_t", "int"],
  poll: ["intptr_t", "int", "int"],
  open: ["str", "int", "int"],
  close: ["int"],
  flock: ["int", "int"],
  socket: ["int", "int", "int"],
  socketpair: ["int", "int", "int", "void *"],
  bind: ["int", "void *", "int"],
  listen: ["int", "int"],
  connect: ["int", "void *", "int"],
  getsockname: ["int", "void *", "void *"],
  setsockopt: ["int", "int", "int", "void *", "int"],
  getsockopt: ["int", "int", "int", "void *", "void *"],
  ioctl: ["int", "uintptr_t", "void *"],
  send: ["int", "void *", "int", "int"],
  recv: ["int", "void *", "int", "int"],
  munmap: ["intptr_t", "size_t"],
  eventfd: ["uint", "int"],
  setns: ["int", "int"],
  unshare: ["int"],
  clock_gettime: ["int", "void *"],
  prctl: ["int", "ulong", "ulong", "ulong", "ulong"],
} as const satisfies Record<string, readonly string[]>;

type CallName = keyof typeof PROTOTYPES | "syscall" | "mmap" | "ioctlNumber";

interface Libc extends Readonly<Record<CallName, Call>> {
  execve(path: string, words: readonly string[], environment: readonly string[]): number;
  readonly numbers: (typeof SYSTEM_CALL_NUMBERS)[keyof typeof SYSTEM_CALL_NUMBERS];
  /** errno of this thread, in place. */
  readonly errno: Int32Array;
  addressOf(octets: Uint8Array): number;
  octetsAt(address: number, length: number): ArrayBuffer;
}

let loaded: Libc | undefined;

function loadLibc(): Libc {
  if (loaded !== undefined) return loaded;
  if (process.platform !== "linux") {
    throw new PlatformError(`packets need Linux; this is ${process.platform}`, { code: "ENOSYS" });
  }
  const numbers = SYSTEM_CALL_NUMBERS[process.arch as keyof typeof SYSTEM_CALL_NUMBERS];
  if (numbers === undefined) {
    throw new PlatformError(`packets need an x86-64 or arm64 processor; this is ${process.arch}`, {
      code: "ENOSYS",
    });
  }
  const koffi = requireKoffi();
  try {
    const library = koffi.load(null); // the process itself, which has the C library in it: glibc or musl
    const errnoLocation = library.func("__errno_location", "intptr_t", []) as () => number;
    const calls: Partial<Record<string, Call>> = {
      ioctlNumber: library.func("ioctl", "int", ["int", "uintptr_t", "intptr_t"]),
      syscall: library.func("syscall", "long", ["long", "int", "intptr_t", "int", "int", "intptr_t"]),
      mmap: library.func("mmap", "intptr_t", ["intptr_t", "size_t", "int", "int", "int", "long"]),
    };
    for (const [name, types] of Object.entries(PROTOTYPES)) {
      calls[name] = library.func(name, "int", [...types]);
    }
    const execve = library.func("execve", "int", ["str", "const char **", "const char **"]);
    loaded = {
      ...(calls as Record<CallName, Call>),
      execve: (path, words, environment) => execve(path, [...words, null], [...environment, null]) as number,
      numbers,
      errno: new Int32Array(koffi.view(BigInt(errnoLocation()), 4)),
      octetsAt: (address, length) => koffi.view(BigInt(address), length),
      addressOf: (octets) => Number(koffi.address(Buffer.from(octets.buffer))),
    };
    return loaded;
  } catch (cause) {
    throw new PlatformError(`the C library cannot be called: ${(cause as Error).message}`, { cause });
  }
}
