import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { EngineConfig } from "../../src/engine/engine-config.ts";
import type { ConnectionPolicy } from "../../src/policy/connection.ts";
import { HostProcess } from "./host-process.ts";
import type { TestHost } from "./namespace.ts";
import { until } from "./waiting.ts";

const MACHINE = fileURLToPath(new URL("../system/fixtures/machine.mjs", import.meta.url));

/** What a configuration file does not say. */
export interface Additions {
  readonly gateway?: EngineConfig["gateway"];
  /** Parts of connections, by their names. */
  readonly connections?: Readonly<Record<string, Partial<ConnectionPolicy>>>;
}

/** Starts an engine on a test host, with a configuration of this name in the directory. Settles when it is ready. */
export async function startMachine(
  host: TestHost,
  {
    directory,
    name,
    configuration,
    additions,
  }: {
    readonly directory: string;
    readonly name: string;
    readonly configuration: string;
    readonly additions: Additions;
  },
): Promise<HostProcess> {
  const file = join(directory, `${name}.yaml`);
  writeFileSync(file, configuration, { mode: 0o600 });
  const machine = new HostProcess(host, [process.execPath, MACHINE, file, JSON.stringify(additions)]);
  await until("the machine is ready", () => machine.out.includes("ready") || machine.ending !== undefined, {
    describe: () => machine.out + machine.error,
  });
  if (machine.ending !== undefined) throw new Error(`the machine ended\n${machine.out}${machine.error}`);
  return machine;
}
