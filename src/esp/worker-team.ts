import {
  COMMAND_RUN,
  COMMAND_STOP,
  WORKER_BASE,
  WORKER_COMMAND_OFFSET,
  WORKER_SIZE,
} from "../../assembly/layout.ts";
import { LinuxWakeUp } from "../platform/poller/linux-wake-up.ts";
import type { SystemCalls } from "../platform/system-calls/system-calls.ts";
import type { OpenTun } from "../platform/tun/linux-tun.ts";
import type { OpenUdpSocket } from "../platform/udp/linux-udp-socket.ts";
import type { WorkerRole } from "./lanes.ts";
import type { PumpSocket } from "./pump-socket.ts";
import { WorkerThread, type WorkerTold } from "./worker-thread.ts";

/** A queue of the TUN device and the sockets that its lane uses: those of each lane are alike, in the same order. */
export interface LaneDevices {
  readonly tun: OpenTun;
  readonly sockets: readonly PumpSocket<OpenUdpSocket>[];
}

/** The threads of all data workers: they begin together, and when one ends, so do the others. */
export class WorkerTeam {
  readonly #words: Int32Array;
  readonly #roles: readonly WorkerRole[];
  /** By role. A worker has that of its companion as well, so all stay open until the last has ended. */
  readonly #wakeUps: readonly LinuxWakeUp[];
  #threads: readonly WorkerThread[] = [];
  #hasEnded = false;
  #failure: Error | undefined;
  #onFailure: (error: Error) => void = () => {};

  /** Settles when every thread runs; rejects with a PlatformError, and leaves none behind, when one does not get there. */
  static async start(
    start: WorkerTold & {
      readonly memory: WebAssembly.Memory;
      readonly systemCalls: SystemCalls;
      readonly roles: readonly WorkerRole[];
      readonly nativeCiphers: "auto" | "off";
      readonly spinMicroseconds: number;
      /** What the workers of each lane use. */
      readonly devices: readonly LaneDevices[];
      /** Called with the number of a worker that has put something into its mailbox. */
      readonly onMail: (worker: number) => void;
      /** Called once, when a thread has ended without having been told to, and the others have ended too. */
      readonly onFailure: (error: Error) => void;
    },
  ): Promise<WorkerTeam> {
    const { memory, systemCalls, roles, devices } = start;
    const wakeUps = openWakeUps(systemCalls, roles.length);
    const wakeUpOf = (worker: number): number => wakeUps[worker - 1]!.descriptor;
    const team = new WorkerTeam(memory, roles, wakeUps);
    team.#command(COMMAND_RUN);
    const started = await Promise.allSettled(
      roles.map((role) =>
        WorkerThread.start({
          ...start,
          facts: {
            ...devices[role.lane]!,
            memory,
            role,
            nativeCiphers: start.nativeCiphers,
            spinMicroseconds: start.spinMicroseconds,
            wakeUp: wakeUpOf(role.worker),
            companionWakeUp: role.companion === undefined ? undefined : wakeUpOf(role.companion),
          },
          wakeUp: wakeUps[role.worker - 1]!,
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

  private constructor(
    memory: WebAssembly.Memory,
    roles: readonly WorkerRole[],
    wakeUps: readonly LinuxWakeUp[],
  ) {
    this.#words = new Int32Array(memory.buffer);
    this.#roles = roles;
    this.#wakeUps = wakeUps;
  }

  wake(): void {
    if (this.#hasEnded) return;
    for (const thread of this.#threads) thread.wake();
  }

  /** Settles when all have ended. */
  async stop(): Promise<void> {
    this.#command(COMMAND_STOP);
    await Promise.all(this.#threads.map((thread) => thread.stop()));
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    for (const wakeUp of this.#wakeUps) wakeUp.close();
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

/** All or none: throws PlatformError. */
function openWakeUps(systemCalls: SystemCalls, count: number): readonly LinuxWakeUp[] {
  const open: LinuxWakeUp[] = [];
  try {
    for (let i = 0; i < count; i++) open.push(new LinuxWakeUp(systemCalls));
    return open;
  } catch (error) {
    for (const wakeUp of open) wakeUp.close();
    throw error;
  }
}
