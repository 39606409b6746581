import { hash } from "node:crypto";
import { equal } from "../bytes/constant-time.ts";
import { parseAddress } from "../bytes/ip-address.ts";
import { Writer } from "../bytes/writer.ts";
import { NotifyType } from "../iana/ikev2-parameters.ts";
import type { Path, SocketAddress } from "../platform/address.ts";
import type { Random } from "../platform/random.ts";
import type { ConnectionPolicy } from "../policy/connection.ts";
import type { Payload } from "../wire/payloads/payload.ts";
import { findNotifies, notify } from "./payloads.ts";

/** Data of a NAT_DETECTION notification (RFC 7296 section 2.23): SHA-1 of SPIi | SPIr | address | port. */
export function natDetectionHash(facts: {
  readonly initiatorSpi: bigint;
  readonly responderSpi: bigint;
  readonly end: SocketAddress;
}): Uint8Array {
  const input = new Writer();
  input.u64(facts.initiatorSpi);
  input.u64(facts.responderSpi);
  input.bytes(parseAddress(facts.end.address) ?? new Uint8Array(0));
  input.u16(facts.end.port);
  return hash("sha1", input.finish(), "buffer");
}

/**
 * What we send as NAT_DETECTION_SOURCE_IP. It matches no address, so the peer takes us to be behind a NAT: both sides
 * float to port 4500 and put ESP into UDP, which carries more in a system call than raw ESP does, and passes more firewalls.
 */
export function forcedNatDetectionSource(random: Random): Uint8Array {
  return random.bytes(SHA1_LENGTH);
}

/** Both notifications, for a message that leaves along the path. */
export function natDetectionPayloads(
  ikeSa: {
    readonly initiatorSpi: bigint;
    readonly responderSpi: bigint;
    readonly machine: { readonly random: Random };
  },
  { remote: end }: Path,
): readonly Payload[] {
  const { initiatorSpi, responderSpi, machine } = ikeSa;
  const destination = natDetectionHash({ initiatorSpi, responderSpi, end });
  return [
    notify(NotifyType.NAT_DETECTION_SOURCE_IP, forcedNatDetectionSource(machine.random)),
    notify(NotifyType.NAT_DETECTION_DESTINATION_IP, destination),
  ];
}

/** What connections have in common that a peer may turn out to be. */
export function encapsulationOf(connections: readonly ConnectionPolicy[]): "auto" | "udp" | "raw" {
  const all = new Set(connections.map(({ encapsulation = "auto" }) => encapsulation));
  const [only = "auto"] = all;
  return all.size > 1 ? "auto" : only;
}

/** Where NATs are. */
export interface Nat {
  readonly isBehindNat: boolean;
  readonly isPeerBehindNat: boolean;
}

/** What the peer's NAT_DETECTION notifications say (RFC 7296 section 2.23); undefined when it does no NAT traversal. */
export function detectNat(
  payloads: readonly Payload[],
  facts: { readonly initiatorSpi: bigint; readonly responderSpi: bigint; readonly path: Path },
): Nat | undefined {
  const sources = findNotifies(payloads, NotifyType.NAT_DETECTION_SOURCE_IP);
  const destinations = findNotifies(payloads, NotifyType.NAT_DETECTION_DESTINATION_IP);
  if (sources.length === 0 || destinations.length === 0) return undefined;
  const { path, ...spis } = facts;
  const remote = natDetectionHash({ ...spis, end: path.remote });
  const local = natDetectionHash({ ...spis, end: path.local });
  return {
    isBehindNat: !destinations.some(({ data }) => equal(data, local)),
    isPeerBehindNat: !sources.some(({ data }) => equal(data, remote)),
  };
}

const SHA1_LENGTH = 20;
