import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { KillSwitchRules } from "../platform/firewall/kill-switch.ts";

/** What a kill switch was switched on with. */
export interface KillSwitchRecord {
  readonly link: string;
  readonly gateways: readonly NamedGateway[];
  readonly opensLan: boolean;
}

/** An address that may be reached outside of the tunnel. */
export interface NamedGateway {
  /** As the configuration has it, where that is a name. */
  readonly host?: string;
  readonly address: string;
  readonly ports: readonly number[];
  /** TCP (RFC 9329); left out for none. */
  readonly tcpPorts?: readonly number[];
  readonly isRaw: boolean;
}

/** Files of a kill switch, beside the configuration: only root writes there, and root loads the rules. */
export interface KillSwitchFiles {
  /** For nft, 0600. */
  readonly rules: string;
  /** For us, readable by a daemon of another user: it holds no secret. */
  readonly record: string;
}

export function killSwitchFiles(configFile: string): KillSwitchFiles {
  const folder = dirname(resolve(configFile));
  return { rules: join(folder, "killswitch.nft"), record: join(folder, "killswitch.json") };
}

/** Undefined where the kill switch is off. What makes no sense counts as nothing. */
export function readRecord(configFile: string): KillSwitchRecord | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(killSwitchFiles(configFile).record, "utf8"));
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Addresses of the hosts that the kill switch knows by name. As long as it is on, no other address of theirs can be reached, and outside of
 * the tunnel nobody can be asked for one.
 */
export function pinnedHosts(configFile: string): ReadonlyMap<string, readonly string[]> {
  const pinned = new Map<string, string[]>();
  for (const { host, address } of readRecord(configFile)?.gateways ?? []) {
    if (host !== undefined) pinned.set(host, [...(pinned.get(host) ?? []), address]);
  }
  return pinned;
}

export function rulesOf(record: KillSwitchRecord, mark: number): KillSwitchRules {
  return { ...record, mark };
}

function isRecord(value: unknown): value is KillSwitchRecord {
  if (typeof value !== "object" || value === null) return false;
  const { link, gateways, opensLan } = value as Partial<KillSwitchRecord>;
  return (
    typeof link === "string" &&
    typeof opensLan === "boolean" &&
    Array.isArray(gateways) &&
    gateways.every(
      ({ host, address, ports, tcpPorts = [], isRaw }: Partial<NamedGateway>) =>
        (host === undefined || typeof host === "string") &&
        typeof address === "string" &&
        typeof isRaw === "boolean" &&
        Array.isArray(ports) &&
        Array.isArray(tcpPorts) &&
        [...ports, ...tcpPorts].every((port) => typeof port === "number"),
    )
  );
}
