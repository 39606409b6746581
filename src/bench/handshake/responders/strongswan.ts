import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PlatformError } from "../../../errors/index.ts";
import { requirePlugins, settingsOf } from "../../tunnel/contenders/strongswan.ts";
import { findPrograms } from "../../tunnel/program.ts";
import { waitUntil } from "../../tunnel/wait.ts";
import { ESP_PROPOSAL, ikeProposal } from "../groups.ts";
import { OUTSIDE, RESPONDER_IDENTITY } from "../peers.ts";
import type { Callers, Responder } from "../responder.ts";

/**
 * strongSwan with ESP in user space (kernel-libipsec), as Debian packages it: like ours it has SAs and routes to install. It logs
 * errors alone, and neither asks for cookies nor holds back an address that opens many SAs, so that it does no more than the exchanges take.
 */
export const strongswanResponder: Responder = {
  name: "strongswan",
  title: "strongSwan",
  async start({ gateway, directory }, callers) {
    const [charon, swanctl] = findPrograms([
      { program: "charon-systemd", package: "charon-systemd" },
      { program: "swanctl", package: "strongswan-swanctl" },
    ]);
    requirePlugins();
    const vici = join(directory, "responder.vici");
    const logFile = join(directory, "responder.log");
    const settings = join(directory, "responder-strongswan.conf");
    writeFileSync(settings, settingsOf({ vici, logFile, logLevel: 0, more: UNGUARDED }));
    const file = join(directory, "responder-swanctl.conf");
    writeFileSync(file, configurationOf(callers), { mode: 0o600 });
    const daemon = gateway.start("strongSwan", [charon!], { STRONGSWAN_CONF: settings });
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
    const ask = (...words: readonly string[]) => gateway.run([swanctl!, ...words, "--uri", `unix://${vici}`]);
    await ask("--load-all", "--file", file);
    const { out } = await ask("--version", "--daemon");
    return { version: /strongSwan \d[\w.]*/.exec(out)?.[0] ?? "strongSwan", pid: daemon.pid! };
  },
};

const UNGUARDED = `
  dos_protection = no`;

function configurationOf({ peers, groups, psk }: Callers): string {
  const connections = peers.map(
    ({ name, identity, address }) => `  ${name} {
    version = 2
    local_addrs = ${OUTSIDE.responder}
    remote_addrs = ${OUTSIDE.initiator}
    proposals = ${groups.map(ikeProposal).join(",")}
    local {
      auth = psk
      id = ${RESPONDER_IDENTITY}
    }
    remote {
      auth = psk
      id = ${identity}
    }
    children {
      lan {
        local_ts = ${OUTSIDE.network}
        remote_ts = ${address}
        esp_proposals = ${ESP_PROPOSAL}
      }
    }
  }
`,
  );
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
