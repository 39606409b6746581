import type { ChildSaStatus, EngineStatus, IkeSaStatus } from "../engine/status.ts";
import { PlatformError } from "../errors/index.ts";
import type { MachineCounters, NegotiationFacts } from "./story.ts";

/** The negotiation as the client's engine reports it. Throws PlatformError when it has no child SA. */
export function negotiationOf(
  client: EngineStatus,
  { ikeMessages }: { readonly ikeMessages: number },
): NegotiationFacts {
  const { ikeSa, child } = saOf(client);
  return {
    ms: ikeSa.negotiationMs,
    ikeMessages,
    ikeProposal: ikeSa.proposal,
    initiatorSpi: ikeSa.initiatorSpi,
    responderSpi: ikeSa.responderSpi,
    clientIdentity: ikeSa.local.identity,
    gatewayIdentity: ikeSa.remote.identity,
    espProposal: child.proposal,
    spiToGateway: child.outboundSpi,
    spiToClient: child.inboundSpi,
    encapsulationPort: ikeSa.remote.port,
    clientSelectors: child.local,
    gatewaySelectors: child.remote,
  };
}

/** Counters of a machine with one child SA. */
export function countersOf(status: EngineStatus): MachineCounters {
  const { child } = saOf(status);
  return { inbound: child.inbound, outbound: child.outbound, drops: status.dataPlane.drops };
}

/** IKE SAs that a machine still knows, with or without child SAs. */
export function saCountOf(status: EngineStatus): number {
  return status.connections.filter(({ state }) => state !== "down").length;
}

function saOf(status: EngineStatus): { readonly ikeSa: IkeSaStatus; readonly child: ChildSaStatus } {
  const connection = status.connections[0];
  const ikeSa = connection?.ikeSa;
  const child = ikeSa?.children[0];
  if (ikeSa === undefined || child === undefined) {
    const why = connection?.lastError ?? "there is no child SA";
    throw new PlatformError(`the tunnel is not up: ${why}`, { code: "NO_TUNNEL" });
  }
  return { ikeSa, child };
}
