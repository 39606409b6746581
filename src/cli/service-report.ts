import { ServiceManager } from "../platform/service-manager.ts";

/** Signs of life in the time after which the manager loses patience. */
const SIGNS_IN_TIME = 3;

/** Tells the service manager, where there is one, how the daemon is. */
export class ServiceReport {
  readonly #manager: ServiceManager | undefined;
  #watchdog: NodeJS.Timeout | undefined;

  static begin(): ServiceReport {
    return new ServiceReport(ServiceManager.take(process.env));
  }

  private constructor(manager: ServiceManager | undefined) {
    this.#manager = manager;
  }

  /** Sockets are open and requests are answered. From here on it hears signs of life, as long as `isAlive` and this event loop goes round. */
  ready(status: string, isAlive: () => boolean): void {
    this.#manager?.tell("READY=1", `STATUS=${status}`);
    const { watchdogMs } = this.#manager ?? {};
    if (watchdogMs === undefined) return;
    this.#watchdog = setInterval(() => {
      if (isAlive()) this.#manager?.tell("WATCHDOG=1");
    }, watchdogMs / SIGNS_IN_TIME);
    this.#watchdog.unref();
  }

  /** The time tells it which of two reloads an answer belongs to. */
  reloading(): void {
    this.#manager?.tell("RELOADING=1", `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
  }

  reloaded(): void {
    this.#manager?.tell("READY=1");
  }

  /** Signs of life go on meanwhile. */
  stopping(reason: string): void {
    this.#manager?.tell("STOPPING=1", `STATUS=stopping: ${reason}`);
  }

  end(): void {
    clearInterval(this.#watchdog);
  }
}
