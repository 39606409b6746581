import type { IkeEvent } from "../ike/io.ts";
import type { ConnectionPolicy } from "../policy/connection.ts";
import type { FailureReason, LivenessOutcome, Outcome } from "./control-surface.ts";
import { Backoff } from "./reconnect.ts";

/** One connection as the engine sees it: whether it should be up, why it is not, and who waits for it. */
export class ConnectionState {
  policy: ConnectionPolicy;
  /** We initiate, and again when the SA is lost. */
  isWanted: boolean;
  /** The first packet that wants it brings it up. */
  isTrapped: boolean;
  /** It was taken down by command: neither side brings it up before somebody says so. */
  isHeld = false;
  lastError: string | undefined;
  readonly #backoff = new Backoff();
  #retryTimer: NodeJS.Timeout | undefined;
  #nextAttemptAt: number | undefined;
  #isRefused = false;
  #upWaiters: ((outcome: Outcome) => void)[] = [];
  #downWaiters: (() => void)[] = [];
  #livenessWaiters: ((outcome: LivenessOutcome) => void)[] = [];
  #rekeyWaiters: RekeyWaiter[] = [];

  constructor(policy: ConnectionPolicy) {
    this.policy = policy;
    this.isWanted = policy.start === "start";
    this.isTrapped = policy.start === "trap";
  }

  /** As the configuration has it, whatever has happened since. */
  begin(): void {
    this.isWanted = this.policy.start === "start";
    this.isTrapped = this.policy.start === "trap";
  }

  /** The same connection, read anew. */
  renew(policy: ConnectionPolicy): void {
    this.policy = policy;
  }

  /** Somebody wants it up. */
  want(): void {
    this.isTrapped = this.policy.start === "trap";
    this.isWanted = !this.isTrapped;
  }

  /** How long until the next attempt; undefined when none is put off. */
  nextAttemptMs(now: number): number | undefined {
    return this.#nextAttemptAt === undefined ? undefined : Math.max(0, this.#nextAttemptAt - now);
  }

  /** Settles when a child SA stands or the attempt has failed. */
  whenUp(): Promise<Outcome> {
    return new Promise((resolve) => this.#upWaiters.push(resolve));
  }

  /** Settles when the last IKE SA is gone. */
  whenDown(): Promise<void> {
    return new Promise((resolve) => this.#downWaiters.push(resolve));
  }

  /** Settles when `count` SAs of the kind have been replaced, or one could not be. */
  whenRekeyed(what: "children" | "ike", count: number): Promise<Outcome> {
    const name = what === "ike" ? "ike-sa-rekeyed" : "child-sa-rekeyed";
    return new Promise((resolve) => this.#rekeyWaiters.push({ name, left: count, resolve }));
  }

  whenAnswered(): Promise<LivenessOutcome> {
    return new Promise((resolve) => this.#livenessWaiters.push(resolve));
  }

  /** Takes in what the machine said about this connection. */
  observe(event: IkeEvent): void {
    switch (event.name) {
      case "child-sa-established":
        this.lastError = undefined;
        this.#backoff.succeed();
        this.#nextAttemptAt = undefined;
        this.#settleUp({ kind: "done", message: event.message });
        break;
      case "child-sa-failed":
      case "ike-sa-failed":
        this.lastError = event.message;
        this.#isRefused = event.facts.reason !== "timeout";
        this.#settleUp(failureOf(event));
        break;
      case "ike-sa-rekeyed":
      case "child-sa-rekeyed":
        this.#countRekeyed(event);
        break;
      case "rekey-failed":
        this.#settleRekey(failureOf(event));
        break;
      case "peer-alive":
        this.#settleLiveness({ kind: "alive", rttMs: Number(event.facts.rttMs) });
        break;
      case "ike-sa-deleted":
        if (event.facts.reason === "timeout") this.#actOnSilence();
        if (event.level === "error") this.lastError = event.message;
        this.#settleLiveness({ kind: "failed", reason: "timeout", message: event.message });
        this.#settleRekey({ kind: "failed", reason: "timeout", message: event.message });
        break;
    }
  }

  /** The last IKE SA is gone. */
  settleDown(): void {
    for (const resolve of this.#downWaiters.splice(0)) resolve();
    this.#settleUp({ kind: "failed", reason: "other", message: `${this.policy.name} was taken down` });
  }

  /** Puts the next attempt off, longer each time. `retry` is called then; without it, a packet may bring the attempt from then on. */
  retryLater(facts: { readonly fraction: number; readonly now: number; readonly retry?: () => void }): void {
    const { fraction, now, retry } = facts;
    clearTimeout(this.#retryTimer);
    const delayMs = this.#backoff.nextDelayMs(fraction, this.#isRefused);
    this.#nextAttemptAt = now + delayMs;
    if (retry !== undefined) this.#retryTimer = setTimeout(retry, delayMs);
  }

  /** Looks whether the attempt that begins now came to an end that nobody told of. */
  watchAttempt(retry: () => void): void {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(retry, ATTEMPT_MS);
  }

  cancelRetry(): void {
    clearTimeout(this.#retryTimer);
    this.#nextAttemptAt = undefined;
  }

  /** The connection is leaving: nobody waits in vain. */
  abandon(message: string): void {
    this.cancelRetry();
    this.#settleUp({ kind: "failed", reason: "other", message });
    this.#settleLiveness({ kind: "failed", reason: "not-established", message });
    this.#settleRekey({ kind: "failed", reason: "not-established", message });
    this.settleDown();
  }

  /** A peer that was there gives no sign of life any more. */
  #actOnSilence(): void {
    const { action } = this.policy.liveness ?? {};
    if (action === undefined) return;
    this.isWanted = action === "restart";
    this.isTrapped = action === "trap";
    if (!this.isWanted) this.cancelRetry();
  }

  #countRekeyed({ name, message }: IkeEvent): void {
    for (const waiter of this.#rekeyWaiters) if (waiter.name === name) waiter.left--;
    const isDone = ({ left }: RekeyWaiter): boolean => left <= 0;
    for (const { resolve } of this.#rekeyWaiters.filter(isDone)) resolve({ kind: "done", message });
    this.#rekeyWaiters = this.#rekeyWaiters.filter((waiter) => !isDone(waiter));
  }

  #settleRekey(outcome: Outcome): void {
    for (const { resolve } of this.#rekeyWaiters.splice(0)) resolve(outcome);
  }

  #settleUp(outcome: Outcome): void {
    for (const resolve of this.#upWaiters.splice(0)) resolve(outcome);
  }

  #settleLiveness(outcome: LivenessOutcome): void {
    for (const resolve of this.#livenessWaiters.splice(0)) resolve(outcome);
  }
}

/** Longer than an attempt takes that nobody answers. */
const ATTEMPT_MS = 120_000;

interface RekeyWaiter {
  readonly name: IkeEvent["name"];
  left: number;
  readonly resolve: (outcome: Outcome) => void;
}

function failureOf(event: IkeEvent): Outcome {
  const reason = FAILURE_REASONS[String(event.facts.reason)] ?? "other";
  return { kind: "failed", reason, message: event.message };
}

const FAILURE_REASONS: Readonly<Record<string, FailureReason>> = {
  AUTHENTICATION_FAILED: "authentication-failed",
  certificate: "certificate",
  NO_PROPOSAL_CHOSEN: "no-proposal-chosen",
  TS_UNACCEPTABLE: "no-proposal-chosen",
  timeout: "timeout",
};
