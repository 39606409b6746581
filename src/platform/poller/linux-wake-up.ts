import { ioBlock, POLL_BLOCK } from "../io-region.ts";
import { EFD_CLOEXEC, EFD_NONBLOCK } from "../system-calls/constants.ts";
import { succeed } from "../system-calls/errno.ts";
import type { SystemCalls } from "../system-calls/system-calls.ts";
import type { WakeUp } from "./poller.ts";

/** Added to the eventfd when the process ends: a count that no number of wake-ups reaches. */
const PROCESS_ENDS = 0x1_0000_0000;

const HOST = 0;

/** An eventfd. Belongs to the main thread; the worker's poller gets the descriptor. */
export class LinuxWakeUp implements WakeUp {
  readonly descriptor: number;
  readonly #systemCalls: SystemCalls;
  readonly #words: BigUint64Array;
  readonly #onExit = (): void => this.#add(PROCESS_ENDS);

  constructor(systemCalls: SystemCalls) {
    this.#systemCalls = systemCalls;
    this.#words = new BigUint64Array(systemCalls.memory.buffer, ioBlock(HOST, POLL_BLOCK), 1);
    this.descriptor = succeed("eventfd", systemCalls.eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    // process.exit() joins the workers, and one that sleeps in poll() would never be joined.
    process.on("exit", this.#onExit);
  }

  wake(): void {
    this.#add(1);
  }

  close(): void {
    process.off("exit", this.#onExit);
    this.#systemCalls.close(this.descriptor);
  }

  #add(count: number): void {
    this.#words[0] = BigInt(count);
    this.#systemCalls.write(this.descriptor, this.#words.byteOffset, 8);
  }
}
