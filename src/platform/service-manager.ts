import { AF_UNIX, MSG_DONTWAIT, MSG_NOSIGNAL, SOCK_CLOEXEC, SOCK_DGRAM } from "./system-calls/constants.ts";
import { createLinuxSystemCalls } from "./system-calls/linux-system-calls.ts";
import type { SystemCalls } from "./system-calls/system-calls.ts";

/** sun_path, with its closing zero. */
const PATH_SIZE = 108;

/** Whoever has started this process and wants to know how it is: systemd, by the protocol of sd_notify(3). */
export class ServiceManager {
  /** How long it waits for a sign of life before it takes the process for dead; undefined: it wants none. */
  readonly watchdogMs: number | undefined;
  readonly #systemCalls: SystemCalls;
  readonly #address: Uint8Array;

  /** Takes its variables out of the environment: programs that we start are none of its business. Undefined where there is none. */
  static take(environment: NodeJS.ProcessEnv): ServiceManager | undefined {
    const { NOTIFY_SOCKET: path = "", WATCHDOG_USEC: limit = "", WATCHDOG_PID: watched } = environment;
    for (const name of ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"]) delete environment[name];
    const address = encodeAddress(path);
    if (address === undefined) return undefined;
    const isWatched = watched === undefined || Number(watched) === process.pid;
    const watchdogMs = isWatched && /^[1-9]\d*$/.test(limit) ? Number(limit) / 1000 : undefined;
    return new ServiceManager(address, watchdogMs);
  }

  private constructor(address: Uint8Array, watchdogMs: number | undefined) {
    this.#systemCalls = createLinuxSystemCalls();
    this.#address = address;
    this.watchdogMs = watchdogMs;
  }

  /** Sends assignments such as "READY=1". What does not get there is lost: the process goes on without it. */
  tell(...assignments: readonly string[]): void {
    const calls = this.#systemCalls;
    const descriptor = calls.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return;
    if (calls.connect(descriptor, this.#address) >= 0)
      calls.send(descriptor, Buffer.from(assignments.join("\n")), MSG_DONTWAIT | MSG_NOSIGNAL);
    calls.close(descriptor);
  }
}

/**
 * sockaddr_un, unix(7): the family, then a path that ends with a zero, or an abstract name ("@" here) that begins with one and goes to
 * the end of the address.
 */
function encodeAddress(path: string): Uint8Array | undefined {
  const name = Buffer.from(path);
  if (!/^[/@]./.test(path) || name.length >= PATH_SIZE) return undefined;
  const isAbstract = path.startsWith("@");
  const address = new Uint8Array(2 + name.length + (isAbstract ? 0 : 1));
  address[0] = AF_UNIX;
  address.set(name, 2);
  if (isAbstract) address[2] = 0;
  return address;
}
