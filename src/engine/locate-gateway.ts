import { lookup } from "node:dns/promises";
import { parseAddress } from "../bytes/ip-address.ts";
import type { LocatedGateway } from "../ike/io.ts";

/** Where gateways are that we are sent to (RFC 5685), and which of them may be reached. */
export interface GatewayFinder {
  /** Addresses of a name, the preferred one first. Rejects where there are none, or nobody can be asked. */
  addressesOf(host: string): Promise<readonly string[]>;
  /** Why nothing may go to the address, as the end of a sentence; undefined where it may. */
  hindranceTo(address: string): string | undefined;
}

export const PLAIN_FINDER: GatewayFinder = {
  addressesOf: async (host) => (await lookup(host, { all: true })).map(({ address }) => address),
  hindranceTo: () => undefined,
};

/** Finds an address of the gateway `host`, an address or a name, that can be reached from ours (undefined for any). Does not reject. */
export async function locateGateway(
  finder: GatewayFinder,
  { host, localAddress }: { readonly host: string; readonly localAddress: string | undefined },
): Promise<LocatedGateway> {
  let addresses: readonly string[];
  try {
    addresses = parseAddress(host) === undefined ? await finder.addressesOf(host) : [host];
  } catch (error) {
    const { code = "EAI" } = error as NodeJS.ErrnoException;
    return { kind: "refused", reason: `its address cannot be found (${code})` };
  }
  const isOurFamily = (address: string): boolean =>
    localAddress === undefined || localAddress.includes(":") === address.includes(":");
  const possible = addresses.filter((address) => isUnicast(address) && isOurFamily(address));
  const [first] = possible;
  if (first === undefined) return { kind: "refused", reason: "it has no address that we could go to" };
  const open = possible.find((address) => finder.hindranceTo(address) === undefined);
  if (open !== undefined) return { kind: "found", address: open };
  return { kind: "refused", reason: finder.hindranceTo(first) ?? "" };
}

/** No gateway has a multicast or broadcast address, the one of nobody, or one of this machine alone. */
function isUnicast(address: string): boolean {
  const octets = parseAddress(address);
  if (octets === undefined) return false;
  const first = octets[0]!;
  if (octets.length === 4) return first !== 0 && first !== 127 && first < 224;
  return first !== 0xff && octets.subarray(0, 15).some((octet) => octet !== 0);
}
