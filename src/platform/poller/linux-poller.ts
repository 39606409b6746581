import { ioBlock, POLL_BLOCK } from "../io-region.ts";
import { POLLIN } from "../system-calls/constants.ts";
import { isNothingYet, systemError } from "../system-calls/errno.ts";
import { POLLFD_EVENTS_OFFSET, POLLFD_REVENTS_OFFSET, POLLFD_SIZE } from "../system-calls/structures.ts";
import type { SystemCalls } from "../system-calls/system-calls.ts";
import type { Poller } from "./poller.ts";

/** However the wake-up is lost, a worker looks around once in a second. */
const BACKSTOP_MS = 1000;
const DESCRIPTOR_COUNT = 16;
const COUNTER_OFFSET = DESCRIPTOR_COUNT * POLLFD_SIZE;
const CALL_OFFSET = COUNTER_OFFSET + 8;

/** poll() over the devices of one worker and its wake-up. Blocks the thread: for worker threads only. */
export class LinuxPoller implements Poller {
  readonly #systemCalls: SystemCalls;
  readonly #view: DataView;
  readonly #block: number;
  readonly #count: number;
  readonly #wakeUp: number | undefined;
  readonly #firstDevice: number;
  #isEnding = false;

  constructor(
    systemCalls: SystemCalls,
    {
      worker,
      descriptors,
      wakeUp,
    }: {
      readonly worker: number;
      readonly descriptors: readonly number[];
      /** The eventfd of the host's WakeUp. */
      readonly wakeUp: number | undefined;
    },
  ) {
    const polled = wakeUp === undefined ? descriptors : [wakeUp, ...descriptors];
    if (polled.length > DESCRIPTOR_COUNT) {
      throw new RangeError(`a worker polls ${DESCRIPTOR_COUNT} descriptors at most`);
    }
    this.#systemCalls = systemCalls;
    this.#view = new DataView(systemCalls.memory.buffer);
    this.#block = ioBlock(worker, POLL_BLOCK);
    this.#count = polled.length;
    this.#wakeUp = wakeUp;
    this.#firstDevice = wakeUp === undefined ? 0 : 1;
    for (const [i, descriptor] of polled.entries()) {
      this.#view.setInt32(this.#block + i * POLLFD_SIZE, descriptor, true);
      this.#view.setInt16(this.#block + i * POLLFD_SIZE + POLLFD_EVENTS_OFFSET, POLLIN, true);
    }
  }

  /** Wakes whoever polls another eventfd. */
  call(wakeUp: number): void {
    this.#view.setUint32(this.#block + CALL_OFFSET, 1, true);
    this.#systemCalls.write(wakeUp, this.#block + CALL_OFFSET, 8);
  }

  wait(timeoutMs: number): boolean {
    // The thread is about to be stopped; it must not fall asleep again between the wake-up and that.
    if (this.#isEnding) return true;
    const limit = Math.max(0, Math.min(Math.ceil(timeoutMs), BACKSTOP_MS));
    const ready = this.#systemCalls.poll(this.#block, this.#count, limit);
    if (ready < 0 && !isNothingYet(ready)) throw systemError("poll", ready);
    if (ready > 0 && this.#wakeUp !== undefined && this.#isReady(0)) this.#answerWakeUp(this.#wakeUp);
    return ready > 0;
  }

  /** Which of the descriptors had something to read when the last wait ended: a bit for each, in their order. */
  get ready(): number {
    let ready = 0;
    for (let i = this.#firstDevice; i < this.#count; i++) {
      if (this.#isReady(i)) ready |= 1 << (i - this.#firstDevice);
    }
    return ready;
  }

  #isReady(index: number): boolean {
    return this.#view.getInt16(this.#block + index * POLLFD_SIZE + POLLFD_REVENTS_OFFSET, true) !== 0;
  }

  /** Takes the eventfd's count, all wake-ups at once. Its high word is set by PROCESS_ENDS alone. */
  #answerWakeUp(descriptor: number): void {
    const counter = this.#block + COUNTER_OFFSET;
    const taken = this.#systemCalls.read(descriptor, counter, 8);
    if (taken === 8 && this.#view.getUint32(counter + 4, true) !== 0) this.#isEnding = true;
  }
}
