import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PlatformError } from "../../errors/index.ts";
import { requirePlugins, settingsOf } from "../tunnel/contenders/strongswan.ts";
import type { Host } from "../tunnel/ground.ts";
import { findPrograms } from "../tunnel/program.ts";
import { waitUntil } from "../tunnel/wait.ts";
import { ESP_PROPOSAL, type GroupName, ikeProposal } from "./groups.ts";
import { OUTSIDE, type Peer, RESPONDER_IDENTITY, SIDE_BY_SIDE_LIMIT } from "./peers.ts";
import type { Callers } from "./responder.ts";

/** What its child SAs are called. */
export const CHILD = "lan";

/**
 * strongSwan with ESP in user space (kernel-libipsec), as Debian packages it: like our daemon it has SAs and routes to install. It logs
 * errors alone, and neither asks for cookies nor holds back an address that opens many SAs, so that it does no more than the exchanges take.
 */
export class StrongswanDaemon {
  readonly pid: number;
  /** Its control socket. */
  readonly vici: string;
  /** Name and version of the program. */
  readonly version: string;
  readonly #load: (text: string) => Promise<void>;

  /** Starts it on a host; it ends with the ground. Throws PlatformError with the reason why it cannot. */
  static async start(host: Host, directory: string): Promise<StrongswanDaemon> {
    const [charon, swanctl] = findPrograms([
      { program: "charon-systemd", package: "charon-systemd" },
      { program: "swanctl", package: "strongswan-swanctl" },
    ]);
    requirePlugins();
    const place = (name: string): string => join(directory, `${host.plan.outer}-${name}`);
    const [vici, logFile, settings] = [place("vici"), place("log"), place("strongswan.conf")];
    writeFileSync(settings, settingsOf({ vici, logFile, logLevel: 0, more: SETTINGS }));
    const daemon = host.start("strongSwan", [charon!], { STRONGSWAN_CONF: settings });
    const describe = (): string =>
      `${existsSync(logFile) ? readFileSync(logFile, "utf8").slice(-2000) : ""}${daemon.lastWords}`;
    await waitUntil(
      "strongSwan is ready",
      () => {
        if (daemon.hasEnded) throw new PlatformError(`strongSwan ended: ${describe()}`);
        return existsSync(vici);
      },
      { describe },
    );
    const ask = (...words: readonly string[]) => host.run([swanctl!, ...words, "--uri", `unix://${vici}`]);
    const { out } = await ask("--version", "--daemon");
    const load = async (text: string): Promise<void> => {
      const file = place("swanctl.conf");
      writeFileSync(file, text, { mode: 0o600 });
      await ask("--load-all", "--file", file);
    };
    const version = /strongSwan \d[\w.]*/.exec(out)?.[0] ?? "strongSwan";
    return new StrongswanDaemon({ pid: daemon.pid!, vici, version, load });
  }

  private constructor(facts: {
    readonly pid: number;
    readonly vici: string;
    readonly version: string;
    readonly load: (text: string) => Promise<void>;
  }) {
    this.pid = facts.pid;
    this.vici = facts.vici;
    this.version = facts.version;
    this.#load = facts.load;
  }

  /** Lets it answer, or be, all these peers. What was loaded before is forgotten. */
  load(role: "initiator" | "responder", callers: Callers): Promise<void> {
    return this.#load(configurationOf(role, callers));
  }
}

/** Whoever is told to initiate waits in a thread until that is done. */
const SETTINGS = `
  dos_protection = no
  threads = ${2 * SIDE_BY_SIDE_LIMIT}`;

function configurationOf(role: "initiator" | "responder", { peers, groups, psk }: Callers): string {
  const isInitiator = role === "initiator";
  const connections = peers.map((peer) => connectionOf(peer, { isInitiator, groups }));
  const secrets = peers.map(
    ({ name, identity }) => `  ike-${name} {
    id-1 = ${RESPONDER_IDENTITY}
    id-2 = ${identity}
    secret = 0x${psk}
  }
`,
  );
  return `connections {
${connections.join("")}}
secrets {
${secrets.join("")}}
`;
}

function connectionOf(
  peer: Peer,
  { isInitiator, groups }: { readonly isInitiator: boolean; readonly groups: readonly GroupName[] },
): string {
  const responder = { id: RESPONDER_IDENTITY, address: OUTSIDE.responder, network: OUTSIDE.network };
  const initiator = { id: peer.identity, address: OUTSIDE.initiator, network: peer.address };
  const [local, remote] = isInitiator ? [initiator, responder] : [responder, initiator];
  return `  ${peer.name} {
    version = 2
    local_addrs = ${local.address}
    remote_addrs = ${remote.address}
    proposals = ${groups.map(ikeProposal).join(",")}
    local {
      auth = psk
      id = ${local.id}
    }
    remote {
      auth = psk
      id = ${remote.id}
    }
    children {
      ${CHILD} {
        local_ts = ${local.network}
        remote_ts = ${remote.network}
        esp_proposals = ${ESP_PROPOSAL}
      }
    }
  }
`;
}
