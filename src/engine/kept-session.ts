import { IpProtocol } from "../iana/ip-protocols.ts";
import { MAIN_TABLE, type Rule } from "../platform/network/network.ts";

/** The login over the network by which somebody works on this machine, while a tunnel may take all of its routes. */
export interface KeptSession {
  /** Of this machine, as the session has it. */
  readonly address: string;
  /** TCP port of the server at that address. */
  readonly port: number;
  /** Where the session comes from. */
  readonly peer: string;
}

/** Before those of detours.ts. */
export const KEPT_PRIORITY = 7_295;

/**
 * What the server of the session sends goes by the main table, as if there were no tunnel, whoever it is for: somebody whose connection breaks
 * can log in again from elsewhere. Whatever else goes to the same peer goes into the tunnel.
 */
export function keptRules(session: KeptSession | undefined): readonly Rule[] {
  if (session === undefined) return [];
  const { address, port } = session;
  const isIpv6 = address.includes(":");
  return [
    {
      family: isIpv6 ? 6 : 4,
      priority: KEPT_PRIORITY,
      table: MAIN_TABLE,
      source: `${address}/${isIpv6 ? 128 : 32}`,
      protocol: IpProtocol.TCP,
      sourcePort: port,
    },
  ];
}
