import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { toHex } from "../../../bytes/hex.ts";
import type { EngineStatus } from "../../../engine/status.ts";
import { version } from "../../../engine/version.ts";
import { PlatformError } from "../../../errors/index.ts";
import { systemRandom } from "../../../platform/random.ts";
import type { Contender } from "../contender.ts";
import { type Ground, type Host, INNER_MTU } from "../ground.ts";
import type { RunningProgram } from "../program.ts";
import { waitUntil } from "../wait.ts";

const LINK = "ikebana0";

/** Ikebana as users run it: `ikebana up` with a configuration file on either side. */
export function ikebana({
  proposal,
  title,
  offloads,
  command,
  isDefault,
}: {
  /** Of the child SA: "aes256gcm16". */
  readonly proposal: string;
  readonly title: string;
  readonly offloads: boolean;
  /** What starts the program: node and its main file. */
  readonly command: readonly string[];
  readonly isDefault: boolean;
}): Contender {
  return {
    name: `ikebana-${proposal}${offloads ? "" : "-nooffload"}`,
    title: `Ikebana, ${title}${offloads ? "" : ", no offloads"}`,
    encrypts: true,
    cipher: proposal,
    isDefault,
    async start(ground) {
      const psk = toHex(systemRandom.bytes(32));
      const sides = [ground.gateway, ground.client].map((host) =>
        startSide(ground, host, { psk, proposal, offloads, command }),
      );
      const describe = (): string => sides.map(({ daemon }) => daemon.lastWords).join("\n");
      let status: EngineStatus | undefined;
      await waitUntil(
        "a tunnel by Ikebana",
        async () => {
          if (sides.some(({ daemon }) => daemon.hasEnded))
            throw new PlatformError(`ikebana ended: ${describe()}`);
          const statuses = await Promise.all(sides.map((side) => side.status()));
          status = statuses[1];
          return statuses.every((each) => childOf(each) !== undefined);
        },
        { describe },
      );
      return {
        version: `Ikebana ${version()} on Node ${process.versions.node}`,
        cipher: childOf(status)!.proposal,
        link: LINK,
        daemons: sides.map(({ daemon }) => daemon.pid!),
      };
    },
  };
}

interface Side {
  readonly daemon: RunningProgram;
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
    status: async () => {
      const asked = host.start("ikebana status", [...options.command, "status", "--json", "-s", socket]);
      const { code, out } = await asked.ended;
      return code === 0 ? (JSON.parse(out) as EngineStatus) : undefined;
    },
  };
}

function childOf(status: EngineStatus | undefined) {
  return status?.connections[0]?.ikeSa?.children[0];
}

function configurationOf({
  name,
  host,
  peer,
  psk,
  proposal,
  offloads,
  directory,
  socket,
}: {
  readonly name: string;
  readonly host: Host;
  readonly peer: Host;
  readonly psk: string;
  readonly proposal: string;
  readonly offloads: boolean;
  readonly directory: string;
  readonly socket: string;
}): string {
  const other = name === "client" ? "gateway" : "client";
  return `connections:
  bench:
    local: { address: ${host.plan.outer}, id: ${name}.example, psk: { hex: "${psk}" } }
    remote: { address: ${peer.plan.outer}, id: ${other}.example }
    start: ${name === "client" ? "start" : "respond"}
    ike: [aes256gcm16-prfsha384-x25519]
    children:
      lan: { local: [${host.plan.network}], remote: [${peer.plan.network}], esp: [${proposal}] }
mtu: ${INNER_MTU}
tun: ${LINK}
offloads: ${offloads ? "auto" : "off"}
socket: ${socket}
state: ${join(directory, `${name}-state`)}
`;
}
