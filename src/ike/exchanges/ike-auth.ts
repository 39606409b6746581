import { pskAuth, verifyPskAuth } from "../../auth/psk.ts";
import { identificationBody, signedOctets } from "../../auth/signed-octets.ts";
import { AuthenticationMethod, ExchangeType, NotifyType, nameOf } from "../../iana/ikev2-parameters.ts";
import type { ConnectionPolicy, Identity } from "../../policy/connection.ts";
import { formatIdentity, sameIdentity } from "../../policy/identity.ts";
import { findCandidates, findPadEntry, presharedKeyOf } from "../../policy/pad.ts";
import { isAllowed } from "../../policy/select-proposal.ts";
import type { Payload, PayloadOf } from "../../wire/payloads/payload.ts";
import type { Answer, Closing } from "../answer.ts";
import { modeOf } from "../child-mode.ts";
import {
  acceptChild,
  buildChildOffer,
  type ChildKeying,
  offerChild,
  processChildAnswer,
} from "../child-sa.ts";
import { formatEnd, ikeSaEstablished } from "../events.ts";
import type { IkeSa } from "../ike-sa.ts";
import type { Authenticating } from "../ike-sa-state.ts";
import { find, findError, findNotify, notify, notifyName } from "../payloads.ts";
import { addressesOf } from "../ports.ts";
import { suiteOf } from "../proposals.ts";
import { haveSameEnds } from "../uniqueness.ts";
import { createChild } from "./create-child-sa.ts";

// IKE_AUTH with pre-shared keys, RFC 7296 sections 1.2 and 2.15:
//
//   --> HDR, SK { IDi, [N(INITIAL_CONTACT)], IDr, AUTH, SAi2, TSi, TSr }
//   <-- HDR, SK { IDr, AUTH, SAr2, TSi, TSr }                              or { IDr, AUTH, N } without a child SA
//
// Without SAi2, TSi and TSr it makes the IKE SA alone (RFC 6023); children come by CREATE_CHILD_SA.
//
//   <-- HDR, SK { N(AUTHENTICATION_FAILED) }

interface AuthMessage {
  readonly payloads: readonly Payload[];
  readonly now: number;
}

/**
 * What became of one step of proving who the peer is. "need-more" is for methods that take several round trips; the SA
 * stays as it is until the next IKE_AUTH message.
 */
type AuthenticationStep =
  | { readonly kind: "done"; readonly connection: ConnectionPolicy; readonly identity: Identity }
  | { readonly kind: "need-more"; readonly payloads: readonly Payload[] }
  | { readonly kind: "refuse"; readonly notify: PayloadOf<"notify">; readonly closing: Closing };

// ---- Initiator ----------------------------------------------------------------------------------------------

export function sendAuthRequest(ikeSa: IkeSa, now: number): void {
  const { state, connection } = ikeSa;
  const { trigger } = ikeSa;
  const policy = connection?.children.find(({ name }) => name === trigger?.child) ?? connection?.children[0];
  if (state.name !== "authenticating" || connection === undefined || policy === undefined) return;
  const isChildless = connection.isChildless === true && ikeSa.supportsChildless;
  const offer = isChildless ? undefined : offerChild(ikeSa, policy);
  if (offer === undefined && !isChildless) {
    ikeSa.close({ reason: "protocol-error", message: "the data plane has no SPI left" }, now);
    return;
  }
  const sentInitialContact = isFirstContact(ikeSa);
  ikeSa.state = { ...state, offer, sentInitialContact };
  const initialContact = sentInitialContact ? [notify(NotifyType.INITIAL_CONTACT)] : [];
  const payloads: readonly Payload[] = [
    identification("identification-initiator", connection.local.identity),
    ...initialContact,
    ...wantedIdentity(connection),
    ownAuth(ikeSa, state, connection),
    ...(offer === undefined ? [] : buildChildOffer(offer)),
  ];
  const purpose = { kind: "auth" } as const;
  ikeSa.outbox.request({ purpose, exchangeType: ExchangeType.IKE_AUTH, build: () => payloads }, now);
}

/** IDr: whom we want to talk to, where we know a name. */
function wantedIdentity({ remote }: ConnectionPolicy): readonly Payload[] {
  return remote.identity === undefined ? [] : [identification("identification-responder", remote.identity)];
}

/** RFC 7296 section 2.4: we may say so only when we know of no other SA with this peer, not even of one in the making. */
function isFirstContact(ikeSa: IkeSa): boolean {
  return !ikeSa.machine.ikeSas.some((other) => {
    if (other === ikeSa || other.state.name === "closed") return false;
    if (other.connection !== undefined) return haveSameEnds(other, ikeSa);
    return other.path.remote.address === ikeSa.path.remote.address;
  });
}

export function processAuthResponse(ikeSa: IkeSa, { payloads, now }: AuthMessage): void {
  const { state, connection } = ikeSa;
  if (state.name !== "authenticating" || connection === undefined) return;
  const error = findError(payloads);
  if (find(payloads, "authentication") === undefined && error !== undefined) {
    ikeSa.close(refusalByPeer(connection, error), now);
    return;
  }
  const step = authenticateResponder(ikeSa, { state, connection, payloads });
  if (step.kind === "refuse") ikeSa.breakOff({ ...step.closing, notify: step.notify }, now);
  if (step.kind !== "done") return;

  const { offer } = state;
  ikeSa.establish(now);
  ikeSa.machine.report(ikeSaEstablished(ikeSa, state.proposal));
  if (offer !== undefined) processChildAnswer(ikeSa, { offer, payloads, keying: state, now });
  ikeSa.forgetHandshake();
  ikeSa.settle(now);
  for (const policy of connection.children) {
    if (policy.name !== offer?.policy.name) createChild(ikeSa, policy, now);
  }
}

function refusalByPeer({ local, remote }: ConnectionPolicy, error: PayloadOf<"notify">): Closing {
  const reason = notifyName(error.notifyType);
  if (error.notifyType !== NotifyType.AUTHENTICATION_FAILED)
    return { reason, message: `the peer answered ${reason}` };
  const peer = remote.identity === undefined ? "" : ` and ${formatIdentity(remote.identity)}`;
  const names = `${formatIdentity(local.identity)}${peer}`;
  const message = `the peer answered ${reason}: it has another key, or no connection, for ${names}`;
  return { reason, message };
}

function authenticateResponder(
  ikeSa: IkeSa,
  facts: {
    readonly state: Authenticating;
    readonly connection: ConnectionPolicy;
    readonly payloads: readonly Payload[];
  },
): AuthenticationStep {
  const { state, connection, payloads } = facts;
  const id = find(payloads, "identification-responder");
  const auth = find(payloads, "authentication");
  if (id === undefined || auth === undefined) return refuse("the peer's answer has no IDr or no AUTH");
  const identity = identityOf(id);
  const expected = connection.remote.identity;
  if (expected !== undefined && !sameIdentity(identity, expected)) {
    return refuse(
      `the peer says it is ${formatIdentity(identity)}, and we expect ${formatIdentity(expected)}`,
    );
  }
  const fault = faultOfAuth(ikeSa, { state, identity, auth, psk: presharedKeyOf(connection) });
  return fault === undefined ? { kind: "done", connection, identity } : refuse(fault);
}

// ---- Responder ----------------------------------------------------------------------------------------------

export function processAuthRequest(ikeSa: IkeSa, { payloads, now }: AuthMessage): Answer {
  const { state, machine } = ikeSa;
  const sa = find(payloads, "security-association");
  const tsi = find(payloads, "traffic-selectors-initiator");
  const tsr = find(payloads, "traffic-selectors-responder");
  const isChildless = sa === undefined && tsi === undefined && tsr === undefined;
  const isWhole = sa !== undefined && tsi !== undefined && tsr !== undefined;
  if (state.name !== "authenticating" || !(isChildless || isWhole)) {
    const message = "the peer's IKE_AUTH has no SA, TSi or TSr";
    return { payloads: [notify(NotifyType.INVALID_SYNTAX)], closing: { reason: "INVALID_SYNTAX", message } };
  }
  const step = authenticateInitiator(ikeSa, { state, payloads });
  if (step.kind === "refuse") return { payloads: [step.notify], closing: step.closing };
  if (step.kind === "need-more") return { payloads: step.payloads };

  const { connection, identity } = step;
  ikeSa.connection = connection;
  ikeSa.remoteIdentity = identity;
  ikeSa.receivedInitialContact = findNotify(payloads, NotifyType.INITIAL_CONTACT) !== undefined;
  const proof = ownAuth(ikeSa, state, connection);
  ikeSa.establish(now);
  machine.report(ikeSaEstablished(ikeSa, state.proposal));
  const keying: ChildKeying = state;
  const child = isWhole
    ? acceptChild(ikeSa, { connection, sa, tsi, tsr, mode: modeOf(payloads), keying, now })
    : [];
  ikeSa.forgetHandshake();
  const idr = identification("identification-responder", connection.local.identity);
  return { payloads: [idr, proof, ...child] };
}

function authenticateInitiator(
  ikeSa: IkeSa,
  facts: { readonly state: Authenticating; readonly payloads: readonly Payload[] },
): AuthenticationStep {
  const { state, payloads } = facts;
  const { machine, path } = ikeSa;
  const id = find(payloads, "identification-initiator");
  const wanted = find(payloads, "identification-responder");
  const auth = find(payloads, "authentication");
  if (id === undefined) return refuse("the peer does not say who it is");
  const identity = identityOf(id);
  const name = formatIdentity(identity);
  if (auth === undefined) return refuse(`${name} wants EAP, and we have pre-shared keys only`);

  // IKE_SA_INIT was agreed on with nobody in particular; the peer's own connection has to allow it too.
  const candidates = findCandidates(machine.connections, addressesOf(path)).filter(({ ikeProposals }) =>
    isAllowed(state.proposal, ikeProposals),
  );
  const requested = wanted && identityOf(wanted);
  const { connection, presharedKey: psk } = findPadEntry({ candidates, peer: identity, requested });
  // A peer that nobody knows takes the same way, so that time does not tell who is known.
  const fault = faultOfAuth(ikeSa, { state, identity, auth, psk });
  if (connection === undefined) {
    const us = requested === undefined ? "us" : formatIdentity(requested);
    return refuse(`no connection for ${name} at ${formatEnd(path.remote)} with ${us}`);
  }
  if (fault !== undefined) return refuse(`${fault} (connection ${connection.name})`);
  return { kind: "done", connection, identity };
}

// ---- Both ---------------------------------------------------------------------------------------------------

/** Our AUTH: over our own IKE_SA_INIT message, the peer's nonce and our identity (RFC 7296 section 2.15). */
function ownAuth(ikeSa: IkeSa, state: Authenticating, connection: ConnectionPolicy): Payload {
  const { prfId } = suiteOf(state.proposal);
  const isInitiator = ikeSa.role === "initiator";
  const octets = signedOctets({
    message: isInitiator ? state.initRequest : state.initResponse,
    peerNonce: isInitiator ? state.nr : state.ni,
    prfId,
    skP: isInitiator ? state.keys.skPi : state.keys.skPr,
    identificationBody: identificationBody(connection.local.identity),
  });
  return {
    kind: "authentication",
    critical: false,
    method: AuthenticationMethod.SHARED_KEY_MESSAGE_INTEGRITY_CODE,
    data: pskAuth({ prfId, psk: connection.local.authentication.key, signedOctets: octets }),
  };
}

/** What is wrong with the peer's AUTH, or undefined. */
function faultOfAuth(
  ikeSa: IkeSa,
  facts: {
    readonly state: Authenticating;
    readonly identity: Identity;
    readonly auth: PayloadOf<"authentication">;
    readonly psk: Uint8Array;
  },
): string | undefined {
  const { state, identity, auth, psk } = facts;
  const name = formatIdentity(identity);
  if (auth.method !== AuthenticationMethod.SHARED_KEY_MESSAGE_INTEGRITY_CODE) {
    return `${name} authenticates by ${nameOf(AuthenticationMethod, auth.method)}, and we have a pre-shared key`;
  }
  const { prfId } = suiteOf(state.proposal);
  const isInitiator = ikeSa.role === "initiator";
  const octets = signedOctets({
    message: isInitiator ? state.initResponse : state.initRequest,
    peerNonce: isInitiator ? state.ni : state.nr,
    prfId,
    skP: isInitiator ? state.keys.skPr : state.keys.skPi,
    identificationBody: identificationBody(identity),
  });
  const isRight = verifyPskAuth({ prfId, psk, signedOctets: octets, authentication: auth.data });
  return isRight ? undefined : `the pre-shared key of ${name} is not ours`;
}

function refuse(message: string): AuthenticationStep {
  return {
    kind: "refuse",
    notify: notify(NotifyType.AUTHENTICATION_FAILED),
    closing: { reason: "AUTHENTICATION_FAILED", message },
  };
}

function identification(
  kind: "identification-initiator" | "identification-responder",
  { type, data }: Identity,
): Payload {
  return { kind, critical: false, idType: type, data };
}

function identityOf(
  payload: PayloadOf<"identification-initiator"> | PayloadOf<"identification-responder">,
): Identity {
  return { type: payload.idType, data: payload.data };
}
