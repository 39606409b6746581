// A data worker's thread: rounds until there is nothing to do, then a sleep in poll(), until the host says stop.

import { parentPort, workerData } from "node:worker_threads";
import { COMMAND_STOP, WORKER_BASE, WORKER_COMMAND_OFFSET, WORKER_SIZE } from "../../assembly/layout.ts";
import { createMonotonicClock } from "../platform/clock.ts";
import { openNativeCiphers } from "../platform/native-ciphers/native-ciphers.ts";
import { LinuxPoller } from "../platform/poller/linux-poller.ts";
import { systemRandom } from "../platform/random.ts";
import { LinuxRawEspSocket } from "../platform/raw-esp/linux-raw-esp-socket.ts";
import { createLinuxSystemCalls } from "../platform/system-calls/linux-system-calls.ts";
import { LinuxStreamSocket } from "../platform/tcp/linux-stream-socket.ts";
import { LinuxTun, type OpenTun } from "../platform/tun/linux-tun.ts";
import { LinuxUdpSocket, type OpenUdpSocket } from "../platform/udp/linux-udp-socket.ts";
import type { SeenElsewhere, StrayEsp } from "./inbound.ts";
import { loadKernel } from "./kernel.ts";
import type { WorkerRole } from "./lanes.ts";
import { DataPump, EVERYTHING } from "./pump.ts";
import type { PumpSocket } from "./pump-socket.ts";
import { Spin } from "./spin.ts";
import { Stopwatch } from "./stopwatch.ts";
import type { TrapCall } from "./trapped-packets.ts";

/** What the thread is given. */
export interface WorkerFacts {
  readonly memory: WebAssembly.Memory;
  readonly role: WorkerRole;
  readonly nativeCiphers: "auto" | "off";
  /** How long it goes on looking before it sleeps. */
  readonly spinMicroseconds: number;
  readonly tun: OpenTun;
  readonly sockets: readonly PumpSocket<OpenUdpSocket>[];
  /** The eventfds that wake it, and its companion. */
  readonly wakeUp: number;
  readonly companionWakeUp: number | undefined;
}

/** What it says: that it runs, that there is mail, what the kernel does not do after all, as a sentence, which policy calls for an SA, what ESP is for nobody, whose peer is elsewhere, and which SA sent something too long. */
export type WorkerMessage =
  | "ready"
  | "mail"
  | { readonly refusal: string }
  | { readonly trapCall: TrapCall }
  | { readonly stray: StrayEsp }
  | { readonly elsewhere: SeenElsewhere }
  | { readonly tooLong: number };

/** The poller looks around once a second anyway. */
const SLEEP_MS = 1000;

function run({
  memory,
  role,
  nativeCiphers,
  spinMicroseconds,
  tun,
  sockets,
  wakeUp,
  companionWakeUp,
}: WorkerFacts): void {
  const { worker } = role;
  const clock = createMonotonicClock();
  const stopwatch = new Stopwatch(memory, worker, clock);
  const systemCalls = stopwatch.timeSystemCalls(createLinuxSystemCalls(memory));
  const onRefusal = (refusal: string): void => say({ refusal });
  const lent = nativeCiphers === "auto" ? openNativeCiphers(memory, onRefusal) : {};
  // However the thread ends, no key stays behind.
  process.once("exit", () => lent.aes?.close());
  const kernel = stopwatch.timeKernel(loadKernel(memory, worker, lent));
  const pump = new DataPump({
    memory,
    kernel,
    role,
    tun: new LinuxTun(systemCalls, tun, worker),
    sockets: sockets.map(({ socket, ...use }, index) => {
      const facts = { ...socket, worker, index, onRefusal };
      if (use.isStream === true) return { socket: new LinuxStreamSocket(systemCalls, facts), ...use };
      const Socket = use.isRaw === true ? LinuxRawEspSocket : LinuxUdpSocket;
      return { socket: new Socket(systemCalls, facts), ...use };
    }),
    clock,
    stopwatch,
    random: systemRandom,
    ring: () => say("mail"),
    callCompanion: () => {
      if (companionWakeUp !== undefined) poller.call(companionWakeUp);
    },
    onRefusal,
    onTrap: (trapCall) => say({ trapCall }),
    onStray: (stray) => say({ stray }),
    onElsewhere: (elsewhere) => say({ elsewhere }),
    onTooLong: (tooLong) => say({ tooLong }),
  });
  const poller = new LinuxPoller(systemCalls, {
    worker,
    descriptors: [
      ...(role.sends ? [tun.descriptor] : []),
      ...(role.receives
        ? sockets
            .filter(({ isForSendingOnly = false }) => !isForSendingOnly)
            .map(({ socket }) => socket.descriptor)
        : []),
    ],
    wakeUp,
  });
  const spin = new Spin(clock, spinMicroseconds);
  const words = new Int32Array(memory.buffer);
  const command = (WORKER_BASE + worker * WORKER_SIZE + WORKER_COMMAND_OFFSET) >>> 2;

  say("ready");
  let ready = EVERYTHING;
  while (Atomics.load(words, command) !== COMMAND_STOP) {
    const handled = pump.round(ready);
    ready = EVERYTHING;
    if (handled !== 0) spin.noteWork();
    // Behind mail nothing more is likely to have come: what has ends the sleep at once.
    if (handled === pump.mailInRound && !spin.looksAgain()) {
      poller.wait(Math.min(SLEEP_MS, pump.restMs));
      // Most wake-ups are for one device, or for none. What comes to another meanwhile is found in the next round, or ends the next sleep.
      ready = role.sends ? poller.ready : poller.ready << 1;
    }
  }
  kernel.wipeTraces();
}

function say(message: WorkerMessage): void {
  parentPort?.postMessage(message);
}

run(workerData as WorkerFacts);
