import { createHash } from "node:crypto";
import { toHex } from "../bytes/hex.ts";
import type { EapServer } from "../eap/session.ts";
import { PolicyError } from "../errors/index.ts";
import { systemRandom } from "../platform/random.ts";
import { RadiusClient, type RadiusServer } from "../radius/radius-client.ts";
import { radiusEapServer } from "../radius/radius-eap-server.ts";
import type { RadiusServerConfig } from "./gateway.ts";
import { readPassword } from "./preshared-key.ts";

/** RFC 2865 section 3: at least that, and it is all that keeps a login from being forged. */
const SHORTEST_GOOD_SECRET = 16;

/** The servers with their secrets read. Throws PolicyError, whose message never shows one. */
export function readRadiusServers<Entry extends Pick<RadiusServerConfig, "address" | "secret">>(
  entries: readonly Entry[],
): {
  readonly servers: readonly (Omit<Entry, "secret"> & { readonly secret: Uint8Array })[];
  readonly warnings: readonly string[];
} {
  const warnings: string[] = [];
  const servers = entries.map(({ secret, ...entry }) => {
    const { address } = entry;
    // Its path is absolute.
    const read = readPassword(secret, "/");
    warnings.push(...read.warnings);
    const octets = new TextEncoder().encode(read.password);
    if (octets.length === 0) throw new PolicyError(`the secret of ${address} is empty`);
    if (octets.length < SHORTEST_GOOD_SECRET) {
      warnings.push(
        `the secret of ${address} has ${octets.length} octets and can be guessed; take ${SHORTEST_GOOD_SECRET} at least`,
      );
    }
    return { ...entry, secret: octets };
  });
  return { servers, warnings };
}

/** One for each list of servers, for as long as the process lives: a reload forgets neither who is silent nor what is under way. */
const byServers = new Map<string, EapServer>();

/** Logins that the servers decide on. `name` is how the gateway calls itself towards them. */
export function radiusLogins(servers: readonly RadiusServer[], name: string): EapServer {
  const key = `${name} ${textOf(servers)}`;
  const known = byServers.get(key);
  if (known !== undefined) return known;
  const client = new RadiusClient({ servers, random: systemRandom, clock: performance });
  const logins = radiusEapServer({ client, nasIdentifier: name, random: systemRandom });
  byServers.set(key, logins);
  return logins;
}

/** Of these servers, with these secrets, and of no others. */
export function digestOfServers(servers: readonly RadiusServer[]): Uint8Array {
  return createHash("sha256").update(textOf(servers)).digest();
}

function textOf(servers: readonly RadiusServer[]): string {
  return JSON.stringify(servers.map(({ address, port, secret }) => [address, port, toHex(secret)]));
}
