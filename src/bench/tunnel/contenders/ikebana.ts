import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { toHex } from "../../../bytes/hex.ts";
import type { ChildSaStatus, EngineStatus } from "../../../engine/status.ts";
import { version } from "../../../engine/version.ts";
import { PlatformError } from "../../../errors/index.ts";
import { systemRandom } from "../../../platform/random.ts";
import type { Contender } from "../contender.ts";
import { type Ground, type Host, INNER_MTU } from "../ground.ts";
import type { RunningProgram } from "../program.ts";
import { waitUntil } from "../wait.ts";

const LINK = "ikebana0";

/** Until we ask what keeps it. */
const PATIENCE_MS = 5_000;

/** To ask for the status of thousands of SAs is work for both sides. */
const MANY = { intervalMs: 2_000, timeoutMs: 120_000 };

/** Ikebana as users run it: `ikebana up` with a configuration file on either side. */
export function ikebana({
  proposal,
  title,
  offloads,
  command,
  isDefault,
  idleSas = 0,
  workers = 1,
}: {
  /** Of the child SA: "aes256gcm16". */
  readonly proposal: string;
  readonly title: string;
  readonly offloads: boolean;
  /** What starts the program: node and its main file. */
  readonly command: readonly string[];
  readonly isDefault: boolean;
  /** Child SAs that carry nothing, beside the one that does. */
  readonly idleSas?: number;
  /** Data workers of either side. */
  readonly workers?: number;
}): Contender {
  return {
    name: [
      "ikebana",
      proposal,
      ...(offloads ? [] : ["nooffload"]),
      ...(idleSas === 0 ? [] : [`${idleSas}idle`]),
      ...(workers === 1 ? [] : [`${workers}workers`]),
    ].join("-"),
    title: [
      "Ikebana",
      title,
      ...(offloads ? [] : ["no offloads"]),
      ...(idleSas === 0 ? [] : [`${idleSas} idle SAs`]),
      ...(workers === 1 ? [] : [`${workers} data workers`]),
    ].join(", "),
    encrypts: true,
    cipher: proposal,
    isDefault,
    // Asking for some thousand SAs is work for both sides, and so is setting them up.
    ...(idleSas > 0 && { startSeconds: idleSas / 100 }),
    async start(ground, firstPacket) {
      const psk = toHex(systemRandom.bytes(32));
      const start = (host: Host): Side =>
        startSide(ground, host, { psk, proposal, offloads, command, idleSas, workers });
      const gateway = start(ground.gateway);
      await waitUntil("Ikebana's gateway is ready", () => gateway.isReady() || gateway.daemon.hasEnded, {
        describe: () => gateway.daemon.lastWords,
      });
      const sides = [gateway, start(ground.client)];
      const describe = (): string => sides.map(({ daemon }) => daemon.lastWords).join("\n");
      await Promise.race([
        firstPacket,
        sleep(PATIENCE_MS, undefined, { ref: false }),
        ...sides.map(({ daemon }) => daemon.ended),
      ]);
      let status: EngineStatus | undefined;
      // Thousands of SAs take what they take: as long as there are more and more of them, nothing is wrong.
      for (let installed = 0; installed < 1 + idleSas; ) {
        const before = installed;
        await waitUntil(
          `more than ${before} of ${1 + idleSas} child SAs by Ikebana`,
          async () => {
            if (sides.some(({ daemon }) => daemon.hasEnded)) {
              throw new PlatformError(`ikebana ended: ${describe()}`);
            }
            const statuses = await Promise.all(sides.map((side) => side.status()));
            status = statuses[1];
            installed = Math.min(...statuses.map((each) => childrenOf(each).length));
            return installed > before;
          },
          { describe, ...(idleSas > 0 && MANY) },
        );
      }
      return {
        version: `Ikebana ${version()} on Node ${process.versions.node}`,
        cipher: childrenOf(status).find(({ name }) => name === "lan")!.proposal,
        link: LINK,
        daemons: sides.map(({ daemon }) => daemon.pid!),
      };
    },
  };
}

interface Side {
  readonly daemon: RunningProgram;
  /** Whether it can be asked things. */
  isReady(): boolean;
  /** Undefined while nobody answers. */
  status(): Promise<EngineStatus | undefined>;
}

function startSide(
  ground: Ground,
  host: Host,
  options: {
    readonly psk: string;
    readonly proposal: string;
    readonly offloads: boolean;
    readonly command: readonly string[];
    readonly idleSas: number;
    readonly workers: number;
  },
): Side {
  const isClient = host === ground.client;
  const name = isClient ? "client" : "gateway";
  const file = join(ground.directory, `${name}.yaml`);
  const socket = join(ground.directory, `${name}.sock`);
  const peer = isClient ? ground.gateway : ground.client;
  writeFileSync(
    file,
    configurationOf({ ...options, name, host, peer, directory: ground.directory, socket }),
    { mode: 0o600 },
  );
  const daemon = host.start("ikebana", [...options.command, "up", "-c", file]);
  return {
    daemon,
    isReady: () => existsSync(socket),
    status: async () => {
      const asked = host.start("ikebana status", [...options.command, "status", "--json", "-s", socket]);
      const { code, out } = await asked.ended;
      return code === 0 ? (JSON.parse(out) as EngineStatus) : undefined;
    },
  };
}

function childrenOf(status: EngineStatus | undefined): readonly ChildSaStatus[] {
  return status?.connections.flatMap(({ ikeSa }) => ikeSa?.children ?? []) ?? [];
}

function configurationOf({
  name,
  host,
  peer,
  psk,
  proposal,
  offloads,
  idleSas,
  workers,
  directory,
  socket,
}: {
  readonly name: Role;
  readonly host: Host;
  readonly peer: Host;
  readonly psk: string;
  readonly proposal: string;
  readonly offloads: boolean;
  readonly idleSas: number;
  readonly workers: number;
  readonly directory: string;
  readonly socket: string;
}): string {
  const connection = (suffix: string, children: readonly string[]): string => `  bench${suffix}:
    local: { address: ${host.plan.outer}, id: ${name}${suffix}.example, psk: { hex: "${psk}" } }
    remote: { address: ${peer.plan.outer}, id: ${otherThan(name)}${suffix}.example }
    start: ${name === "client" ? "start" : "respond"}
    ike: [aes256gcm16-prfsha384-x25519]
    children:
${children.join("\n")}
`;
  const lan = `      lan: { local: [${host.plan.network}], remote: [${peer.plan.network}], esp: [${proposal}] }`;
  const idle = Array.from({ length: Math.ceil(idleSas / CHILDREN_PER_IKE_SA) }, (_, group) => {
    const first = group * CHILDREN_PER_IKE_SA;
    const length = Math.min(CHILDREN_PER_IKE_SA, idleSas - first);
    const children = Array.from({ length }, (_, index) => idleChild(first + index, name, proposal));
    return connection(`-idle${group}`, children);
  });
  return `connections:
${connection("", [lan])}${idle.join("")}mtu: ${INNER_MTU}
tun: ${LINK}
offloads: ${offloads ? "auto" : "off"}
workers: ${workers}
socket: ${socket}
state: ${join(directory, `${name}-state`)}
`;
}

type Role = "client" | "gateway";

function otherThan(role: Role): Role {
  return role === "client" ? "gateway" : "client";
}

/** Between two addresses that nobody else has. */
function idleChild(index: number, role: Role, proposal: string): string {
  const address = (of: Role): string =>
    `10.${of === "client" ? IDLE_CLIENTS : IDLE_GATEWAYS}.${index >>> 8}.${index & 0xff}`;
  const local = address(role);
  const remote = address(otherThan(role));
  return `      idle${index}: { local: [${local}/32], remote: [${remote}/32], esp: [${proposal}] }`;
}

/** Gateways allow no more. */
const CHILDREN_PER_IKE_SA = 16;

/** Second octets of their addresses. */
const IDLE_CLIENTS = 79;
const IDLE_GATEWAYS = 80;
