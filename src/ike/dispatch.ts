import { WireError } from "../errors/index.ts";
import { ExchangeType, NotifyType, nameOf, ProtocolId } from "../iana/ikev2-parameters.ts";
import type { Path } from "../platform/address.ts";
import type { Payload, PayloadOf } from "../wire/payloads/payload.ts";
import { type Answer, nonsense } from "./answer.ts";
import { confirmDeletion } from "./child-sa-deletion.ts";
import { peerAlive } from "./events.ts";
import { processCreateChildRequest } from "./exchanges/create-child-sa-request.ts";
import { processCreateChildResponse } from "./exchanges/create-child-sa-response.ts";
import { processAuthRequest } from "./exchanges/ike-auth-request.ts";
import { processAuthResponse } from "./exchanges/ike-auth-response.ts";
import { processFollowUpRequest, processFollowUpResponse } from "./exchanges/ike-followup-ke.ts";
import { processIntermediateRequest, processIntermediateResponse } from "./exchanges/ike-intermediate.ts";
import { processInformationalRequest, processInformationalResponse } from "./exchanges/informational.ts";
import { preferRival, processIkeRekeyResponse } from "./exchanges/rekey-ike-sa.ts";
import type { IkeSa } from "./ike-sa.ts";
import type { Incoming } from "./inbox.ts";
import { isUnanswered } from "./liveness.ts";
import {
  findError,
  findUnknownCritical,
  notify,
  notifyName,
  unsupportedCriticalPayload,
} from "./payloads.ts";
import type { OutstandingRequest } from "./window.ts";

/** Every request gets one answer (RFC 7296 section 2.1), whatever is in it. */
export function processRequest(
  ikeSa: IkeSa,
  { header, payloads, text }: Incoming,
  { path, now }: { readonly path: Path; readonly now: number },
): void {
  const { exchangeType, messageId } = header;
  if (!(payloads instanceof WireError)) ikeSa.outbox.heedWindow(payloads);
  const answer = answerTo(ikeSa, { exchangeType, messageId, payloads, text, path, now });
  if (answer === "busy") {
    ikeSa.drop("loginPutOff", "too many logins are under way", path, now);
    return;
  }
  if (answer === "later") {
    ikeSa.outbox.responses.defer(messageId);
    return;
  }
  ikeSa.outbox.answer({ exchangeType, messageId, payloads: answer.payloads });
  if (answer.closing !== undefined) ikeSa.close(answer.closing, now);
  else if (exchangeType === ExchangeType.IKE_AUTH) ikeSa.settle(now);
}

function answerTo(
  ikeSa: IkeSa,
  request: {
    readonly exchangeType: number;
    readonly messageId: number;
    readonly payloads: readonly Payload[] | WireError;
    readonly text: Uint8Array | undefined;
    readonly path: Path;
    readonly now: number;
  },
): Answer | "later" | "busy" {
  const { exchangeType, messageId, payloads, text, path, now } = request;
  if (payloads instanceof WireError) return nonsense(payloads.message);
  const critical = findUnknownCritical(payloads);
  if (critical !== undefined) return refuseCritical(ikeSa, critical);
  const isDeletion = payloads.some(
    (payload) => payload.kind === "delete" && payload.protocolId === ProtocolId.IKE,
  );
  if (ikeSa.predecessor !== undefined && !isDeletion) preferRival(ikeSa, now);
  switch (exchangeType) {
    case ExchangeType.IKE_INTERMEDIATE:
      if (text === undefined) return nonsense("IKE_INTERMEDIATE");
      return processIntermediateRequest(ikeSa, { payloads, text, messageId });
    case ExchangeType.IKE_AUTH:
      if (ikeSa.state.name === "authenticating")
        return processAuthRequest(ikeSa, { payloads, messageId, now });
      return nonsense("IKE_AUTH for an SA that is authenticated");
    case ExchangeType.INFORMATIONAL:
      if (ikeSa.state.name === "authenticating") return endOfLogin(payloads, isDeletion);
      return processInformationalRequest(ikeSa, { payloads, messageId, path, now });
    case ExchangeType.CREATE_CHILD_SA:
      return processCreateChildRequest(ikeSa, { payloads, messageId, now });
    case ExchangeType.IKE_FOLLOWUP_KE:
      return processFollowUpRequest(ikeSa, { payloads, messageId });
    default:
      return nonsense(`exchange type ${nameOf(ExchangeType, exchangeType)}`);
  }
}

/** RFC 7296 section 2.21.2: who is not convinced by the other side, or gives up, says so in an exchange of its own. */
function endOfLogin(payloads: readonly Payload[], isDeletion: boolean): Answer {
  const error = findError(payloads);
  if (error === undefined && !isDeletion) return nonsense("INFORMATIONAL before the end of the login");
  const reason = error === undefined ? "peer-deleted" : notifyName(error.notifyType);
  return { payloads: [], closing: { reason, message: `the peer does not go on with its login (${reason})` } };
}

/** RFC 7296 section 2.21.2: in IKE_AUTH it ends the SA, later only the exchange. */
function refuseCritical({ state }: IkeSa, critical: PayloadOf<"unknown">): Answer {
  const payloads = [unsupportedCriticalPayload(critical)];
  if (state.name !== "authenticating") return { payloads };
  const message = `the peer demands payload type ${critical.payloadType}, which we do not know`;
  return { payloads, closing: { reason: "UNSUPPORTED_CRITICAL_PAYLOAD", message } };
}

/** What an answer means depends on why we asked. */
export function processResponse(
  ikeSa: IkeSa,
  { header, payloads, text }: Incoming,
  { path, now }: { readonly path: Path; readonly now: number },
): void {
  const answered = ikeSa.outbox.requests.find(header.messageId);
  if (answered === undefined) return;
  ikeSa.outbox.stopRetransmitting(header.messageId);
  const fault = faultOf(payloads);
  if (fault !== undefined) ikeSa.breakOff(fault, now);
  if (payloads instanceof WireError || fault !== undefined) return;

  ikeSa.outbox.heedWindow(payloads);
  const { purpose, sentAt } = answered;
  noteRoundTrip(ikeSa, answered, now);
  ikeSa.mobility.answeredOn(path, now);
  const { mobility } = ikeSa.heir;
  switch (purpose.kind) {
    case "auth":
      processAuthResponse(ikeSa, { payloads, now });
      break;
    case "intermediate":
      if (text !== undefined) processIntermediateResponse(ikeSa, { ...purpose, payloads, text, now });
      break;
    case "liveness":
      if (purpose.isCommanded) ikeSa.machine.report(peerAlive(ikeSa, now - sentAt));
      ikeSa.mobility.noteMapping(payloads, now);
      processInformationalResponse(ikeSa, { payloads, now });
      if (isUnanswered(ikeSa, now)) ikeSa.prober.suspect(now);
      break;
    case "update-addresses":
      mobility.updated(purpose.update, { payloads, path, now });
      processInformationalResponse(ikeSa, { payloads, now });
      break;
    case "tell-addresses":
      mobility.told();
      processInformationalResponse(ikeSa, { payloads, now });
      break;
    case "verify-path":
      mobility.verified(purpose.update, { payloads, now });
      processInformationalResponse(ikeSa, { payloads, now });
      break;
    case "path-probe": {
      const isFilled = answered.bare !== undefined;
      processInformationalResponse(ikeSa, { payloads, now });
      ikeSa.prober.answered(purpose.probe, { isFilled, isCutShort: purpose.isCutShort, now });
      break;
    }
    case "create-child-sa":
      processCreateChildResponse(ikeSa, { attempt: purpose.attempt, payloads, now });
      break;
    case "rekey-ike-sa":
      processIkeRekeyResponse(ikeSa, { attempt: purpose.attempt, payloads, now });
      break;
    case "follow-up":
      processFollowUpResponse(ikeSa, { ...purpose, payloads, now });
      break;
    case "redirect":
      processInformationalResponse(ikeSa, { payloads, now });
      break;
    case "delete-child-sas":
      confirmDeletion(ikeSa, purpose.inboundSpis);
      processInformationalResponse(ikeSa, { payloads, now });
      break;
    case "delete-ike-sa":
    case "authentication-failed":
      ikeSa.close({ reason: "terminated", message: "the peer has confirmed the deletion" }, now);
      break;
    case "init":
    case "resume":
      break;
  }
  ikeSa.outbox.sendNext(now);
}

/** Which of several transmissions is answered nobody knows; then it is no longer than since the first. */
function noteRoundTrip(
  ikeSa: IkeSa,
  { purpose, bare, sentAt, transmissions }: OutstandingRequest,
  now: number,
): void {
  if (purpose.kind === "path-probe" && bare === undefined) return;
  const sinceFirstMs = now - sentAt;
  ikeSa.roundTripMs = transmissions === 1 ? sinceFirstMs : Math.max(ikeSa.roundTripMs, sinceFirstMs);
}

/** Why no answer of ours can be made of it. */
function faultOf(payloads: readonly Payload[] | WireError) {
  if (payloads instanceof WireError) {
    const message = `the peer's answer makes no sense: ${payloads.message}`;
    return { reason: "INVALID_SYNTAX", message, notify: notify(NotifyType.INVALID_SYNTAX) };
  }
  const critical = findUnknownCritical(payloads);
  if (critical === undefined) return undefined;
  const message = `the peer's answer demands payload type ${critical.payloadType}, which we do not know`;
  const reason = "UNSUPPORTED_CRITICAL_PAYLOAD";
  return { reason, message, notify: unsupportedCriticalPayload(critical) };
}
