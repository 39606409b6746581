import { CLIENT, GATEWAY } from "../tunnel/ground.ts";

/** One of those who connect: who it is, and the address that its child SA is for. */
export interface Peer {
  readonly name: string;
  readonly identity: string;
  readonly address: string;
}

export const RESPONDER_IDENTITY = "gateway.example";

/** Gateways keep as many half-open SAs of one address. */
export const SIDE_BY_SIDE_LIMIT = 64;
/** As many at most, so that each has an address of its own. */
export const PEER_LIMIT = 10_000;

/** Peers with a connection, an identity and an inner address of their own each. They share an outer address, which is the client's. */
export function peersOf(count: number): readonly Peer[] {
  return Array.from({ length: count }, (_, index) => ({
    name: `peer${index}`,
    identity: `peer${index}.example`,
    address: `10.79.${index >>> 8}.${index & 0xff}/32`,
  }));
}

export const OUTSIDE = { initiator: CLIENT.outer, responder: GATEWAY.outer, network: GATEWAY.network };
