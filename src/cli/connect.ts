import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { stringify } from "yaml";
import { checkPort } from "../checks/machine.ts";
import type { Config } from "../config/config.ts";
import { DEFAULT_CONFIG_FILE, DEFAULT_TUN_NAME, IKE_PORT, NAT_TRAVERSAL_PORT } from "../config/defaults.ts";
import { parseConfig } from "../config/load.ts";
import { resolveHosts } from "../config/resolve-hosts.ts";
import { parseHost, parseNetwork, parseUserName } from "../config/values.ts";
import { PolicyError } from "../errors/index.ts";
import { pinnedHosts } from "../killswitch/record.ts";
import { faultOfPassword } from "../users/user.ts";
import type { StartEngine } from "./daemon.ts";
import { type ExitCode, exitCodeOf } from "./exit-code.ts";
import { askSecret, passwordFromInput } from "./prompt.ts";
import type { Terminal } from "./terminal.ts";
import { runDaemon } from "./up.ts";

export interface ConnectFlags {
  readonly user: string;
  readonly passwordStdin?: boolean;
  readonly ca?: string;
  readonly network?: readonly string[];
  readonly socket: string;
  readonly state: string;
}

/** Any pair will do for a client; these are tried where another program has the usual ones. */
const OTHER_PORTS = [
  [10_500, 14_500],
  [20_500, 24_500],
  [30_500, 34_500],
] as const;
const DEVICE_COUNT = 100;

/**
 * `ikebana connect`: a client without a configuration file. Runs in the foreground until it is told to stop; ends by itself when the first
 * attempt fails, with what it failed for.
 */
export async function runConnect({
  host,
  flags,
  terminal,
  startEngine,
}: {
  readonly host: string;
  readonly flags: ConnectFlags;
  readonly terminal: Terminal;
  readonly startEngine: StartEngine;
}): Promise<ExitCode> {
  const address = parseHost(host);
  const user = parseUserName(flags.user);
  const networks = flags.network?.map(parseNetwork);
  const password =
    flags.passwordStdin === true
      ? await passwordFromInput()
      : await askSecret(`Password of ${user} at ${host}: `);
  const fault = faultOfPassword(password);
  if (fault !== undefined) throw new PolicyError(fault);
  const [port, natTraversalPort] = await freePorts();
  const settings = {
    connections: {
      [CONNECTION]: {
        remote: { address, ...(flags.ca !== undefined && { ca: resolve(flags.ca) }) },
        user,
        password,
        ...(networks !== undefined && {
          children: { all: { local: ["0.0.0.0/0", "::/0"], remote: networks } },
        }),
      },
    },
    listen: { port, natTraversalPort },
    tun: freeDevice(),
    socket: resolve(flags.socket),
    state: resolve(flags.state),
  };
  let known: Config | undefined;
  const readConfig = async () => {
    const config = parseConfig({ text: stringify(settings), file: resolve("connect") });
    const pinned = pinnedHosts(DEFAULT_CONFIG_FILE);
    known = await resolveHosts({ ...config, file: `connect ${host}` }, known, pinned);
    return known;
  };
  return runDaemon({
    readConfig,
    terminal,
    startEngine,
    whenReady: async (daemon) => {
      const outcome = await daemon.up(CONNECTION);
      if (outcome.kind === "failed") return { reason: outcome.message, code: exitCodeOf(outcome) };
      terminal.error(`connected with ${host} as ${user}; Ctrl-C disconnects\n`);
      return undefined;
    },
  });
}

/** By this name in `status` and in the log. */
const CONNECTION = "vpn";

async function freePorts(): Promise<readonly [number, number]> {
  for (const pair of [[IKE_PORT, NAT_TRAVERSAL_PORT] as const, ...OTHER_PORTS]) {
    const found = await Promise.all(
      pair.map((port) => checkPort({ port, addresses: ["0.0.0.0", "::"], isOurs: false })),
    );
    if (found.every(({ outcome }) => outcome === "ok")) return pair;
  }
  return [IKE_PORT, NAT_TRAVERSAL_PORT];
}

function freeDevice(): string {
  const names = Array.from({ length: DEVICE_COUNT }, (_, index) => `ikebana${index}`);
  return names.find((name) => !existsSync(`/sys/class/net/${name}`)) ?? DEFAULT_TUN_NAME;
}
