import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { version } from "../../../engine/version.ts";
import { PlatformError } from "../../../errors/index.ts";
import { waitUntil } from "../../tunnel/wait.ts";
import { ESP_PROPOSAL, ikeProposal } from "../groups.ts";
import { OUTSIDE, RESPONDER_IDENTITY } from "../peers.ts";
import type { Callers, Responder } from "../responder.ts";

/** `ikebana up`, as users run it: data worker, TUN device and log included. `command` is what starts the program. */
export function ikebanaResponder(command: readonly string[]): Responder {
  return {
    name: "ikebana",
    title: "Ikebana",
    async start({ gateway, directory }, callers) {
      const file = join(directory, "responder.yaml");
      writeFileSync(file, configurationOf(callers, directory), { mode: 0o600 });
      const daemon = gateway.start("ikebana", [...command, "up", "-c", file]);
      await waitUntil(
        "ikebana is ready",
        () => {
          if (daemon.hasEnded) throw new PlatformError(`ikebana ended: ${daemon.lastWords}`);
          return daemon.out.includes(" ready: ");
        },
        { describe: () => daemon.lastWords },
      );
      return { version: `Ikebana ${version()} on Node ${process.versions.node}`, pid: daemon.pid! };
    },
  };
}

function configurationOf({ peers, groups, psk }: Callers, directory: string): string {
  const ike = groups.map(ikeProposal).join(", ");
  const connections = peers.map(
    ({ name, identity, address }) => `  ${name}:
    local: { address: ${OUTSIDE.responder}, id: ${RESPONDER_IDENTITY}, psk: { hex: "${psk}" } }
    remote: { address: ${OUTSIDE.initiator}, id: ${identity} }
    start: respond
    ike: [${ike}]
    children:
      lan: { local: [${OUTSIDE.network}], remote: [${address}], esp: [${ESP_PROPOSAL}] }
`,
  );
  return `connections:
${connections.join("")}tun: ikebana0
socket: ${join(directory, "responder.sock")}
state: ${join(directory, "responder-state")}
`;
}
