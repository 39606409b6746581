import {
  COMMAND_RUN,
  COMMAND_STOP,
  WORKER_BASE,
  WORKER_COMMAND_OFFSET,
  WORKER_SIZE,
} from "../../assembly/layout.ts";
import type { SystemCalls } from "../platform/system-calls/system-calls.ts";
import type { OpenTun } from "../platform/tun/linux-tun.ts";
import type { OpenUdpSocket } from "../platform/udp/linux-udp-socket.ts";
import type { WorkerRole } from "./lanes.ts";
import type { PumpSocket } from "./pump-socket.ts";
import { WorkerThread, type WorkerTold } from "./worker-thread.ts";

/** The threads of all data workers: they begin together, and when one ends, so do the others. */
export class WorkerTeam {
  readonly #words: Int32Array;
  readonly #roles: readonly WorkerRole[];
  #threads: readonly WorkerThread[] = [];
  #failure: Error | undefined;
  #onFailure: (error: Error) => void = () => {};

  /** Settles when every thread runs; rejects with a PlatformError, and leaves none behind, when one does not get there. */
  static async start(
    start: WorkerTold & {
      readonly memory: WebAssembly.Memory;
      readonly systemCalls: SystemCalls;
      readonly roles: readonly WorkerRole[];
      readonly tun: OpenTun;
      readonly sockets: readonly PumpSocket<OpenUdpSocket>[];
      /** Called with the number of a worker that has put something into its mailbox. */
      readonly onMail: (worker: number) => void;
      /** Called once, when a thread has ended without having been told to, and the others have ended too. */
      readonly onFailure: (error: Error) => void;
    },
  ): Promise<WorkerTeam> {
    const { memory, systemCalls, roles, tun, sockets } = start;
    const team = new WorkerTeam(memory, roles);
    team.#command(COMMAND_RUN);
    const started = await Promise.allSettled(
      roles.map((role) =>
        WorkerThread.start({
          ...start,
          systemCalls,
          facts: { memory, role, tun, sockets },
          onMail: () => start.onMail(role.worker),
          onFailure: (error) => team.#fail(error),
        }),
      ),
    );
    team.#threads = started.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
    const refusal = started.find((each) => each.status === "rejected");
    if (refusal !== undefined || team.#failure !== undefined) {
      await team.stop();
      throw refusal?.reason ?? team.#failure;
    }
    team.#onFailure = start.onFailure;
    return team;
  }

  private constructor(memory: WebAssembly.Memory, roles: readonly WorkerRole[]) {
    this.#words = new Int32Array(memory.buffer);
    this.#roles = roles;
  }

  wake(): void {
    for (const thread of this.#threads) thread.wake();
  }

  /** Settles when all have ended. */
  async stop(): Promise<void> {
    this.#command(COMMAND_STOP);
    await Promise.all(this.#threads.map((thread) => thread.stop()));
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    void this.stop().then(() => this.#onFailure(error));
  }

  #command(command: number): void {
    for (const { worker } of this.#roles) {
      Atomics.store(this.#words, (WORKER_BASE + worker * WORKER_SIZE + WORKER_COMMAND_OFFSET) >>> 2, command);
    }
  }
}
