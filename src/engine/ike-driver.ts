import type { Authenticator } from "../auth/authenticator.ts";
import type { AuthenticationJob, AuthenticationResult } from "../auth/jobs.ts";
import type { CryptoProvider } from "../crypto/jobs.ts";
import type { IkeEndpoint } from "../ike/endpoint.ts";
import type { IkeInput, IkeOutput } from "../ike/io.ts";
import { LOOK_MS, type Wakefulness } from "./wakefulness.ts";

/** What the machine wants done, one at a time and in its order. Compute jobs are the driver's own business. */
export type Perform = (output: Exclude<IkeOutput, { kind: "compute" | "authenticate" }>) => void;

/**
 * Runs the IKE machine: one input, then everything that comes out, then a timer for its next deadline. An input that arrives
 * while outputs are performed waits its turn.
 */
export class IkeDriver {
  readonly #endpoint: IkeEndpoint;
  readonly #clock: Wakefulness;
  readonly #crypto: CryptoProvider;
  readonly #authenticator: Authenticator;
  readonly #perform: Perform;
  readonly #afterwards: () => void;
  readonly #onFault: (error: unknown) => void;
  readonly #waiting: IkeInput[] = [];
  #isRunning = false;
  #isStopped = false;
  #timer: NodeJS.Timeout | undefined;
  /** When it fires, or sooner. */
  #timerAt = 0;

  constructor(facts: {
    readonly endpoint: IkeEndpoint;
    readonly clock: Wakefulness;
    readonly crypto: CryptoProvider;
    readonly authenticator: Authenticator;
    readonly perform: Perform;
    /** Called when an input has had all its effects. */
    readonly afterwards: () => void;
    /** Called with what nobody planned. One input or effect is lost; the tunnels stay. */
    readonly onFault: (error: unknown) => void;
  }) {
    this.#endpoint = facts.endpoint;
    this.#clock = facts.clock;
    this.#crypto = facts.crypto;
    this.#authenticator = facts.authenticator;
    this.#perform = facts.perform;
    this.#afterwards = facts.afterwards;
    this.#onFault = facts.onFault;
  }

  feed(input: IkeInput): void {
    if (this.#isStopped) return;
    if (this.#clock.look()) this.#waiting.push({ kind: "awakened" });
    this.#waiting.push(input);
    if (this.#isRunning) return;
    this.#isRunning = true;
    try {
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
        const input = next;
        this.#contain(() => this.#endpoint.handle(input, this.#clock.now()));
        this.#drain();
      }
      this.#contain(this.#afterwards);
    } finally {
      this.#isRunning = false;
    }
    this.#arm();
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  #drain(): void {
    for (let output = this.#endpoint.poll(); output !== undefined; output = this.#endpoint.poll()) {
      if (output.kind === "authenticate") {
        this.#authenticate(output.id, output.job);
        continue;
      }
      if (output.kind !== "compute") {
        const effect = output;
        this.#contain(() => this.#perform(effect));
        continue;
      }
      const { id, job } = output;
      void this.#crypto.run(job).then((result) => this.feed({ kind: "computed", id, result }));
    }
  }

  #authenticate(id: number, job: AuthenticationJob): void {
    const result = this.#authenticator.run(job);
    const feed = (done: AuthenticationResult) => this.feed({ kind: "authenticated", id, result: done });
    if (result instanceof Promise) void result.then(feed);
    else feed(result);
  }

  #contain(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#onFault(error);
    }
  }

  /** An early wake-up finds nothing due and sleeps on, but sees whether the machine has slept too. So a timer that fires in time stays. */
  #arm(): void {
    const now = this.#clock.now();
    const at = Math.min(this.#endpoint.deadline?.at ?? Number.POSITIVE_INFINITY, now + LOOK_MS);
    if (this.#timer !== undefined && this.#timerAt <= at) return;
    clearTimeout(this.#timer);
    this.#timerAt = at;
    this.#timer = setTimeout(this.#fire, Math.max(0, Math.ceil(at - now)));
  }

  readonly #fire = (): void => {
    this.#timer = undefined;
    this.feed({ kind: "timer" });
  };
}
