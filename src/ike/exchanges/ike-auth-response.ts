import type { IkeKeys } from "../../crypto/keymat.ts";
import { AuthenticationMethod, ExchangeType, NotifyType, nameOf } from "../../iana/ikev2-parameters.ts";
import type { ConnectionPolicy, Identity } from "../../policy/connection.ts";
import { formatIdentity, sameIdentity } from "../../policy/identity.ts";
import { presharedKeyOf } from "../../policy/pad.ts";
import type { Payload, PayloadOf } from "../../wire/payloads/payload.ts";
import type { Closing } from "../answer.ts";
import { authBySession, faultOfKeyedAuth } from "../auth-payload.ts";
import { certificateRequest } from "../certificates.ts";
import { buildChildOffer, offerChild, processChildAnswer } from "../child-sa.ts";
import { ownToken, takeToken } from "../crash-detection.ts";
import { certificateNoted, ikeSaEstablished } from "../events.ts";
import type { IkeSa } from "../ike-sa.ts";
import type { Authenticating } from "../ike-sa-state.ts";
import { requestAddresses, takeAddresses } from "../internal-addresses.ts";
import { find, findError, notify, notifyName } from "../payloads.ts";
import { signatureJob } from "../peer-signature.ts";
import { mixedKeys, ppkIdentity, settlePpk } from "../ppk.ts";
import { heedAuthLifetime } from "../reauthentication.ts";
import { obeyRedirectInAuth } from "../redirect/follow.ts";
import { takeTicket, ticketRequest } from "../resumption/tickets.ts";
import { haveSameEnds } from "../uniqueness.ts";
import { createChild } from "./create-child-sa.ts";
import { identification, identityOf, isAwaiting, ownProof, refuse } from "./ike-auth.ts";
import { beginEap, processEapAnswer } from "./login-response.ts";
import { verifyResumed } from "./resumed-auth.ts";

// The initiator's side of IKE_AUTH (`ike-auth.ts`). Nothing is answered to an EAP request before the responder has shown who it is.

interface AuthAnswer {
  readonly payloads: readonly Payload[];
  readonly now: number;
}

export function sendAuthRequest(ikeSa: IkeSa, now: number): void {
  const { state, connection, trigger } = ikeSa;
  const policy = connection?.children.find(({ name }) => name === trigger?.child) ?? connection?.children[0];
  if (state.name !== "authenticating" || connection === undefined || policy === undefined) return;
  const isChildless = connection.isChildless === true && ikeSa.supportsChildless;
  const offer = isChildless ? undefined : offerChild(ikeSa, policy);
  if (offer === undefined && !isChildless) {
    ikeSa.close({ reason: "protocol-error", message: "the data plane has no SPI left" }, now);
    return;
  }
  const sentInitialContact = isFirstContact(ikeSa);
  const ppk = ikeSa.hasBothUsePpk ? connection.ppk : undefined;
  const mixed = ppk && { keys: mixedKeys(state, ppk), unmixed: state.keys };
  const next = { ...state, offer, sentInitialContact, ...mixed };
  ikeSa.state = next;
  const isResumed = next.resumed !== undefined;
  const send = (certificates: readonly Payload[], auth: readonly Payload[], then: number): void => {
    const payloads = [
      identification("identification-initiator", connection.local.identity),
      ...certificates,
      ...(sentInitialContact ? [notify(NotifyType.INITIAL_CONTACT)] : []),
      ...(isResumed ? [] : certificateRequest([connection], ikeSa.machine.limits.authorityCount)),
      ...(isResumed ? resumedIdentity(ikeSa) : wantedIdentity(connection)),
      ...auth,
      ...requestAddresses(connection),
      ...(offer === undefined ? [] : buildChildOffer(offer)),
      ...(isResumed ? [] : eapOnly(connection)),
      ...ikeSa.mobility.announce(),
      ...(auth.length > 0 ? ownToken(ikeSa) : []),
      ...ticketRequest(ikeSa),
    ];
    requestAuth(ikeSa, payloads, then);
  };
  if (isResumed) {
    send([], [authBySession(ikeSa, next, connection.local.identity)], now);
    return;
  }
  if (connection.local.authentication.kind === "eap") {
    send([], [], now);
    return;
  }
  prove(ikeSa, { state: next, keys: next.keys, connection, now }, (certificates, auth, then) => {
    if (ppk === undefined) send(certificates, [auth], then);
    else if (ppk.isRequired) send(certificates, [auth, ppkIdentity(ppk)], then);
    else {
      prove(ikeSa, { state: next, keys: state.keys, connection, now: then }, (_, without, later) => {
        const noPpkAuth = notify(NotifyType.NO_PPK_AUTH, without.data);
        send(certificates, [auth, ppkIdentity(ppk), noPpkAuth], later);
      });
    }
  });
}

/** Our AUTH with these keys, at once or when it is signed. */
function prove(
  ikeSa: IkeSa,
  facts: {
    readonly state: Authenticating;
    readonly keys: IkeKeys;
    readonly connection: ConnectionPolicy;
    readonly now: number;
  },
  goOn: (certificates: readonly Payload[], auth: PayloadOf<"authentication">, now: number) => void,
): void {
  const { state, keys, connection, now } = facts;
  const proof = ownProof(ikeSa, { ...state, keys }, { connection, credential: ikeSa.credential });
  if (proof.kind === "ready") goOn([], proof.auth, now);
  else if (proof.kind === "none") ikeSa.close({ reason: "protocol-error", message: proof.reason }, now);
  else {
    ikeSa.machine.authenticate(proof.job, (result, then) => {
      if (!isAwaiting(ikeSa, state)) return;
      if (result.kind === "signature") {
        const { method, data } = result;
        goOn(proof.certificates, { kind: "authentication", critical: false, method, data }, then);
      } else {
        const message = `we cannot sign: ${result.kind === "failed" ? result.reason : result.kind}`;
        ikeSa.close({ reason: "AUTHENTICATION_FAILED", message }, then);
      }
    });
  }
}

export function requestAuth(ikeSa: IkeSa, payloads: readonly Payload[], now: number): void {
  const purpose = { kind: "auth" } as const;
  ikeSa.outbox.request({ purpose, exchangeType: ExchangeType.IKE_AUTH, build: () => payloads }, now);
}

/** IDr: whom we want to talk to, where we know a name. */
function wantedIdentity({ remote }: ConnectionPolicy): readonly Payload[] {
  return remote.identity === undefined ? [] : [identification("identification-responder", remote.identity)];
}

/** IDr of a session that goes on is whom it is with. */
function resumedIdentity({ remoteIdentity }: IkeSa): readonly Payload[] {
  return remoteIdentity === undefined ? [] : [identification("identification-responder", remoteIdentity)];
}

function eapOnly({ local, remote }: ConnectionPolicy): readonly Payload[] {
  const isAsked = local.authentication.kind === "eap" && remote.authentication.some(isEapOnly);
  return isAsked ? [notify(NotifyType.EAP_ONLY_AUTHENTICATION)] : [];
}

function isEapOnly({ kind }: { readonly kind: string }): boolean {
  return kind === "eap-only";
}

/** RFC 7296 section 2.4: we may say so only when we know of no other SA with this peer, not even of one in the making. */
function isFirstContact(ikeSa: IkeSa): boolean {
  return !ikeSa.machine.ikeSas.some((other) => {
    if (other === ikeSa || other.state.name === "closed") return false;
    if (other.connection !== undefined) return haveSameEnds(other, ikeSa);
    return other.path.remote.address === ikeSa.path.remote.address;
  });
}

export function processAuthResponse(ikeSa: IkeSa, { payloads, now }: AuthAnswer): void {
  const { state, connection } = ikeSa;
  if (state.name !== "authenticating" || connection === undefined) return;
  const error = findError(payloads);
  if (find(payloads, "authentication") === undefined && error !== undefined) {
    ikeSa.close(refusalByPeer(connection, error), now);
    return;
  }
  const { eap } = state;
  if (state.resumed !== undefined) {
    verifyResumed(ikeSa, { state, connection, payloads, now });
    return;
  }
  const settled = settlePpk(ikeSa, state, { connection, payloads });
  if (settled === "missing") breakOff(ikeSa, "the peer does not use our PPK, and we have to", now);
  else if (eap === undefined) authenticateResponder(ikeSa, { state: settled, connection, payloads, now });
  else processEapAnswer(ikeSa, { state, eap, connection, payloads, now });
}

function refusalByPeer({ local, remote }: ConnectionPolicy, error: PayloadOf<"notify">): Closing {
  const reason = notifyName(error.notifyType);
  if (error.notifyType !== NotifyType.AUTHENTICATION_FAILED)
    return { reason, message: `the peer answered ${reason}` };
  const peer = remote.identity === undefined ? "" : ` and ${formatIdentity(remote.identity)}`;
  const names = `${formatIdentity(local.identity)}${peer}`;
  const what = WHAT_FAILS[local.authentication.kind];
  return { reason, message: `the peer answered ${reason}: it ${what}, or has no connection, for ${names}` };
}

const WHAT_FAILS = {
  psk: "has another key",
  certificate: "does not trust our certificate",
  "raw-key": "does not know our public key",
  eap: "does not take the login",
} as const;

/** The first answer. What the peer's AUTH has to be made with is up to the connection. */
function authenticateResponder(ikeSa: IkeSa, facts: Responder): void {
  const { connection, payloads } = facts;
  const id = find(payloads, "identification-responder");
  const auth = find(payloads, "authentication");
  const mayDoWithout =
    connection.local.authentication.kind === "eap" && connection.remote.authentication.some(isEapOnly);
  if (id === undefined || (auth === undefined && !mayDoWithout)) {
    breakOff(ikeSa, "the peer's answer has no IDr or no AUTH", facts.now);
    return;
  }
  const identity = identityOf(id);
  const expected = connection.remote.identity;
  if (expected !== undefined && !sameIdentity(identity, expected)) {
    const [them, us] = [formatIdentity(identity), formatIdentity(expected)];
    breakOff(ikeSa, `the peer says it is ${them}, and we expect ${us}`, facts.now);
    return;
  }
  if (auth === undefined) goOn(ikeSa, facts, identity);
  else verify(ikeSa, { ...facts, identity, auth });
}

export interface Responder {
  readonly state: Authenticating;
  readonly connection: ConnectionPolicy;
  readonly payloads: readonly Payload[];
  readonly now: number;
}

function verify(
  ikeSa: IkeSa,
  facts: Responder & { readonly identity: Identity; readonly auth: PayloadOf<"authentication"> },
): void {
  const { state, connection, identity, auth, now } = facts;
  const isKeyed = auth.method === AuthenticationMethod.SHARED_KEY_MESSAGE_INTEGRITY_CODE;
  const kinds = connection.remote.authentication.map(({ kind }) => kind);
  const wantsSignature = kinds.includes("certificate") || kinds.includes("raw-key");
  if (!wantsSignature || (isKeyed && kinds.includes("psk"))) {
    const key = presharedKeyOf(connection);
    const fault = faultOfKeyedAuth(ikeSa, { state, identity, auth, key, keyName: "pre-shared key" });
    if (fault === undefined) goOn(ikeSa, facts, identity);
    else breakOff(ikeSa, fault, now);
    return;
  }
  const job = isKeyed ? undefined : signatureJob(ikeSa, facts);
  if (job === undefined) {
    const how = isKeyed ? nameOf(AuthenticationMethod, auth.method) : "a key of its own";
    const what = kinds.includes("certificate") ? "a certificate" : "a key that we know";
    breakOff(ikeSa, `${formatIdentity(identity)} authenticates by ${how}, and we want ${what}`, now);
    return;
  }
  const { machine } = ikeSa;
  machine.authenticate(job, (result, then) => {
    if (!isAwaiting(ikeSa, state)) return;
    if (result.kind === "verified" && result.note !== undefined)
      machine.report(certificateNoted(ikeSa, result.note));
    if (result.kind === "verified") goOn(ikeSa, { ...facts, now: then }, identity);
    else {
      const { notify: error, closing } = refuse(
        `${formatIdentity(identity)}: ${result.kind === "failed" ? result.reason : ""}`,
      );
      const reason = job.kind === "verify" ? "certificate" : closing.reason;
      ikeSa.breakOff({ ...closing, reason, notify: error }, then);
    }
  });
}

/** The responder is who it should be: the login, if there is one, or the end. */
function goOn(ikeSa: IkeSa, facts: Responder, identity: Identity): void {
  const { connection, payloads, now } = facts;
  const eap = find(payloads, "eap");
  const { authentication } = connection.local;
  ikeSa.remoteIdentity = identity;
  if (authentication.kind === "eap") {
    const hasShown = find(payloads, "authentication") !== undefined;
    if (hasShown && obeyRedirectInAuth(ikeSa, payloads, now)) return;
    if (eap === undefined) breakOff(ikeSa, "the peer lets us in without a login, and proves no key", now);
    else {
      beginEap(ikeSa, {
        ...facts,
        client: authentication.client,
        packet: eap.octets,
        isEapOnly: !hasShown,
      });
    }
    return;
  }
  if (eap === undefined) finish(ikeSa, facts);
  else breakOff(ikeSa, "the peer wants a login by EAP, and none is configured", now);
}

/** Both sides have shown who they are. */
export function finish(ikeSa: IkeSa, { state, connection, payloads, now }: Responder): void {
  const { offer } = state;
  if (obeyRedirectInAuth(ikeSa, payloads, now)) return;
  ikeSa.establish(now);
  ikeSa.mobility.heed({ payloads, now });
  heedAuthLifetime(ikeSa, payloads, now);
  takeToken(ikeSa, payloads);
  takeTicket(ikeSa, payloads, now);
  ikeSa.machine.report(ikeSaEstablished(ikeSa, state.proposal));
  const fault = find(payloads, "security-association") && takeAddresses(ikeSa, connection, payloads);
  if (fault !== undefined) {
    if (offer !== undefined) ikeSa.machine.emit({ kind: "release-spi", inboundSpi: offer.inboundSpi });
    ikeSa.terminate({ reason: "INTERNAL_ADDRESS_FAILURE", message: fault }, now);
    return;
  }
  const { children } = ikeSa.connection ?? connection;
  const own = children.find(({ name }) => name === offer?.policy.name);
  if (offer !== undefined) {
    processChildAnswer(ikeSa, { offer: { ...offer, narrowed: own }, payloads, keying: state, now });
  }
  ikeSa.forgetHandshake();
  ikeSa.settle(now);
  for (const policy of children) {
    if (policy.name !== offer?.policy.name) createChild(ikeSa, policy, now);
  }
}

export function breakOff(ikeSa: IkeSa, message: string, now: number): void {
  const { notify: error, closing } = refuse(message);
  ikeSa.breakOff({ ...closing, notify: error }, now);
}
