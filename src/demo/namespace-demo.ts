import { setTimeout as sleep } from "node:timers/promises";
import type { EngineStatus } from "../engine/status.ts";
import { joinNamespaces, withNamespaceOf } from "../platform/namespaces.ts";
import { LinuxNetwork } from "../platform/network/linux-network.ts";
import { PlaintextDetector } from "../platform/plaintext-detector.ts";
import { systemRandom } from "../platform/random.ts";
import { createLinuxSystemCalls } from "../platform/system-calls/linux-system-calls.ts";
import type { SystemCalls } from "../platform/system-calls/system-calls.ts";
import { countersOf, negotiationOf, saCountOf } from "./from-status.ts";
import { summarizePings } from "./ping-series.ts";
import {
  configurationOf,
  connectionOf,
  createMarker,
  INNER_MTU,
  INNER_PAIRS,
  MACHINES,
  OUTER_LINK,
  PING_COUNT,
  PING_INTERVAL_MS,
  type Role,
  TRANSFER_MS,
} from "./plan.ts";
import { SideProcess } from "./side-process.ts";
import type { PingFacts, Tell } from "./story.ts";
import { transferFacts } from "./transfer-facts.ts";
import { WireWatch } from "./wire-watch.ts";

/** Where nobody listens (discard, RFC 863): the decoy goes there. */
const DECOY_PORT = 9;
const DECOY_PATIENCE_MS = 1000;

/** Both sides count a packet a moment after it has passed. */
const SETTLE_MS = 100;

const { client: CLIENT, gateway: GATEWAY } = MACHINES;

/**
 * The demo between two network namespaces, told as it goes. Needs the right to make them. Throws what went wrong; whatever
 * happens, nothing it made is left when it settles.
 */
export async function runNamespaceDemo(tell: Tell): Promise<void> {
  const systemCalls = createLinuxSystemCalls();
  const sides: SideProcess[] = [];
  try {
    for (const name of ["client", "gateway"]) sides.push(await SideProcess.start(name));
    const [client, gateway] = sides as [SideProcess, SideProcess];
    // The watcher counts frames and searches each as a whole, so each passes on its own, as on a wire.
    joinNamespaces(
      systemCalls,
      { pid: client.pid, link: OUTER_LINK, prefixes: [outerPrefix("client")], segmentLimit: 1 },
      { pid: gateway.pid, link: OUTER_LINK, prefixes: [outerPrefix("gateway")], segmentLimit: 1 },
    );
    await new NamespaceDemo({ systemCalls, client, gateway, tell }).run();
  } finally {
    await Promise.all(sides.map((side) => side.kill()));
  }
}

class NamespaceDemo {
  readonly #systemCalls: SystemCalls;
  readonly #client: SideProcess;
  readonly #gateway: SideProcess;
  readonly #tell: Tell;
  readonly #marker = createMarker();
  readonly #detector = new PlaintextDetector({ marker: this.#marker, innerPairs: INNER_PAIRS });

  constructor(facts: {
    readonly systemCalls: SystemCalls;
    readonly client: SideProcess;
    readonly gateway: SideProcess;
    readonly tell: Tell;
  }) {
    this.#systemCalls = facts.systemCalls;
    this.#client = facts.client;
    this.#gateway = facts.gateway;
    this.#tell = facts.tell;
  }

  async run(): Promise<void> {
    const provenByDecoy = await this.#tryDecoy();
    const watch = this.#watch();
    try {
      await this.#startEngines();
      await this.#negotiate(watch);
      await this.#pingBothFamilies();
      await this.#transfer(watch);
      await this.#count();
      await this.#sayGoodbye();
    } finally {
      this.#tell({ kind: "facts", facts: { wire: { ...watch.close(), provenByDecoy } } });
    }
    await Promise.all([this.#client.ask("stop"), this.#gateway.ask("stop")]);
  }

  /** What says "no plaintext" must have shown that it can see some. */
  async #tryDecoy(): Promise<boolean> {
    const watch = this.#watch();
    try {
      const octets = this.#marker;
      await this.#client.ask("decoy", { address: GATEWAY.outerAddress, port: DECOY_PORT, octets });
      for (const end = performance.now() + DECOY_PATIENCE_MS; performance.now() < end; await sleep(5)) {
        if (watch.plaintext > 0) return true;
      }
      return false;
    } finally {
      watch.close();
    }
  }

  /** The gateway's end of the cable: every frame of either direction passes there. */
  #watch(): WireWatch {
    return withNamespaceOf(this.#systemCalls, this.#gateway.pid, () => {
      const network = new LinuxNetwork(this.#systemCalls);
      try {
        return new WireWatch(network.linkIndex(OUTER_LINK)!, this.#detector);
      } finally {
        network.close();
      }
    });
  }

  async #startEngines(): Promise<void> {
    const presharedKey = systemRandom.bytes(32);
    const start = (role: Role, side: SideProcess): Promise<string> =>
      side.ask("start", {
        config: configurationOf(role, presharedKey),
        innerAddresses: MACHINES[role].innerAddresses,
      });
    const [clientTun, gatewayTun] = await Promise.all([
      start("client", this.#client),
      start("gateway", this.#gateway),
    ]);
    const machine = (role: Role, tun: string) => ({
      tun,
      outerAddress: MACHINES[role].outerAddress,
      innerAddresses: MACHINES[role].innerAddresses,
    });
    this.#tell({
      kind: "facts",
      facts: {
        scene: {
          client: machine("client", clientTun),
          gateway: machine("gateway", gatewayTun),
          mtu: INNER_MTU,
        },
      },
    });
  }

  async #negotiate(watch: WireWatch): Promise<void> {
    await this.#client.ask("up", connectionOf("client"));
    const status = await this.#client.ask("status");
    const negotiation = negotiationOf(status, { ikeMessages: watch.ike });
    this.#tell({ kind: "facts", facts: { negotiation } });
  }

  async #pingBothFamilies(): Promise<void> {
    const series = [0, 1].map((family) => this.#ping(family));
    let sent = 0;
    this.#client.onProgress = () => {
      sent++;
      this.#tell({ kind: "progress", what: "ping", share: sent / (2 * PING_COUNT) });
    };
    const pings = await Promise.all(series);
    this.#client.onProgress = undefined;
    this.#tell({ kind: "facts", facts: { pings } });
  }

  async #ping(
    family: number,
    { count = PING_COUNT, timeoutMs = 1000 }: { readonly count?: number; readonly timeoutMs?: number } = {},
  ): Promise<PingFacts> {
    const to = GATEWAY.innerAddresses[family]!;
    const results = await this.#client.ask("ping", {
      from: CLIENT.innerAddresses[family]!,
      to,
      count,
      intervalMs: PING_INTERVAL_MS,
      timeoutMs,
      payload: this.#marker,
    });
    return summarizePings(to, results);
  }

  async #transfer(watch: WireWatch): Promise<void> {
    const port = await this.#gateway.ask("serve", GATEWAY.innerAddresses[0]);
    this.#client.onProgress = ({ amount, ms }) =>
      this.#tell({
        kind: "progress",
        what: "transfer",
        share: Math.min(1, ms / TRANSFER_MS),
        octets: amount,
        ms,
      });
    watch.hurry();
    const sending = this.#client.ask("transfer", {
      from: CLIENT.innerAddresses[0],
      to: GATEWAY.innerAddresses[0],
      port,
      durationMs: TRANSFER_MS,
      marker: this.#marker,
    });
    const [sent, received] = await Promise.all([sending, this.#gateway.ask("received")]);
    watch.rest();
    this.#client.onProgress = undefined;
    this.#tell({ kind: "facts", facts: { transfer: transferFacts("tcp", { sent, received }) } });
  }

  async #count(): Promise<void> {
    await sleep(SETTLE_MS);
    const [client, gateway] = await this.#statuses();
    this.#tell({
      kind: "facts",
      facts: { counters: { client: countersOf(client), gateway: countersOf(gateway) } },
    });
  }

  async #sayGoodbye(): Promise<void> {
    const startedAt = performance.now();
    await this.#client.ask("down", connectionOf("client"));
    const ms = performance.now() - startedAt;
    await sleep(SETTLE_MS);
    const [client, gateway] = await this.#statuses();
    const { sent, received } = await this.#ping(0, { count: 3, timeoutMs: 150 });
    this.#tell({
      kind: "facts",
      facts: {
        farewell: {
          ms,
          clientSas: saCountOf(client),
          gatewaySas: saCountOf(gateway),
          pingsAfterwards: { sent, answered: received },
        },
      },
    });
  }

  #statuses(): Promise<[EngineStatus, EngineStatus]> {
    return Promise.all([this.#client.ask("status"), this.#gateway.ask("status")]);
  }
}

function outerPrefix(role: Role): string {
  const { outerAddress, outerPrefixLength } = MACHINES[role];
  return `${outerAddress}/${outerPrefixLength}`;
}
