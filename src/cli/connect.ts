import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { stringify } from "yaml";
import { userNameOf } from "../auth/eap-tls-judge.ts";
import { checkPort } from "../checks/machine.ts";
import type { Config } from "../config/config.ts";
import { DEFAULT_CONFIG_FILE, DEFAULT_TUN_NAME, IKE_PORT, NAT_TRAVERSAL_PORT } from "../config/defaults.ts";
import { LiveCertificates } from "../config/live-certificates.ts";
import { parseConfig } from "../config/load.ts";
import { resolveHosts } from "../config/resolve-hosts.ts";
import { filesOf } from "../config/trust.ts";
import { parseHost, parseNetwork, parseUserName } from "../config/values.ts";
import { PolicyError } from "../errors/index.ts";
import { gatewayFinder } from "../killswitch/gateway-finder.ts";
import { pinnedHosts } from "../killswitch/record.ts";
import { killSwitchWarnings } from "../killswitch/warnings.ts";
import { parseCidr, prefixContains } from "../platform/network/prefix.ts";
import { faultOfPassword } from "../users/user.ts";
import type { StartEngine } from "./daemon.ts";
import { type ExitCode, exitCodeOf } from "./exit-code.ts";
import { askLine, askSecret, passwordFromInput } from "./prompt.ts";
import { isNear, sshSession } from "./ssh-session.ts";
import type { Terminal } from "./terminal.ts";
import { runDaemon } from "./up.ts";

export interface ConnectFlags {
  readonly user?: string;
  readonly certificate?: string;
  readonly key?: string;
  readonly passphrase?: string;
  readonly eapOnly?: boolean;
  readonly passwordStdin?: boolean;
  readonly ca?: string;
  readonly network?: readonly string[];
  /** Whether the SSH session that it is typed in goes past the tunnel. */
  readonly keepSsh?: boolean;
  readonly yes?: boolean;
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
  const networks = flags.network?.map(parseNetwork);
  const typedIn = sshSession();
  const session = typedIn === undefined || isNear(typedIn) ? undefined : typedIn;
  const keptSession = flags.keepSsh === false ? undefined : session;
  if (session !== undefined && keptSession === undefined && covers(networks, session.peer))
    await confirmCut(session.peer, flags.yes === true);
  const login = await loginFrom(flags, host);
  const [port, natTraversalPort] = await freePorts();
  const settings = {
    connections: {
      [CONNECTION]: {
        remote: { address, ...(flags.ca !== undefined && { ca: resolve(flags.ca) }) },
        ...login,
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
    return {
      ...known,
      warnings: [...known.warnings, ...(await killSwitchWarnings(DEFAULT_CONFIG_FILE, known))],
      gatewayFinder: gatewayFinder(DEFAULT_CONFIG_FILE),
      ...(keptSession !== undefined && { keptSession }),
    };
  };
  return runDaemon({
    readConfig,
    terminal,
    startEngine,
    whenReady: async (daemon) => {
      const outcome = await daemon.up(CONNECTION);
      if (outcome.kind === "failed") return { reason: outcome.message, code: exitCodeOf(outcome) };
      if (keptSession !== undefined && covers(networks, keptSession.peer))
        terminal.error(`answers of the SSH server on port ${keptSession.port} go past the tunnel\n`);
      terminal.error(`connected with ${host} as ${login.user}; Ctrl-C disconnects\n`);
      return undefined;
    },
  });
}

/** Whether what goes to this address goes into the tunnel. */
function covers(networks: readonly string[] | undefined, address: string): boolean {
  return (
    networks === undefined ||
    networks.some((network) => prefixContains(parseCidr(network), parseCidr(address)))
  );
}

/** Throws PolicyError where nobody agrees. */
async function confirmCut(peer: string, isAgreed: boolean): Promise<void> {
  if (isAgreed) return;
  const what = `this SSH session, from ${peer}, ends when its answers go into the tunnel`;
  const answer = process.stdin.isTTY === true ? await askLine(`${what}. Go on (yes/no)? `) : "";
  if (answer !== "yes") throw new PolicyError(`${what}; leave out --no-keep-ssh, or say --yes`);
}

/** What the configuration says of who logs in. */
interface Login {
  readonly user: string;
  readonly password?: string;
  readonly local?: { readonly certificate: string; readonly key: string; readonly passphrase?: string };
  readonly eapOnly?: boolean;
}

async function loginFrom(flags: ConnectFlags, host: string): Promise<Login> {
  const { certificate, key } = flags;
  if (certificate !== undefined || key !== undefined) {
    if (certificate === undefined || key === undefined)
      throw new PolicyError("--certificate goes with --key");
    if (flags.passwordStdin === true) throw new PolicyError("a certificate or a password, not both");
    return certificateLogin({ ...flags, certificate, key });
  }
  if (flags.user === undefined) throw new PolicyError("say who logs in: --user, or --certificate and --key");
  const user = parseUserName(flags.user);
  const password =
    flags.passwordStdin === true
      ? await passwordFromInput()
      : await askSecret(`Password of ${user} at ${host}: `);
  const fault = faultOfPassword(password);
  if (fault !== undefined) throw new PolicyError(fault);
  return { user, password, ...(flags.eapOnly !== undefined && { eapOnly: flags.eapOnly }) };
}

function certificateLogin(
  flags: ConnectFlags & { readonly certificate: string; readonly key: string },
): Login {
  const files = filesOf(flags, process.cwd());
  const [credential] = new LiveCertificates([files]).credentials;
  const user = parseUserName(flags.user ?? userNameOf(credential!.certificate));
  return { user, local: files, ...(flags.eapOnly !== undefined && { eapOnly: flags.eapOnly }) };
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
