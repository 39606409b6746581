import { lookup } from "node:dns/promises";
import { parseAddress } from "../bytes/ip-address.ts";
import type { Config } from "../config/config.ts";
import { IKE_PORT, NAT_TRAVERSAL_PORT } from "../config/defaults.ts";
import { PlatformError, PolicyError } from "../errors/index.ts";
import type { KillSwitchRecord, NamedGateway } from "./record.ts";

export interface FoundGateways {
  readonly gateways: readonly NamedGateway[];
  /** Sentences about what was not found, or will be shut out. */
  readonly warnings: readonly string[];
}

/**
 * The peers of a configuration as a kill switch lets them through, each name with all of its addresses now. A name that cannot be looked up
 * keeps the addresses of `known`. Throws PolicyError where there is nobody to let through, PlatformError (code "EAI") for a name without
 * an address.
 */
export async function gatewaysOf(
  config: Pick<Config, "connections" | "hosts" | "listen" | "gateway">,
  known: KillSwitchRecord | undefined,
): Promise<FoundGateways> {
  if (config.gateway !== undefined) {
    throw new PolicyError(
      "this machine is a gateway: a kill switch would shut out its clients, who come from anywhere; it is for machines that connect to gateways",
      { code: "CONFIG" },
    );
  }
  const warnings: string[] = [];
  const gateways: NamedGateway[] = [];
  for (const { name, remote, encapsulation, tcp } of config.connections) {
    const host = config.hosts.find(({ connection }) => connection === name)?.host;
    const opening = {
      ports: tcp?.mode === "always" ? [] : portsOf(remote.port, config.listen),
      tcpPorts: tcp === undefined ? [] : [tcp.port],
      isRaw: encapsulation !== "udp" && tcp?.mode !== "always",
    };
    if (host !== undefined) {
      const found = await addressesOf(host, known);
      if (found.warning !== undefined) warnings.push(found.warning);
      gateways.push(...found.addresses.map((address) => ({ host, address, ...opening })));
    } else if (remote.address !== undefined) {
      gateways.push({ address: remote.address, ...opening });
    } else {
      warnings.push(`${name} has no remote address: its peer is shut out`);
    }
  }
  if (gateways.length === 0) {
    throw new PolicyError("no connection names its gateway: a kill switch would let nobody through", {
      code: "CONFIG",
    });
  }
  return { gateways, warnings };
}

/** The same for gateways that are named by hand. */
export async function gatewaysNamed(
  hosts: readonly string[],
  known: KillSwitchRecord | undefined,
): Promise<FoundGateways> {
  const opening = { ports: [IKE_PORT, NAT_TRAVERSAL_PORT], tcpPorts: [NAT_TRAVERSAL_PORT], isRaw: true };
  const found = await Promise.all(
    hosts.map(async (host) => {
      if (parseAddress(host) !== undefined)
        return { gateways: [{ address: host, ...opening }], warnings: [] };
      const { addresses, warning } = await addressesOf(host, known);
      return {
        gateways: addresses.map((address) => ({ host, address, ...opening })),
        warnings: warning === undefined ? [] : [warning],
      };
    }),
  );
  return {
    gateways: found.flatMap(({ gateways }) => gateways),
    warnings: found.flatMap(({ warnings }) => warnings),
  };
}

/** Peers of the configuration that the kill switch does not let through, in sentences. */
export function shutOut({ connections }: Pick<Config, "connections">, record: KillSwitchRecord): string[] {
  const open = new Set(record.gateways.map(({ address }) => address));
  return connections.flatMap(({ name, remote }) =>
    remote.address === undefined || open.has(remote.address)
      ? []
      : [
          `the kill switch is on and does not let ${name} (${remote.address}) through; after a change: ikebana killswitch on`,
        ],
  );
}

/** Where the first request goes, and where everything goes behind it (RFC 7296 section 2.23). */
function portsOf(port: number, listen: Config["listen"]): readonly number[] {
  if (port === listen.port) return [...new Set([port, listen.natTraversalPort])];
  return port === IKE_PORT ? [port, NAT_TRAVERSAL_PORT] : [port];
}

async function addressesOf(
  host: string,
  known: KillSwitchRecord | undefined,
): Promise<{ readonly addresses: readonly string[]; readonly warning?: string }> {
  try {
    const found = await lookup(host, { all: true });
    return { addresses: [...new Set(found.map(({ address }) => address))] };
  } catch (cause) {
    const { code = "EAI" } = cause as NodeJS.ErrnoException;
    const before = (known?.gateways ?? []).filter((gateway) => gateway.host === host);
    const addresses = before.map(({ address }) => address);
    if (addresses.length > 0)
      return {
        addresses,
        warning: `${host} cannot be looked up (${code}): it stays ${addresses.join(", ")}`,
      };
    throw new PlatformError(`cannot find the address of ${host}: ${code}`, { code: "EAI", cause });
  }
}
