import { setTimeout as sleep } from "node:timers/promises";
import { Engine } from "../engine/engine.ts";
import { createMemoryHost } from "../engine/memory-host.ts";
import { PlatformError } from "../errors/index.ts";
import { PlaintextDetector } from "../platform/plaintext-detector.ts";
import { systemRandom } from "../platform/random.ts";
import { MemoryWire } from "../platform/udp/memory-udp.ts";
import { transferDatagrams } from "./datagram-transfer.ts";
import { countersOf, negotiationOf, saCountOf } from "./from-status.ts";
import { MemoryStack } from "./memory-stack.ts";
import { MemoryWatch } from "./memory-watch.ts";
import { pingSeries, summarizePings } from "./ping-series.ts";
import {
  configurationOf,
  connectionOf,
  createMarker,
  INNER_MTU,
  INNER_PAIRS,
  MACHINES,
  PING_COUNT,
  PING_INTERVAL_MS,
  type Role,
  TRANSFER_MS,
} from "./plan.ts";
import type { MachineFacts, PingFacts, Tell } from "./story.ts";
import { transferFacts } from "./transfer-facts.ts";

/** Nothing takes long here: what has not come by then will not come. */
const SETTLE_MS = 50;

interface MemoryMachine {
  readonly engine: Engine;
  readonly stack: MemoryStack;
  readonly facts: MachineFacts;
}

/** The demo within this process, told as it goes: engines, kernels and packets are real, devices, wire and network stacks are in memory. */
export async function runMemoryDemo(tell: Tell): Promise<void> {
  const wire = new MemoryWire();
  const marker = createMarker();
  const detector = new PlaintextDetector({ marker, innerPairs: INNER_PAIRS });
  const presharedKey = systemRandom.bytes(32);
  const provenByDecoy = tryDecoy(wire, { marker, detector });
  const watch = new MemoryWatch(wire, detector);
  const client = await startMachine("client", { wire, presharedKey });
  try {
    const gateway = await startMachine("gateway", { wire, presharedKey });
    try {
      await new MemoryDemo({ client, gateway, watch, marker, tell }).run();
    } finally {
      tell({ kind: "facts", facts: { wire: { ...watch.close(), provenByDecoy } } });
      await gateway.engine.stop();
    }
  } finally {
    await client.engine.stop();
  }
}

async function startMachine(
  role: Role,
  { wire, presharedKey }: { readonly wire: MemoryWire; readonly presharedKey: Uint8Array },
): Promise<MemoryMachine> {
  const { outerAddress, innerAddresses } = MACHINES[role];
  const host = createMemoryHost(wire.host([outerAddress]));
  const config = configurationOf(role, presharedKey.slice());
  const engine = await Engine.start({ config, host, onEvent: () => {} });
  const stack = new MemoryStack(host.tun!);
  return { engine, stack, facts: { tun: config.tun.name, outerAddress, innerAddresses } };
}

/** What says "no plaintext" must have shown that it can see some. */
function tryDecoy(
  wire: MemoryWire,
  { marker, detector }: { readonly marker: Uint8Array; readonly detector: PlaintextDetector },
): boolean {
  const watch = new MemoryWatch(wire, detector);
  const { client, gateway } = MACHINES;
  wire.carry({
    from: { address: client.outerAddress, port: 9 },
    to: { address: gateway.outerAddress, port: 9 },
    octets: marker,
  });
  return watch.close().plaintext > 0;
}

class MemoryDemo {
  readonly #client: MemoryMachine;
  readonly #gateway: MemoryMachine;
  readonly #watch: MemoryWatch;
  readonly #marker: Uint8Array;
  readonly #tell: Tell;

  constructor(facts: {
    readonly client: MemoryMachine;
    readonly gateway: MemoryMachine;
    readonly watch: MemoryWatch;
    readonly marker: Uint8Array;
    readonly tell: Tell;
  }) {
    this.#client = facts.client;
    this.#gateway = facts.gateway;
    this.#watch = facts.watch;
    this.#marker = facts.marker;
    this.#tell = facts.tell;
  }

  async run(): Promise<void> {
    const scene = { client: this.#client.facts, gateway: this.#gateway.facts, mtu: INNER_MTU };
    this.#tell({ kind: "facts", facts: { scene } });
    await this.#negotiate();
    await this.#pingBothFamilies();
    await this.#transfer();
    await this.#count();
    await this.#sayGoodbye();
  }

  async #negotiate(): Promise<void> {
    const { engine } = this.#client;
    const outcome = await engine.up(connectionOf("client"));
    if (outcome.kind === "failed") throw new PlatformError(outcome.message, { code: outcome.reason });
    const negotiation = negotiationOf(engine.status(), { ikeMessages: this.#watch.ike });
    this.#tell({ kind: "facts", facts: { negotiation } });
  }

  async #pingBothFamilies(): Promise<void> {
    let sent = 0;
    const onSent = (): void => {
      sent++;
      this.#tell({ kind: "progress", what: "ping", share: sent / (2 * PING_COUNT) });
    };
    const pings = await Promise.all([0, 1].map((family) => this.#ping(family, { onSent })));
    this.#tell({ kind: "facts", facts: { pings } });
  }

  async #ping(
    family: number,
    {
      count = PING_COUNT,
      timeoutMs = 1000,
      onSent = () => {},
    }: { readonly count?: number; readonly timeoutMs?: number; readonly onSent?: () => void } = {},
  ): Promise<PingFacts> {
    const from = MACHINES.client.innerAddresses[family]!;
    const to = MACHINES.gateway.innerAddresses[family]!;
    const { stack } = this.#client;
    const pinger = { ping: () => stack.ping({ from, to, payload: this.#marker, timeoutMs }) };
    return summarizePings(to, await pingSeries({ pinger, count, intervalMs: PING_INTERVAL_MS, onSent }));
  }

  async #transfer(): Promise<void> {
    const { sent, received } = await transferDatagrams({
      from: { stack: this.#client.stack, address: MACHINES.client.innerAddresses[0] },
      to: { stack: this.#gateway.stack, address: MACHINES.gateway.innerAddresses[0] },
      durationMs: TRANSFER_MS,
      marker: this.#marker,
      onProgress: ({ octets, ms }) =>
        this.#tell({ kind: "progress", what: "transfer", share: Math.min(1, ms / TRANSFER_MS), octets, ms }),
    });
    this.#tell({ kind: "facts", facts: { transfer: transferFacts("datagrams", { sent, received }) } });
  }

  async #count(): Promise<void> {
    await sleep(SETTLE_MS);
    const client = countersOf(this.#client.engine.status());
    const gateway = countersOf(this.#gateway.engine.status());
    this.#tell({ kind: "facts", facts: { counters: { client, gateway } } });
  }

  async #sayGoodbye(): Promise<void> {
    const startedAt = performance.now();
    await this.#client.engine.down(connectionOf("client"));
    const ms = performance.now() - startedAt;
    await sleep(SETTLE_MS);
    const clientSas = saCountOf(this.#client.engine.status());
    const gatewaySas = saCountOf(this.#gateway.engine.status());
    const { sent, received } = await this.#ping(0, { count: 3, timeoutMs: 150 });
    const pingsAfterwards = { sent, answered: received };
    this.#tell({ kind: "facts", facts: { farewell: { ms, clientSas, gatewaySas, pingsAfterwards } } });
  }
}
