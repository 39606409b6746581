import type { Config } from "../config/config.ts";
import { readKillSwitch } from "../platform/firewall/kill-switch.ts";
import { shutOut } from "./gateways.ts";
import { readRecord } from "./record.ts";

/** What whoever starts a tunnel ought to know of the kill switch, in sentences; none where it is off. Does not reject. */
export async function killSwitchWarnings(
  configFile: string,
  config: Pick<Config, "connections">,
): Promise<readonly string[]> {
  const record = readRecord(configFile);
  if (record === undefined) return [];
  const fault = await faultOfRules();
  return [...(fault === undefined ? [] : [fault]), ...shutOut(config, record)];
}

async function faultOfRules(): Promise<string | undefined> {
  try {
    if ((await readKillSwitch()).kind !== "absent") return undefined;
    return "the kill switch is switched on, but its rules are gone, and nothing is held back; to load them: ikebana killswitch on";
  } catch (error) {
    return `nobody can tell whether the kill switch holds: ${error instanceof Error ? error.message : error}`;
  }
}
