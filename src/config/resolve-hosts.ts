import { lookup } from "node:dns/promises";
import { PlatformError } from "../errors/index.ts";
import type { Config } from "./config.ts";

/**
 * The configuration with addresses for the peers that it names. `known`, of an earlier time, is kept to where the name still leads
 * there. `pinned`: hosts whose addresses are fixed, and not looked up. Throws PlatformError (code "EAI") for a name that has no address.
 */
export async function resolveHosts(
  config: Config,
  known?: Config,
  pinned: ReadonlyMap<string, readonly string[]> = new Map(),
): Promise<Config> {
  const found = await Promise.all(
    config.hosts.map(async ({ connection, host }) => {
      const before = known?.connections.find(({ name }) => name === connection)?.remote.address;
      const addresses = pinned.get(host) ?? (await addressesOf(host));
      const isStill = before !== undefined && addresses.includes(before);
      return [connection, isStill ? before : addresses[0]!] as const;
    }),
  );
  const addressOf = new Map(found);
  const connections = config.connections.map((connection) => {
    const address = addressOf.get(connection.name);
    return address === undefined ? connection : { ...connection, remote: { ...connection.remote, address } };
  });
  return { ...config, connections };
}

async function addressesOf(host: string): Promise<readonly string[]> {
  try {
    return (await lookup(host, { all: true })).map(({ address }) => address);
  } catch (cause) {
    const { code = "EAI" } = cause as NodeJS.ErrnoException;
    const reason = code === "ENOTFOUND" ? "there is no such name" : `nobody can be asked (${code})`;
    throw new PlatformError(`cannot find the address of ${host}: ${reason}`, { code: "EAI", cause });
  }
}
