import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { DEFAULT_SOCKET, DEFAULT_STATE_DIRECTORY } from "../config/defaults.ts";
import { loadConfig } from "../config/load.ts";
import { PolicyError } from "../errors/index.ts";
import { filesNamedIn } from "../setup/named-files.ts";
import { installService } from "../setup/service.ts";
import { SERVICE_UNIT, SERVICE_USER } from "../setup/service-unit.ts";
import { removeUnit, tellSystemd } from "../setup/units.ts";
import { ExitCode } from "./exit-code.ts";
import type { Terminal } from "./terminal.ts";

export interface ServiceFlags {
  readonly config: string;
  /** Where units are. */
  readonly units: string;
}

/** `ikebana service install`: the daemon of a configuration that is there starts with the machine, as a user of its own. */
export async function runServiceInstall(flags: ServiceFlags, terminal: Terminal): Promise<ExitCode> {
  const config = resolve(flags.config);
  const { socket, stateDirectory } = loadConfig(config);
  if (socket !== DEFAULT_SOCKET || stateDirectory !== DEFAULT_STATE_DIRECTORY) {
    throw new PolicyError(
      `a service has its socket at ${DEFAULT_SOCKET} and its state in ${DEFAULT_STATE_DIRECTORY}: leave socket and state out of ${config}`,
      { code: "CONFIG" },
    );
  }
  const folder = dirname(config);
  const named = filesNamedIn(readFileSync(config, "utf8"), folder);
  const { path, warnings } = await installService({
    user: SERVICE_USER,
    folder: flags.units,
    config,
    node: process.execPath,
    program: resolve(process.argv[1] ?? ""),
    owned: [],
    shared: named.filter((file) => file.startsWith(`${folder}/`)),
    needed: named,
  });
  for (const message of warnings) terminal.error(`ikebana: ${message}\n`);
  terminal.out(`written: ${path}\nit starts with the machine; now:  systemctl start ikebana\n`);
  return ExitCode.DONE;
}

/** `ikebana service remove`: ends it, now and for the next start of the machine. User and files stay. */
export function runServiceRemove({ units }: Pick<ServiceFlags, "units">, terminal: Terminal): ExitCode {
  tellSystemd("stop", SERVICE_UNIT.name);
  const wasThere = removeUnit({ folder: units, ...SERVICE_UNIT });
  tellSystemd("daemon-reload");
  terminal.out(wasThere ? `removed: ${SERVICE_UNIT.name}\n` : `there is no ${SERVICE_UNIT.name}\n`);
  return ExitCode.DONE;
}
