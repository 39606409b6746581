/** A memory whose octets are named by address: a WebAssembly.Memory, or a small one of our own. */
export interface SharedMemory {
  readonly buffer: SharedArrayBuffer;
}

/**
 * The few functions of the C library that we call. A result below zero is the negated errno, as the kernel itself gives it.
 *
 * Calls made for every packet take addresses in `memory`; the structures there are laid out as `structures.ts` says, and a
 * pointer inside one is `base` plus an address. Calls made once take octets.
 */
export interface SystemCalls {
  readonly memory: SharedMemory;
  /** Where address 0 of the memory lies in this process; the same in every thread. */
  readonly base: number;

  read(descriptor: number, address: number, length: number): number;
  write(descriptor: number, address: number, length: number): number;
  /** `address`: an array of `iovec`. */
  writev(descriptor: number, address: number, count: number): number;
  /** `address`: an array of `mmsghdr`. */
  recvmmsg(descriptor: number, address: number, count: number, flags: number): number;
  sendmmsg(descriptor: number, address: number, count: number, flags: number): number;
  /** `address`: an array of `pollfd`. -1 ms waits for ever. */
  poll(address: number, count: number, timeoutMs: number): number;

  open(path: string, flags: number): number;
  close(descriptor: number): number;
  /** A claim on what a descriptor stands for, which ends with the descriptor. */
  flock(descriptor: number, operation: number): number;
  socket(family: number, type: number, protocol: number): number;
  /** Fills `pair`: two descriptors, an int each. */
  socketpair(family: number, type: number, protocol: number, pair: Uint8Array): number;
  bind(descriptor: number, address: Uint8Array): number;
  listen(descriptor: number, backlog: number): number;
  connect(descriptor: number, address: Uint8Array): number;
  /** Fills `address`; its length is known from the family. */
  getsockname(descriptor: number, address: Uint8Array): number;
  setsockopt(descriptor: number, level: number, option: number, value: Uint8Array): number;
  getsockopt(descriptor: number, level: number, option: number, value: Uint8Array): number;
  ioctl(descriptor: number, request: number, argument: Uint8Array): number;
  /** The same, where the argument is a number instead of a structure. */
  ioctlNumber(descriptor: number, request: number, argument: number): number;
  send(descriptor: number, octets: Uint8Array, flags: number): number;
  recv(descriptor: number, octets: Uint8Array, flags: number): number;
  /** Maps the beginning of what a descriptor stands for, to read and write together with the kernel. The result is an address in this process. */
  mmap(descriptor: number, length: number): number;
  munmap(processAddress: number, length: number): number;
  /** The octets at an address in this process. They must not be touched once they are unmapped. */
  octetsAt(processAddress: number, length: number): ArrayBuffer;
  eventfd(initial: number, flags: number): number;
  /** Moves the calling thread. */
  setns(descriptor: number, kind: number): number;
  unshare(flags: number): number;
  /** Of the calling thread. */
  prctl(option: number, first: number, second: number): number;
  /** Puts another program in the place of this process, all of its threads, and returns only where that fails. */
  execve(path: string, words: readonly string[], environment: readonly string[]): number;
  /** Fills a `timespec`: two 64-bit numbers, seconds and nanoseconds. */
  clockGettime(clock: number, timespec: Uint8Array): number;
}
