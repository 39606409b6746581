import { NotifyType, ProtocolId } from "../../iana/ikev2-parameters.ts";
import type { Path } from "../../platform/address.ts";
import type { Payload } from "../../wire/payloads/payload.ts";
import type { Answer, Closing } from "../answer.ts";
import { giveUpChild } from "../child-sa-deletion.ts";
import { takeToken, tokenFor } from "../crash-detection.ts";
import type { IkeSa } from "../ike-sa.ts";
import { decodeSpi, deleteChildSas, findNotify, invalidSpiOf } from "../payloads.ts";
import { heedAuthLifetime } from "../reauthentication.ts";
import { obeyLateRedirect } from "../redirect/follow.ts";
import { grantTicket, takeTicket } from "../resumption/tickets.ts";
import { rekeyChild } from "./create-child-sa.ts";

// INFORMATIONAL, RFC 7296 section 1.4:
//
//   --> HDR, SK { [N], [D], ... }          nothing at all asks whether the peer is there
//   <-- HDR, SK { [N], [D], ... }

interface Informational {
  readonly payloads: readonly Payload[];
  readonly now: number;
}

/** Every request is answered; what we do not know in it is passed over. */
export function processInformationalRequest(
  ikeSa: IkeSa,
  request: Informational & { readonly messageId: number; readonly path: Path },
): Answer {
  const { payloads, now } = request;
  const closing = endOf(payloads);
  if (closing !== undefined) return { payloads: [], closing };

  // RFC 7296 section 1.5: what we send there is lost. In a new SA it is not.
  const lost = invalidSpiOf(payloads);
  for (const childSa of ikeSa.heir.childSas) if (childSa.outboundSpi === lost) rekeyChild(childSa, now);
  heedAuthLifetime(ikeSa.heir, payloads, now);
  takeToken(ikeSa, payloads);
  obeyLateRedirect(ikeSa.heir, payloads, now);
  const removed: number[] = [];
  rememberUnknown(ikeSa, payloads);
  for (const childSa of named(ikeSa, payloads)) {
    // RFC 7296 section 2.25.1: what we are deleting ourselves is not named in the answer.
    if (!childSa.isDeleting) removed.push(childSa.inboundSpi);
    giveUpChild(childSa.owner, childSa, now);
  }
  // RFC 7296 section 1.4.1: the answer names the other half of each pair. When both sides delete at once we have removed
  // the pair already and do not name it again.
  const deletion = removed.length > 0 ? [deleteChildSas(removed)] : [];
  const ticket = grantTicket(ikeSa, payloads, now);
  return {
    payloads: [...deletion, ...ikeSa.mobility.answer(request), ...tokenFor(ikeSa, payloads), ...ticket],
  };
}

/** The other half of what we deleted is gone already; an error in an answer to nothing but our own request is fatal. */
export function processInformationalResponse(ikeSa: IkeSa, { payloads, now }: Informational): void {
  takeToken(ikeSa, payloads);
  takeTicket(ikeSa, payloads, now);
  if (findNotify(payloads, NotifyType.INVALID_SYNTAX) === undefined) return;
  // RFC 7296 section 2.21.3.
  ikeSa.close({ reason: "INVALID_SYNTAX", message: "the peer calls our request nonsense" }, now);
}

/** Whether the request ends the IKE SA. */
function endOf(payloads: readonly Payload[]): Closing | undefined {
  if (findNotify(payloads, NotifyType.AUTHENTICATION_FAILED) !== undefined) {
    return { reason: "AUTHENTICATION_FAILED", message: "the peer does not accept our authentication" };
  }
  const isDeleted = payloads.some(
    (payload) => payload.kind === "delete" && payload.protocolId === ProtocolId.IKE,
  );
  return isDeleted ? { reason: "peer-deleted", message: "the peer has deleted it" } : undefined;
}

/** Our child SAs whose outbound SPI, the peer's inbound one, is in a Delete payload. */
function named(ikeSa: IkeSa, payloads: readonly Payload[]) {
  const spis = deletedSpis(payloads);
  return ikeSa.heir.childSas.filter(({ outboundSpi }) => spis.has(outboundSpi));
}

/** What the peer has made for us and deleted again, before we have its answer. */
function rememberUnknown({ heir }: IkeSa, payloads: readonly Payload[]): void {
  const asked = [...heir.childAttempts].filter(({ offer }) => offer !== undefined);
  if (asked.length === 0) return;
  const unknown = deletedSpis(payloads);
  for (const { outboundSpi } of heir.childSas) unknown.delete(outboundSpi);
  for (const attempt of asked) {
    attempt.deletedSpis = [...attempt.deletedSpis, ...unknown].slice(-heir.machine.limits.childSaCount);
  }
}

function deletedSpis(payloads: readonly Payload[]): Set<number> {
  const spis = new Set<number>();
  for (const payload of payloads) {
    if (payload.kind !== "delete" || payload.protocolId !== ProtocolId.ESP) continue;
    for (const spi of payload.spis) spis.add(decodeSpi(spi));
  }
  return spis;
}
