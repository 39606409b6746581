import type { Path, SocketAddress } from "../platform/address.ts";
import type { ConnectionPolicy } from "../policy/connection.ts";
import type { Addresses } from "../policy/pad.ts";
import type { Ports } from "./machine.ts";

/** The registered ports (RFC 7296 section 2, RFC 3948 section 2.2). */
export const STANDARD_PORTS: Ports = { ike: 500, natTraversal: 4500 };

/** Where the first request goes. To a port that is no IKE port we speak as to 4500, from our own 4500. */
export function initialPath(connection: ConnectionPolicy, ports: Ports): Path {
  const { address = "", port } = connection.remote;
  const isIkePort = port === STANDARD_PORTS.ike || port === ports.ike;
  return {
    local: {
      address: connection.local.address ?? (address.includes(":") ? "::" : "0.0.0.0"),
      port: isIkePort ? ports.ike : ports.natTraversal,
    },
    remote: { address, port },
  };
}

/** From IKE_AUTH on everything takes the port of NAT traversal, at both ends (RFC 7296 section 2.23). */
export function floatedPath({ local, remote }: Path, ports: Ports): Path {
  return {
    local: { address: local.address, port: ports.natTraversal },
    remote: floatedEnd(remote, ports),
  };
}

function floatedEnd({ address, port }: SocketAddress, ports: Ports): SocketAddress {
  if (port === ports.ike) return { address, port: ports.natTraversal };
  if (port === STANDARD_PORTS.ike) return { address, port: STANDARD_PORTS.natTraversal };
  return { address, port };
}

export function addressesOf({ local, remote }: Path): Addresses {
  return { localAddress: local.address, remoteAddress: remote.address };
}
