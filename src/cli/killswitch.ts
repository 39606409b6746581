import { DEFAULT_TUN_NAME } from "../config/defaults.ts";
import { loadConfig } from "../config/load.ts";
import type { KeptSession } from "../engine/kept-session.ts";
import { PolicyError } from "../errors/index.ts";
import { IpProtocol } from "../iana/ip-protocols.ts";
import { type FoundGateways, gatewaysNamed, gatewaysOf } from "../killswitch/gateways.ts";
import type { KillSwitchRecord, NamedGateway } from "../killswitch/record.ts";
import { KillSwitch, type KillSwitchStatus } from "../killswitch/switch.ts";
import { isInLan } from "../platform/firewall/kill-switch.ts";
import { LinuxNetwork } from "../platform/network/linux-network.ts";
import { createLinuxSystemCalls } from "../platform/system-calls/linux-system-calls.ts";
import { ExitCode } from "./exit-code.ts";
import { askWithin } from "./prompt.ts";
import { formatCount } from "./quantities.ts";
import { sshSession } from "./ssh-session.ts";
import type { Terminal } from "./terminal.ts";

export interface KillSwitchFlags {
  readonly config: string;
  readonly units: string;
  readonly json?: boolean;
}

export interface KillSwitchOnFlags extends KillSwitchFlags {
  readonly lan?: boolean;
  readonly gateway?: readonly string[];
  readonly yes?: boolean;
  readonly within: number;
}

/**
 * `ikebana killswitch on`: from then on nothing leaves but through the tunnel. Asks whether it shall stay when it holds already: whoever is
 * cut off by it cannot answer, and it goes back to what held before, by itself.
 */
export async function runKillSwitchOn(flags: KillSwitchOnFlags, terminal: Terminal): Promise<ExitCode> {
  const isAsking = flags.yes !== true;
  if (isAsking && process.stdin.isTTY !== true) {
    throw new PolicyError("there is no terminal to confirm at; --yes switches it on without being asked");
  }
  const killSwitch = new KillSwitch({ configFile: flags.config, units: flags.units });
  const { record, warnings } = await recordFor(flags, killSwitch.record);
  for (const message of warnings) terminal.error(`ikebana: ${message}\n`);
  const session = sshSession();
  if (session !== undefined && isCutOff(session, record)) {
    terminal.error(
      `ikebana: you are here by SSH from ${session.peer}, and not through the tunnel: this cuts your session off${
        isAsking ? ` until it goes back by itself, in ${flags.within} s` : ""
      }\n`,
    );
  }
  if (isAsking && !(await isConfirmed(killSwitch, record, flags.within))) {
    await killSwitch.goBack();
    terminal.error("ikebana: nobody said yes: everything is as it was\n");
    return ExitCode.TIMEOUT;
  }
  await killSwitch.keep(record);
  const { isLoadedAtBoot } = await killSwitch.status();
  if (flags.json === true) {
    terminal.out(`${JSON.stringify({ kind: "done", isLoadedAtBoot, ...record })}\n`);
    return ExitCode.DONE;
  }
  terminal.out(`the kill switch is on: nothing leaves but through ${record.link}\n${openingsText(record)}`);
  if (!isLoadedAtBoot) terminal.out(AT_BOOT_BY_HAND);
  return ExitCode.DONE;
}

export async function runKillSwitchOff(flags: KillSwitchFlags, terminal: Terminal): Promise<ExitCode> {
  await new KillSwitch({ configFile: flags.config, units: flags.units }).off();
  const message = "the kill switch is off: packets leave as the routes have it";
  terminal.out(flags.json === true ? `${JSON.stringify({ kind: "done", message })}\n` : `${message}\n`);
  return ExitCode.DONE;
}

/** `ikebana killswitch status`: 0 when it is as it was switched, on or off; 1 when somebody else has changed that. */
export async function runKillSwitchStatus(flags: KillSwitchFlags, terminal: Terminal): Promise<ExitCode> {
  const status = await new KillSwitch({ configFile: flags.config, units: flags.units }).status();
  terminal.out(flags.json === true ? `${JSON.stringify(status)}\n` : formatStatus(status));
  return status.state === "lost" || status.state === "stray" ? ExitCode.WRONG_USE : ExitCode.DONE;
}

async function recordFor(
  { config: file, gateway: named, lan }: KillSwitchOnFlags,
  known: KillSwitchRecord | undefined,
): Promise<{ readonly record: KillSwitchRecord; readonly warnings: readonly string[] }> {
  const opensLan = lan === true;
  const record = (link: string, { gateways, warnings }: FoundGateways) => ({
    record: { link, gateways, opensLan },
    warnings,
  });
  if (named !== undefined) return record(DEFAULT_TUN_NAME, await gatewaysNamed(named, known));
  const config = loadConfig(file);
  return record(config.tun.name, await gatewaysOf(config, known));
}

/** The rules hold while we ask, and no longer unless somebody says yes. */
async function isConfirmed(
  killSwitch: KillSwitch,
  record: KillSwitchRecord,
  seconds: number,
): Promise<boolean> {
  await killSwitch.try(record, seconds);
  const question = `The kill switch holds now. Type yes within ${seconds} s to keep it: `;
  const answer = await askWithin(question, seconds * 1000);
  return answer?.trim().toLowerCase() === "yes";
}

/** What the session's server sends may go past a tunnel that everything else to the same peer takes (`src/engine/kept-session.ts`). */
function isCutOff({ address, port, peer }: KeptSession, { link, opensLan }: KillSwitchRecord): boolean {
  const network = new LinuxNetwork(createLinuxSystemCalls());
  try {
    const packet = { source: address, protocol: IpProtocol.TCP, sourcePort: port };
    const way = network.lookUpRoute(peer, packet)?.link;
    return way !== link && way !== "lo" && !(opensLan && isInLan(peer));
  } finally {
    network.close();
  }
}

const AT_BOOT_BY_HAND =
  "there is no systemd to load it when the machine starts: do so before the network comes up, with nft -f and the file killswitch.nft beside the configuration\n";

function formatStatus({ state, record, droppedPackets, isLoadedAtBoot }: KillSwitchStatus): string {
  const openings = record === undefined ? "" : openingsText(record);
  const atBoot = isLoadedAtBoot ? "loaded when the machine starts\n" : "not loaded when the machine starts\n";
  const dropped = `${formatCount(droppedPackets)} packets dropped\n`;
  switch (state) {
    case "on":
      return `on\n${openings}${atBoot}${dropped}`;
    case "off":
      return "off\n";
    case "trial":
      return `on for a trial, until nobody confirms it\n${dropped}`;
    case "lost":
      return `switched on, but its rules are gone, and nothing is held back: somebody has flushed them; ikebana killswitch on\n${openings}${atBoot}`;
    case "stray":
      return `on, with rules that this configuration does not know; ikebana killswitch on writes them anew, off removes them\n${dropped}`;
  }
}

function openingsText({ gateways, opensLan }: KillSwitchRecord): string {
  const lines = [
    ...gateways.map(gatewayText),
    "DHCP, and what IPv6 needs of its neighbors and routers",
    ...(opensLan ? ["the local network, but for DNS"] : []),
  ];
  return lines.map((line) => `  and to ${line}\n`).join("");
}

function gatewayText({ host, address, ports, tcpPorts = [], isRaw }: NamedGateway): string {
  const who = host === undefined ? address : `${host} (${address})`;
  const ways = [
    ...(ports.length > 0 ? [`UDP ${ports.join(" and ")}`] : []),
    ...(tcpPorts.length > 0 ? [`TCP ${tcpPorts.join(" and ")}`] : []),
    ...(isRaw ? ["ESP"] : []),
  ];
  return `${who}: ${ways.join(", ")}, from ikebana alone`;
}
