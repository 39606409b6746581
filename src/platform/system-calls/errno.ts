import { constants } from "node:os";
import { PlatformError } from "../../errors/index.ts";

/** The errors that somebody here decides upon. */
export const Errno = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  EIO: 5,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  EBADFD: 77,
  EMSGSIZE: 90,
  EOPNOTSUPP: 95,
  EAFNOSUPPORT: 97,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ENOBUFS: 105,
  ECONNREFUSED: 111,
  EHOSTUNREACH: 113,
  EINPROGRESS: 115,
} as const;

const names = new Map<number, string>();
for (const [name, number] of [...Object.entries(Errno), ...Object.entries(constants.errno)]) {
  if (!names.has(number)) names.set(number, name);
}

/** "EPERM" for -1, as a system call returns it; "errno 4000" for what has no name. */
export function errnoName(result: number): string {
  return names.get(-result) ?? `errno ${-result}`;
}

/** The error for a system call that returned `result`: "open /dev/net/tun: EPERM". */
export function systemError(what: string, result: number): PlatformError {
  const code = errnoName(result);
  return new PlatformError(`${what}: ${code}`, { code });
}

/** Passes a result on, or throws when it is a failure. */
export function succeed(what: string, result: number): number {
  if (result < 0) throw systemError(what, result);
  return result;
}

/** Results that mean "nothing now" rather than a fault. */
export function isNothingYet(result: number): boolean {
  return result === -Errno.EAGAIN || result === -Errno.EINTR;
}
