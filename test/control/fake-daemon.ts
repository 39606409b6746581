import type { Daemon } from "../../src/control/daemon.ts";
import type { LivenessOutcome, Outcome } from "../../src/engine/control-surface.ts";
import type { EngineStatus } from "../../src/engine/status.ts";
import type { LogRecord } from "../../src/log/record.ts";

const IDLE = { calls: 0, packets: 0, octets: 0, batchSizes: [0, 0, 0, 0, 0, 0, 0, 0] };

export const STATUS: EngineStatus = {
  version: "0.1.0",
  uptimeMs: 1234,
  tun: { name: "ikebana0", mtu: 1400 },
  listen: ["0.0.0.0:500", "0.0.0.0:4500"],
  connections: [
    { name: "office", state: "down", nextAttemptMs: undefined, lastError: undefined, ikeSa: undefined },
  ],
  ike: { received: 0, transmitted: 0, halfOpen: 0, drops: {} },
  dataPlane: {
    workers: 1,
    aes: "processor",
    chaCha20: "processor",
    drops: {},
    systemCalls: { tunRead: IDLE, tunWrite: IDLE, udpReceive: IDLE, udpTransmit: IDLE },
    times: { rounds: 0, packets: 0, systemCallsNs: 0, webAssemblyNs: 0, javaScriptNs: 0 },
    memory: {
      sas: { inUse: 0, limit: 32_768 },
      keyTables: { inUse: 0, limit: 256 },
      selectors: { inUse: 1, limit: 65_536 },
      policies: { inUse: 1, limit: 65_536 },
      prefixes: { inUse: 3, limit: 131_072 },
      octets: 224,
    },
  },
};

/** A daemon that writes down what it was asked. */
export class FakeDaemon implements Daemon {
  readonly asked: string[] = [];
  statusError: Error | undefined;
  readonly #log: LogRecord[] = [];
  readonly #listeners = new Set<(record: LogRecord) => void>();

  get followerCount(): number {
    return this.#listeners.size;
  }

  say(message: string): void {
    const record: LogRecord = {
      time: new Date(0).toISOString(),
      level: "info",
      name: "said",
      connection: undefined,
      message,
      facts: {},
    };
    this.#log.push(record);
    for (const listener of this.#listeners) listener(record);
  }

  status(): EngineStatus {
    if (this.statusError !== undefined) throw this.statusError;
    return STATUS;
  }

  async up(name: string): Promise<Outcome> {
    this.asked.push(`up ${name}`);
    if (name === "nowhere") {
      return { kind: "failed", reason: "unknown-connection", message: `there is no connection "${name}"` };
    }
    return { kind: "done", message: `${name} is established` };
  }

  async down(name: string): Promise<Outcome> {
    this.asked.push(`down ${name}`);
    return { kind: "done", message: `${name} is down` };
  }

  async disconnect(user: string): Promise<Outcome> {
    this.asked.push(`disconnect ${user}`);
    if (user === "nobody") {
      return { kind: "failed", reason: "not-established", message: "nobody is not connected" };
    }
    return { kind: "done", message: `${user} is disconnected` };
  }

  async redirect(name: string, host: string): Promise<Outcome> {
    this.asked.push(`redirect ${name} ${host}`);
    return { kind: "done", message: `1 told to go to ${host}` };
  }

  async rekey(name: string, what: "children" | "ike"): Promise<Outcome> {
    this.asked.push(`rekey ${name} ${what}`);
    return { kind: "done", message: `${name} is rekeyed` };
  }

  async liveness(name: string): Promise<LivenessOutcome> {
    this.asked.push(`liveness ${name}`);
    return { kind: "alive", rttMs: 1.5 };
  }

  async reload(): Promise<Outcome> {
    this.asked.push("reload");
    return { kind: "done", message: "reloaded" };
  }

  stop(): void {
    this.asked.push("stop");
  }

  recentLog(): readonly LogRecord[] {
    return this.#log;
  }

  followLog(listener: (record: LogRecord) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
