import {
  TALLY_SIZE,
  TALLY_TUN_READ,
  TALLY_UDP_RECEIVE,
  TIMES_PACKETS_OFFSET,
  TIMES_ROUNDS_OFFSET,
  TIMES_SYSTEM_CALLS_OFFSET,
  TIMES_TOTAL_OFFSET,
  TIMES_WEBASSEMBLY_OFFSET,
  WORKER_BASE,
  WORKER_SIZE,
  WORKER_TALLIES_OFFSET,
  WORKER_TIMES_OFFSET,
} from "../../assembly/layout.ts";
import type { Clock } from "../platform/clock.ts";
import type { SystemCalls } from "../platform/system-calls/system-calls.ts";
import type { Kernel } from "./kernel.ts";

/** One round in so many is timed: a prime, so that no rhythm of the traffic hides from it. */
const PERIOD = 61;

/** Where a packet's time goes, by rounds that were timed: nanoseconds for each packet that came in from either side. */
export interface PacketTimes {
  /** Rounds that were timed, and packets in them. */
  readonly rounds: number;
  readonly packets: number;
  readonly systemCallsNs: number;
  readonly webAssemblyNs: number;
  readonly javaScriptNs: number;
}

/**
 * Times one round in 61, and in it every system call and every call into the kernel: what is left is JavaScript. The other rounds pay a
 * comparison for each call. Belongs to one worker, which alone writes its place in the memory.
 */
export class Stopwatch {
  readonly #clock: Clock;
  readonly #numbers: Float64Array;
  readonly #times: number;
  readonly #packetTallies: readonly [tunRead: number, udpReceive: number];
  #countdown = PERIOD;
  #isTiming = false;
  #startedAt = 0;
  #packetsBefore = 0;
  #systemCallsMs = 0;
  #webAssemblyMs = 0;

  constructor(memory: WebAssembly.Memory, worker: number, clock: Clock) {
    const region = WORKER_BASE + worker * WORKER_SIZE;
    this.#clock = clock;
    this.#numbers = new Float64Array(memory.buffer);
    this.#times = (region + WORKER_TIMES_OFFSET) / 8;
    const packetsOf = (kind: number): number => (region + WORKER_TALLIES_OFFSET + kind * TALLY_SIZE) / 8 + 1;
    this.#packetTallies = [packetsOf(TALLY_TUN_READ), packetsOf(TALLY_UDP_RECEIVE)];
  }

  beginRound(): void {
    if (--this.#countdown > 0) return;
    this.#countdown = PERIOD;
    this.#isTiming = true;
    this.#packetsBefore = this.#packets();
    this.#systemCallsMs = 0;
    this.#webAssemblyMs = 0;
    this.#startedAt = this.#clock.now();
  }

  endRound(): void {
    if (!this.#isTiming) return;
    this.#isTiming = false;
    const total = this.#clock.now() - this.#startedAt;
    const packets = this.#packets() - this.#packetsBefore;
    // A round that finds nothing says nothing about packets; the next one is tried.
    if (packets === 0) {
      this.#countdown = 1;
      return;
    }
    const numbers = this.#numbers;
    numbers[this.#times + TIMES_ROUNDS_OFFSET / 8]!++;
    numbers[this.#times + TIMES_PACKETS_OFFSET / 8]! += packets;
    numbers[this.#times + TIMES_TOTAL_OFFSET / 8]! += total;
    numbers[this.#times + TIMES_SYSTEM_CALLS_OFFSET / 8]! += this.#systemCallsMs;
    numbers[this.#times + TIMES_WEBASSEMBLY_OFFSET / 8]! += this.#webAssemblyMs;
  }

  /** The system calls of a round, timed where it is. */
  timeSystemCalls(calls: SystemCalls): SystemCalls {
    // Written out for each number of arguments: gathering them would allocate in every call.
    const time3 =
      (call: (a: number, b: number, c: number) => number) =>
      (a: number, b: number, c: number): number => {
        if (!this.#isTiming) return call(a, b, c);
        const startedAt = this.#clock.now();
        const result = call(a, b, c);
        this.#systemCallsMs += this.#clock.now() - startedAt;
        return result;
      };
    const time4 =
      (call: (a: number, b: number, c: number, d: number) => number) =>
      (a: number, b: number, c: number, d: number): number => {
        if (!this.#isTiming) return call(a, b, c, d);
        const startedAt = this.#clock.now();
        const result = call(a, b, c, d);
        this.#systemCallsMs += this.#clock.now() - startedAt;
        return result;
      };
    return {
      ...calls,
      read: time3(calls.read),
      write: time3(calls.write),
      writev: time3(calls.writev),
      recvmmsg: time4(calls.recvmmsg),
      sendmmsg: time4(calls.sendmmsg),
    };
  }

  /** The kernel's calls that a round makes, timed where it is. */
  timeKernel(kernel: Kernel): Kernel {
    // Written out too: a function made here for the timed case would keep the arguments of every call in an object.
    return {
      ...kernel,
      espEncapsulateBatch: (first, count) => {
        if (!this.#isTiming) return kernel.espEncapsulateBatch(first, count);
        const startedAt = this.#clock.now();
        const result = kernel.espEncapsulateBatch(first, count);
        this.#webAssemblyMs += this.#clock.now() - startedAt;
        return result;
      },
      espDecapsulateBatch: (first, count) => {
        if (!this.#isTiming) return kernel.espDecapsulateBatch(first, count);
        const startedAt = this.#clock.now();
        const result = kernel.espDecapsulateBatch(first, count);
        this.#webAssemblyMs += this.#clock.now() - startedAt;
        return result;
      },
      espCoalesceBatch: (first, count, kinds) => {
        if (!this.#isTiming) return kernel.espCoalesceBatch(first, count, kinds);
        const startedAt = this.#clock.now();
        const result = kernel.espCoalesceBatch(first, count, kinds);
        this.#webAssemblyMs += this.#clock.now() - startedAt;
        return result;
      },
    };
  }

  #packets(): number {
    return this.#numbers[this.#packetTallies[0]]! + this.#numbers[this.#packetTallies[1]]!;
  }
}

/** What workers have timed so far, all together. */
export function readTimes(memory: WebAssembly.Memory, workers: readonly number[]): PacketTimes {
  const numbers = new Float64Array(memory.buffer);
  const at = (offset: number): number =>
    workers.reduce(
      (sum, worker) =>
        sum + numbers[(WORKER_BASE + worker * WORKER_SIZE + WORKER_TIMES_OFFSET + offset) / 8]!,
      0,
    );
  const packets = at(TIMES_PACKETS_OFFSET);
  const share = (milliseconds: number): number =>
    packets === 0 ? 0 : Math.max(0, Math.round((milliseconds * 1e6) / packets));
  const systemCalls = at(TIMES_SYSTEM_CALLS_OFFSET);
  const webAssembly = at(TIMES_WEBASSEMBLY_OFFSET);
  return {
    rounds: at(TIMES_ROUNDS_OFFSET),
    packets,
    systemCallsNs: share(systemCalls),
    webAssemblyNs: share(webAssembly),
    javaScriptNs: share(at(TIMES_TOTAL_OFFSET) - systemCalls - webAssembly),
  };
}
