import { parseAddress } from "../bytes/ip-address.ts";
import { ConfigurationAttribute, ConfigurationType, NotifyType } from "../iana/ikev2-parameters.ts";
import type { ConnectionPolicy } from "../policy/connection.ts";
import { buildInternalReply, readInternalReply } from "../policy/internal-configuration/reply.ts";
import { buildInternalRequest, readInternalRequest } from "../policy/internal-configuration/request.ts";
import { selectorsFromPrefixes } from "../policy/traffic-selectors.ts";
import type { Payload, PayloadOf } from "../wire/payloads/payload.ts";
import type { TrafficSelector } from "../wire/payloads/traffic-selector.ts";
import { reportChildRefusal } from "./child-sa.ts";
import type { IkeSa } from "./ike-sa.ts";
import { accountOf, deviceOf } from "./uniqueness.ts";

// Addresses within a remote network, RFC 7296 section 2.19. Who gets one has it for as long as its IKE SA lives, however often that is
// rekeyed, and its child SAs carry nothing from or to any other address.

// ---- Gateway ------------------------------------------------------------------------------------------------

export type Gift =
  /** CP(CFG_REPLY), or nothing where nobody asks and nothing is given. */
  | { readonly kind: "given"; readonly connection: ConnectionPolicy; readonly payloads: readonly Payload[] }
  /** There is no child SA without an address. */
  | { readonly kind: "refused"; readonly connection: ConnectionPolicy; readonly notifyType: number };

/** Answers the peer's CFG_REQUEST. The connection of the answer is the peer's own: it names its addresses alone. */
export function giveAddresses(
  ikeSa: IkeSa,
  connection: ConnectionPolicy,
  payloads: readonly Payload[],
): Gift {
  const { gives } = connection;
  if (gives === undefined) return { kind: "given", connection, payloads: [] };
  const asked = configurationIn(payloads, ConfigurationType.CFG_REQUEST);
  if (asked === undefined) {
    return refuse(ikeSa, connection, {
      notifyType: NotifyType.FAILED_CP_REQUIRED,
      message: "the peer asks for no address, and goes nowhere without one",
    });
  }
  const read = readInternalRequest(asked);
  const lease =
    read.kind === "request"
      ? ikeSa.machine.addresses.assign({
          connection: connection.name,
          user: accountOf(ikeSa),
          device: deviceOf(ikeSa),
          wanted: { ...read.request, ...(ikeSa.grants?.address && { fixed: [ikeSa.grants.address] }) },
        })
      : read.reason;
  if (read.kind === "refused" || typeof lease === "string") {
    return refuse(ikeSa, connection, {
      notifyType: NotifyType.INTERNAL_ADDRESS_FAILURE,
      message: `no address for the peer: ${String(lease)}`,
    });
  }
  ikeSa.lease = lease;
  const { addresses } = lease;
  const reply = buildInternalReply({ request: read.request, configuration: { ...gives, addresses } });
  const isWindows = asked.attributes.some(({ type }) => type === ConfigurationAttribute.INTERNAL_IP4_SERVER);
  const own = limitedTo(connection, "remote", addresses);
  return {
    kind: "given",
    connection: isWindows ? reachingRoutes(own) : own,
    payloads: [{ kind: "configuration", critical: false, ...reply }],
  };
}

/** Windows asks for no INTERNAL_IP4_SUBNET; what it asks instead goes through the tunnel, to the broadcast address. */
function reachingRoutes(connection: ConnectionPolicy): ConnectionPolicy {
  const { asksRoutesAt = [], children } = connection;
  const widened = children.map((child) => ({ ...child, local: [...child.local, ...asksRoutesAt] }));
  return { ...connection, children: widened };
}

function refuse(
  ikeSa: IkeSa,
  connection: ConnectionPolicy,
  { notifyType, message }: { readonly notifyType: number; readonly message: string },
): Gift {
  const child = connection.children.map(({ name }) => name).join(", ");
  reportChildRefusal(ikeSa, { child, notifyType, message });
  return { kind: "refused", connection: { ...connection, children: [] }, notifyType };
}

/** The IKE SA is over, or another one has taken over what it has. */
export function releaseAddresses(ikeSa: IkeSa): void {
  const { lease, machine } = ikeSa;
  ikeSa.lease = undefined;
  if (lease !== undefined) machine.addresses.release(lease);
}

// ---- Client -------------------------------------------------------------------------------------------------

export function requestAddresses({ asks }: ConnectionPolicy): readonly Payload[] {
  if (asks === undefined) return [];
  return [{ kind: "configuration", critical: false, ...buildInternalRequest(asks) }];
}

/** Takes the CFG_REPLY. Returns why we cannot go on, or undefined. */
export function takeAddresses(
  ikeSa: IkeSa,
  connection: ConnectionPolicy,
  payloads: readonly Payload[],
): string | undefined {
  if (connection.asks === undefined) return undefined;
  const reply = configurationIn(payloads, ConfigurationType.CFG_REPLY);
  if (reply === undefined) return "the peer gives us no address";
  const read = readInternalReply(reply);
  if (read.kind === "refused") return `the peer's configuration makes no sense: ${read.reason}`;
  const { configuration } = read;
  if (configuration.addresses.length === 0) return "the peer gives us no address";
  ikeSa.configuration = configuration;
  ikeSa.connection = limitedTo(connection, "local", configuration.addresses);
  ikeSa.machine.emit({ kind: "configured", connection: connection.name, configuration });
  return undefined;
}

/** What the peer's network has given us holds no more, unless another IKE SA with it goes on. */
export function dropConfiguration(ikeSa: IkeSa): void {
  const { configuration, connection, machine } = ikeSa;
  if (configuration === undefined || connection === undefined) return;
  ikeSa.configuration = undefined;
  const goesOn = machine.ikeSasOf(connection.name).some((other) => other.configuration !== undefined);
  if (!goesOn) machine.emit({ kind: "unconfigured", connection: connection.name });
}

// ---- Both ---------------------------------------------------------------------------------------------------

function configurationIn(payloads: readonly Payload[], type: number): PayloadOf<"configuration"> | undefined {
  return payloads.find(
    (payload): payload is PayloadOf<"configuration"> =>
      payload.kind === "configuration" && payload.configurationType === type,
  );
}

/** The connection with one side's addresses in the place of all that it may have. */
function limitedTo(
  connection: ConnectionPolicy,
  side: "local" | "remote",
  addresses: readonly string[],
): ConnectionPolicy {
  const selectors: readonly TrafficSelector[] = selectorsFromPrefixes(addresses.map(hostPrefix));
  return { ...connection, children: connection.children.map((child) => ({ ...child, [side]: selectors })) };
}

function hostPrefix(address: string): string {
  return `${address}/${parseAddress(address)?.length === 16 ? 128 : 32}`;
}
