import { AuthenticationMethod, NotifyType } from "../../iana/ikev2-parameters.ts";
import type { ConnectionPolicy, Identity } from "../../policy/connection.ts";
import { formatIdentity } from "../../policy/identity.ts";
import { findCandidates, findPadEntry, presharedKeyOf } from "../../policy/pad.ts";
import { allowing } from "../../policy/select-proposal.ts";
import type { Payload, PayloadOf } from "../../wire/payloads/payload.ts";
import type { Answer } from "../answer.ts";
import { faultOfKeyedAuth } from "../auth-payload.ts";
import { credentialFor } from "../certificates.ts";
import { modeOf } from "../child-mode.ts";
import { acceptChild, type ChildKeying } from "../child-sa.ts";
import { guessClient } from "../client-guess.ts";
import { beginSession } from "../client-session.ts";
import { ownToken, takeToken } from "../crash-detection.ts";
import { certificateNoted, formatEnd, ikeSaEstablished, sentAway } from "../events.ts";
import type { IkeSa } from "../ike-sa.ts";
import type { Authenticating } from "../ike-sa-state.ts";
import { giveAddresses } from "../internal-addresses.ts";
import { wasTranslated } from "../mobility/notifications.ts";
import { find, findNotify, notify } from "../payloads.ts";
import { signatureJob, signerKinds } from "../peer-signature.ts";
import { addressesOf } from "../ports.ts";
import { choosePpk, dropPpkChoice, takePpkChoice } from "../ppk.ts";
import { authLifetime } from "../reauthentication.ts";
import { gatewayNotify } from "../redirect/notifications.ts";
import { elsewhere } from "../redirect/send-away.ts";
import { grantTicket } from "../resumption/tickets.ts";
import { isShared } from "../uniqueness.ts";
import { identification, identityOf, isAwaiting, ownProof, refuse } from "./ike-auth.ts";
import { beginLogin, processLoginRequest } from "./login-request.ts";
import { resumeSession } from "./resumed-auth.ts";

// The responder's side of IKE_AUTH (`ike-auth.ts`): who the peer is, then who we are, then the child SA.

interface AuthRequest {
  readonly payloads: readonly Payload[];
  readonly messageId: number;
  readonly now: number;
}

/** A peer that has been found in the configuration, on its way in. */
export interface Caller extends AuthRequest {
  readonly state: Authenticating;
  readonly connection: ConnectionPolicy;
  readonly identity: Identity;
}

/** "busy": nothing has been done about the request, which may come again. */
export function processAuthRequest(ikeSa: IkeSa, request: AuthRequest): Answer | "later" | "busy" {
  const { state } = ikeSa;
  const { payloads } = request;
  if (state.name !== "authenticating") return refused("the SA is authenticated");
  if (state.intermediate !== undefined && state.intermediate.remaining.length > 0) {
    return refused("the peer leaves out a key exchange that was agreed on");
  }
  const { eap } = state;
  if (eap !== undefined) return processLoginRequest(ikeSa, { ...request, state, eap });

  const [isChildless, isWhole] = [childOf(payloads) === "none", childOf(payloads) === "whole"];
  if (!isChildless && !isWhole) {
    const message = "the peer's IKE_AUTH has no SA, TSi or TSr";
    return { payloads: [notify(NotifyType.INVALID_SYNTAX)], closing: { reason: "INVALID_SYNTAX", message } };
  }
  if (wasTranslated(payloads, ikeSa.path)) {
    const message = "a NAT lies between, and the peer does not want any";
    const reason = "UNEXPECTED_NAT_DETECTED";
    return { payloads: [notify(NotifyType.UNEXPECTED_NAT_DETECTED)], closing: { reason, message } };
  }
  const id = find(payloads, "identification-initiator");
  if (id === undefined) return refused("the peer does not say who it is");
  const identity = identityOf(id);
  const { identityLength } = ikeSa.machine.limits;
  if (identity.data.length > identityLength)
    return refused(`the peer says who it is in ${identity.data.length} octets`);
  const wanted = find(payloads, "identification-responder");
  const initiator = { ...request, state, identity, requested: wanted && identityOf(wanted) };
  const { resumed } = state;
  return resumed === undefined
    ? authenticateInitiator(ikeSa, initiator)
    : resumeSession(ikeSa, { ...initiator, resumed });
}

/** The first request, as far as it has been looked at. */
export interface Initiator extends AuthRequest {
  readonly state: Authenticating;
  readonly identity: Identity;
  readonly requested: Identity | undefined;
}

function authenticateInitiator(ikeSa: IkeSa, request: Initiator): Answer | "later" | "busy" {
  const { state, payloads, identity, requested } = request;
  const { machine, path } = ikeSa;
  // IKE_SA_INIT was agreed on with nobody in particular; the peer's own connection has to allow it too.
  const candidates = allowing(
    state.proposal,
    findCandidates(machine.connections, addressesOf(path)),
    ({ ikeProposals }) => ikeProposals,
  );
  const { kind, connection } = findCaller({ candidates, peer: identity, requested, payloads });
  // A peer that nobody knows takes the same way, so that time does not tell who is known.
  const key = presharedKeyOf(connection);
  const choice = choosePpk(ikeSa, { state, connection, payloads, auth: find(payloads, "authentication") });
  if (choice.kind === "refused") return refused(`${formatIdentity(identity)}: ${choice.message}`);
  const { auth } = choice;
  const fault =
    auth !== undefined && kind === "psk"
      ? faultOfKeyedAuth(ikeSa, { state: choice.state, identity, auth, key, keyName: "pre-shared key" })
      : undefined;
  if (connection === undefined) return refused(unknown({ kind, identity, requested, candidates, ikeSa }));
  if (fault !== undefined) {
    dropPpkChoice(choice);
    return refused(`${fault} (connection ${connection.name})`);
  }
  const needsJob = kind !== "psk" || connection.local.authentication.kind !== "psk";
  if (needsJob && machine.hasTooManyLogins) {
    dropPpkChoice(choice);
    return "busy";
  }

  takePpkChoice(ikeSa, state, choice);
  const caller: Caller = { ...request, state: choice.state, connection };
  if (auth === undefined) return beginLogin(ikeSa, caller);
  return kind === "psk" ? admit(ikeSa, caller) : verifySignature(ikeSa, { ...caller, auth });
}

/** The connection for a peer that authenticates in this way. A signature may mean a certificate or a key that we have. */
function findCaller({
  payloads,
  ...facts
}: Omit<Parameters<typeof findPadEntry>[0], "kind"> & { readonly payloads: readonly Payload[] }): {
  readonly kind: AuthenticationKind;
  readonly connection: ConnectionPolicy | undefined;
} {
  const kinds = kindsOf(payloads);
  for (const kind of kinds) {
    const connection = findPadEntry({ ...facts, kind });
    if (connection !== undefined) return { kind, connection };
  }
  return { kind: kinds[0]!, connection: undefined };
}

type AuthenticationKind = "psk" | "certificate" | "raw-key" | "eap";

function kindsOf(payloads: readonly Payload[]): readonly AuthenticationKind[] {
  const auth = find(payloads, "authentication");
  if (auth === undefined) return ["eap"];
  return auth.method === AuthenticationMethod.SHARED_KEY_MESSAGE_INTEGRITY_CODE
    ? ["psk"]
    : signerKinds(payloads);
}

function unknown(facts: {
  readonly kind: AuthenticationKind;
  readonly identity: Identity;
  readonly requested: Identity | undefined;
  readonly candidates: readonly ConnectionPolicy[];
  readonly ikeSa: IkeSa;
}): string {
  const { kind, identity, requested, candidates, ikeSa } = facts;
  const name = formatIdentity(identity);
  const isPossible = candidates.some(({ remote }) =>
    remote.authentication.some((each) => each.kind === kind),
  );
  if (!isPossible && kind === "eap") return `${name} wants EAP, and no connection here has logins`;
  if (!isPossible && kind === "certificate")
    return `${name} has a certificate, and no connection here trusts any`;
  if (!isPossible && kind === "raw-key") return `${name} has a key, and no connection here knows any`;
  const us = requested === undefined ? "us" : formatIdentity(requested);
  return `no connection for ${name} at ${formatEnd(ikeSa.path.remote)} with ${us}`;
}

/** Chain and name, or the key, and the signature, away from here. */
function verifySignature(
  ikeSa: IkeSa,
  caller: Caller & { readonly auth: PayloadOf<"authentication"> },
): Answer | "later" {
  const { state, identity, messageId } = caller;
  const { machine } = ikeSa;
  const job = signatureJob(ikeSa, caller);
  if (job === undefined) return refused(`${formatIdentity(identity)} shows nothing that we could verify`);
  machine.authenticate(job, (result, now) => {
    if (!isAwaiting(ikeSa, state)) return;
    if (result.kind === "verified" && result.note !== undefined)
      machine.report(certificateNoted(ikeSa, result.note));
    const answer =
      result.kind === "verified"
        ? admit(ikeSa, { ...caller, now })
        : refused(`${formatIdentity(identity)}: ${result.kind === "failed" ? result.reason : ""}`);
    if (answer !== "later") ikeSa.answerAuthLater(messageId, answer, now);
  });
  return "later";
}

/** The peer is who it says; now we show who we are. */
function admit(ikeSa: IkeSa, caller: Caller): Answer | "later" {
  return showProof(ikeSa, caller, (proof, now) =>
    conclude(ikeSa, { ...caller, proof, now, user: undefined }),
  );
}

/** Goes on with IDr and our AUTH, at once or when they are there. */
export function showProof(
  ikeSa: IkeSa,
  caller: Caller,
  goOn: (proof: readonly Payload[], now: number) => Answer,
): Answer | "later" {
  const { state, connection, payloads, messageId, now } = caller;
  const credential = credentialFor(connection, { payloads, hashes: ikeSa.signatureHashes });
  const idr = identification("identification-responder", connection.local.identity);
  const proof = ownProof(ikeSa, state, { connection, credential });
  if (proof.kind === "none") return refused(proof.reason);
  if (proof.kind === "ready") return goOn([idr, proof.auth], now);
  ikeSa.machine.authenticate(proof.job, (result, then) => {
    if (!isAwaiting(ikeSa, state)) return;
    const { kind } = result;
    ikeSa.signsWithSha1 =
      kind === "signature" && result.method === AuthenticationMethod.RSA_DIGITAL_SIGNATURE;
    const answer =
      kind === "signature"
        ? goOn([idr, ...proof.certificates, authOf(result)], then)
        : refused(`we cannot sign: ${kind === "failed" ? result.reason : kind}`);
    ikeSa.answerAuthLater(messageId, answer, then);
  });
  return "later";
}

function authOf({ method, data }: { readonly method: number; readonly data: Uint8Array }): Payload {
  return { kind: "authentication", critical: false, method, data };
}

/** The IKE SA stands, and the child SA with it where that is possible. `payloads` are those of the first request. */
export function conclude(
  ikeSa: IkeSa,
  caller: Omit<Caller, "messageId"> & {
    readonly proof: readonly Payload[];
    /** EAP identity. */
    readonly user: string | undefined;
  },
): Answer {
  const { state, connection, identity, user, payloads, proof, now } = caller;
  ikeSa.connection = connection;
  ikeSa.remoteIdentity = identity;
  ikeSa.user = user;
  if (ikeSa.impression !== undefined && isShared(ikeSa)) {
    ikeSa.client = guessClient(ikeSa.impression, payloads);
  }
  ikeSa.impression = undefined;
  ikeSa.receivedInitialContact = findNotify(payloads, NotifyType.INITIAL_CONTACT) !== undefined;
  // Without data: it is the one that was named (RFC 8784 section 3).
  const ppk = ikeSa.hasPpk && state.resumed === undefined ? [notify(NotifyType.PPK_IDENTITY)] : [];
  const host = elsewhere(ikeSa, connection);
  if (host !== undefined) {
    ikeSa.sendAway(now);
    ikeSa.machine.report(sentAway(ikeSa, host));
    return { payloads: [...proof, ...ppk, gatewayNotify(NotifyType.REDIRECT, host)] };
  }
  ikeSa.establish(now);
  ikeSa.mobility.heed({ payloads, now });
  takeToken(ikeSa, payloads);
  ikeSa.machine.report(ikeSaEstablished(ikeSa, state.proposal));
  const gift = giveAddresses(ikeSa, connection, payloads);
  ikeSa.connection = gift.connection;
  if (gift.kind === "given") beginSession(ikeSa, now);
  const inside =
    gift.kind === "given"
      ? [...gift.payloads, ...makeChild(ikeSa, { state, connection: gift.connection, payloads, now })]
      : [notify(gift.notifyType)];
  ikeSa.forgetHandshake();
  return {
    payloads: [
      ...proof,
      ...ppk,
      ...inside,
      ...ikeSa.mobility.announce(),
      ...authLifetime(ikeSa, now),
      ...ownToken(ikeSa),
      ...grantTicket(ikeSa, payloads, now),
    ],
  };
}

function makeChild(
  ikeSa: IkeSa,
  facts: Pick<Caller, "state" | "connection" | "payloads" | "now">,
): readonly Payload[] {
  const { state, connection, payloads, now } = facts;
  const sa = find(payloads, "security-association");
  const tsi = find(payloads, "traffic-selectors-initiator");
  const tsr = find(payloads, "traffic-selectors-responder");
  if (sa === undefined || tsi === undefined || tsr === undefined) return [];
  const keying: ChildKeying = state;
  return acceptChild(ikeSa, { connection, sa, tsi, tsr, mode: modeOf(payloads), keying, now });
}

/** Whether a child SA is asked for, with all that it takes. */
function childOf(payloads: readonly Payload[]): "none" | "part" | "whole" {
  const kinds = [
    "security-association",
    "traffic-selectors-initiator",
    "traffic-selectors-responder",
  ] as const;
  const count = kinds.filter((kind) => find(payloads, kind) !== undefined).length;
  return count === 0 ? "none" : count < kinds.length ? "part" : "whole";
}

export function refused(message: string): Answer {
  const { notify: error, closing } = refuse(message);
  return { payloads: [error], closing };
}
