import { equal } from "../../bytes/constant-time.ts";
import { NotifyType, TransformType } from "../../iana/ikev2-parameters.ts";
import type { Path } from "../../platform/address.ts";
import { checkChosen } from "../../policy/select-proposal.ts";
import { additionalMethods, findTransform, offeredGroups } from "../../policy/transforms.ts";
import type { Message } from "../../wire/message.ts";
import type { PayloadOf } from "../../wire/payloads/payload.ts";
import { credentialFor, signatureHashesIn } from "../certificates.ts";
import { formatProposals, ikeSaNegotiated, refusalHeard } from "../events.ts";
import type { IkeSa } from "../ike-sa.ts";
import type { Initiating, KeyPair } from "../ike-sa-state.ts";
import { agree, authenticate, type InitResult } from "../key-agreement.ts";
import { RFC_LIMITS } from "../limits.ts";
import { detectNat } from "../nat-detection.ts";
import { find, findError, findNotify, findUnknownCritical, notifyName } from "../payloads.ts";
import { floatedPath } from "../ports.ts";
import { obeyFirstRedirect } from "../redirect/follow.ts";
import { outrunTwin } from "../streams.ts";
import { goOnToAuth } from "./ike-intermediate.ts";
import { generateKeyPair, isNonceFit, NO_NAT_TRAVERSAL, offered, sendInitRequest } from "./ike-sa-init.ts";

// What a responder answers to our IKE_SA_INIT (`ike-sa-init.ts`): all the ways in which it may say no, and yes.

interface InitResponse {
  /** Octets of our own, which the decoded message views. */
  readonly octets: Uint8Array;
  readonly message: Message;
  readonly path: Path;
  readonly now: number;
}

/** Nothing here is protected: what does not fit is dropped, and the request goes on being repeated. */
export function processInitResponse(ikeSa: IkeSa, received: InitResponse): void {
  const { message, path, now } = received;
  const { header, payloads } = message;
  const { state } = ikeSa;
  if (state.name !== "initiating") return;
  const { outstanding } = ikeSa.outbox.requests;
  const isAnswer = header.messageId === 0 && !header.isInitiator && outstanding !== undefined;
  if (!isAnswer || state.keyPair === undefined || state.request === undefined) {
    ikeSa.drop("outsideWindow", "IKE_SA_INIT response that nobody asked for", path, now);
    return;
  }
  if (path.stream !== ikeSa.path.stream) {
    ikeSa.drop("unexpected", "IKE_SA_INIT response by another connection", path, now);
    return;
  }
  if (findUnknownCritical(payloads) !== undefined) {
    ikeSa.drop("unexpected", "IKE_SA_INIT response with an unknown critical payload", path, now);
    return;
  }
  if (find(payloads, "security-association") !== undefined) {
    processAcceptance(ikeSa, { ...received, keyPair: state.keyPair, request: state.request });
    return;
  }

  if (findNotify(payloads, NotifyType.REDIRECT) !== undefined) {
    const fault = obeyFirstRedirect(ikeSa, payloads, now);
    if (fault === "dropped") ikeSa.drop("unexpected", "REDIRECT that is not for us", path, now);
    else if (fault !== undefined) rememberHint(ikeSa, fault, now);
    return;
  }
  const cookie = findNotify(payloads, NotifyType.COOKIE);
  if (cookie !== undefined) {
    obeyCookie(ikeSa, cookie.data, received);
    return;
  }
  const error = findError(payloads);
  if (error?.notifyType === NotifyType.INVALID_KE_PAYLOAD) obeyInvalidKe(ikeSa, error.data, received);
  else if (error !== undefined) rememberHint(ikeSa, refusalOf(ikeSa, error), now);
  else ikeSa.drop("unexpected", "IKE_SA_INIT response without SA", path, now);
}

/** RFC 7296 section 2.6: the same request once more, with the cookie in front. */
function obeyCookie(ikeSa: IkeSa, data: Uint8Array, { path, now }: InitResponse): void {
  const { state } = ikeSa;
  if (state.name !== "initiating") return;
  const isFit = data.length > 0 && data.length <= RFC_LIMITS.cookieLengthMax;
  const isNew = state.cookie === undefined || !equal(state.cookie, data);
  if (!isFit || !isNew || state.restarts >= ikeSa.machine.limits.initRestartCount) {
    ikeSa.drop("unexpected", "cookie that is not needed", path, now);
    return;
  }
  // Who asks for a cookie has not refused.
  ikeSa.ignoreHint();
  const restarts = state.restarts + 1;
  sendInitRequest(ikeSa, { ...state, cookie: data.slice(), hint: undefined, restarts }, now);
}

/** RFC 7296 section 1.3: the same offer once more, with a key exchange of the group that the responder wants, if we offered it. */
function obeyInvalidKe(ikeSa: IkeSa, data: Uint8Array, { path, now }: InitResponse): void {
  const { state } = ikeSa;
  if (state.name !== "initiating") return;
  const group = data.length === 2 ? (data[0]! << 8) | data[1]! : 0;
  const isOffered = offeredGroups(offered(ikeSa)).includes(group);
  if (!isOffered && data.length === 2) {
    const message = `the peer wants key exchange group ${group}, which we do not offer`;
    rememberHint(ikeSa, { reason: "INVALID_KE_PAYLOAD", message }, now);
    return;
  }
  const isNew = !state.groupsTried.includes(group);
  if (!isOffered || !isNew || state.restarts >= ikeSa.machine.limits.initRestartCount) {
    ikeSa.drop("unexpected", `INVALID_KE_PAYLOAD for group ${group}`, path, now);
    return;
  }
  ikeSa.outbox.stopRetransmitting(0);
  ikeSa.ignoreHint();
  ikeSa.state = {
    ...state,
    hint: undefined,
    group,
    keyPair: undefined,
    request: undefined,
    groupsTried: [...state.groupsTried, group],
    restarts: state.restarts + 1,
  };
  generateKeyPair(ikeSa);
}

function refusalOf(ikeSa: IkeSa, error: PayloadOf<"notify">): NonNullable<Initiating["hint"]> {
  const reason = notifyName(error.notifyType);
  if (error.notifyType !== NotifyType.NO_PROPOSAL_CHOSEN)
    return { reason, message: `the peer answered ${reason}` };
  const proposals = formatProposals(offered(ikeSa));
  const message = `the peer accepts none of our IKE proposals (${reason}); offered ${proposals.join(", ")}`;
  return { reason, message, offered: proposals };
}

/** RFC 7296 section 2.21.1: anybody could have sent it, so a better answer has a moment to arrive. */
function rememberHint(ikeSa: IkeSa, hint: NonNullable<Initiating["hint"]>, now: number): void {
  const { state } = ikeSa;
  if (state.name !== "initiating" || state.hint !== undefined) return;
  ikeSa.state = { ...state, hint };
  ikeSa.machine.report(refusalHeard(ikeSa, hint.reason));
  ikeSa.awaitBetterAnswer(now);
}

/** No better answer came. */
export function giveUpOnHint(ikeSa: IkeSa, now: number): void {
  const { state } = ikeSa;
  if (state.name === "initiating" && state.hint !== undefined) ikeSa.close(state.hint, now);
}

function processAcceptance(
  ikeSa: IkeSa,
  accepted: InitResponse & { readonly keyPair: KeyPair; readonly request: Uint8Array },
): void {
  const { message, path, now, keyPair, request } = accepted;
  const { header, payloads } = message;
  const { state, machine } = ikeSa;
  if (state.name !== "initiating") return;
  const sa = find(payloads, "security-association");
  const ke = find(payloads, "key-exchange");
  const nonce = find(payloads, "nonce");
  if (sa === undefined || ke === undefined || nonce === undefined) {
    ikeSa.drop("unexpected", "IKE_SA_INIT response without KE or Nonce", path, now);
    return;
  }
  const verdict = checkChosen({ offered: offered(ikeSa), answer: sa.proposals });
  if (verdict.kind === "refused") {
    rememberHint(
      ikeSa,
      { reason: "NO_PROPOSAL_CHOSEN", message: `the peer chose what we did not offer: ${verdict.reason}` },
      now,
    );
    return;
  }
  const { proposal } = verdict;
  const hasIntermediate = findNotify(payloads, NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED) !== undefined;
  const isReflected = equal(nonce.nonce, state.ni) || equal(ke.data, keyPair.publicValue);
  const isSound =
    header.responderSpi !== 0n &&
    header.responderSpi !== ikeSa.localSpi &&
    ke.group === state.group &&
    findTransform(proposal, TransformType.KE)?.id === state.group &&
    isNonceFit(nonce.nonce, proposal) &&
    (additionalMethods(proposal).length === 0 || hasIntermediate) &&
    !isReflected;
  if (!isSound) {
    ikeSa.drop("unexpected", "IKE_SA_INIT response that contradicts itself or our request", path, now);
    return;
  }
  const { encapsulation = "auto" } = ikeSa.connection ?? {};
  const spis = { initiatorSpi: ikeSa.localSpi, responderSpi: header.responderSpi };
  const nat = encapsulation === "raw" ? undefined : detectNat(payloads, { ...spis, path });
  const isInUdp = path.stream === undefined;
  const isOnIkePort = isInUdp && ikeSa.path.local.port !== machine.ports.natTraversal;
  if (nat === undefined && encapsulation === "udp" && isOnIkePort) {
    rememberHint(ikeSa, { reason: "protocol-error", message: NO_NAT_TRAVERSAL }, now);
    return;
  }

  const hasUsePpk = findNotify(payloads, NotifyType.USE_PPK) !== undefined;
  if (!hasUsePpk && ikeSa.connection?.ppk?.isRequired === true) {
    rememberHint(ikeSa, { reason: "protocol-error", message: "the peer uses no PPK, and we have to" }, now);
    return;
  }

  ikeSa.outbox.stopRetransmitting(0);
  ikeSa.ignoreHint();
  ikeSa.hasBothUsePpk = hasUsePpk && ikeSa.connection?.ppk !== undefined;
  ikeSa.peerSpi = header.responderSpi;
  ikeSa.isBehindNat = nat?.isBehindNat ?? false;
  ikeSa.isPeerBehindNat = nat?.isPeerBehindNat ?? false;
  ikeSa.traversesNats = nat !== undefined;
  ikeSa.supportsFragmentation = findNotify(payloads, NotifyType.IKEV2_FRAGMENTATION_SUPPORTED) !== undefined;
  ikeSa.signatureHashes = signatureHashesIn(payloads);
  const hashes = ikeSa.signatureHashes;
  ikeSa.credential = ikeSa.connection && credentialFor(ikeSa.connection, { payloads, hashes });
  ikeSa.supportsChildless = findNotify(payloads, NotifyType.CHILDLESS_IKEV2_SUPPORTED) !== undefined;
  if (isInUdp) {
    // Where the answer arrived is our address; the peer's is what we were told, since this message proves nothing.
    const asked = { local: path.local, remote: ikeSa.path.remote };
    // Without NAT traversal IKE stays on its port, which says that ESP goes straight over IP (RFC 7296 section 2.23).
    ikeSa.path = nat === undefined ? asked : floatedPath(asked, machine.ports);
  }
  outrunTwin(ikeSa, now);
  ikeSa.state = { name: "agreeing" };
  const init: InitResult = {
    proposal,
    ni: state.ni,
    nr: nonce.nonce,
    initRequest: request,
    initResponse: accepted.octets,
  };
  agree(
    ikeSa,
    { group: state.group, privateKey: keyPair.privateKey, peerPublicValue: ke.data },
    (shared, then) => {
      authenticate(ikeSa, init, shared);
      machine.report(ikeSaNegotiated(ikeSa, { proposal, ms: then - ikeSa.createdAt }));
      goOnToAuth(ikeSa, then);
    },
  );
}
