import type { EapStep } from "../../eap/session.ts";
import { NotifyType } from "../../iana/ikev2-parameters.ts";
import { formatIdentity } from "../../policy/identity.ts";
import { decodePayloads, encodePayloads } from "../../wire/message.ts";
import type { Payload } from "../../wire/payloads/payload.ts";
import type { Answer } from "../answer.ts";
import { authByKey, faultOfKeyedAuth } from "../auth-payload.ts";
import {
  type EapConversation,
  eapPayload,
  endLogin,
  type FirstRequest,
  wipeStep,
} from "../eap-conversation.ts";
import type { IkeSa } from "../ike-sa.ts";
import type { Authenticating } from "../ike-sa-state.ts";
import { find, findNotify } from "../payloads.ts";
import { accountsOf } from "../resumption/tickets.ts";
import { identification, isAwaiting } from "./ike-auth.ts";
import { type Caller, conclude, refused, showProof } from "./ike-auth-request.ts";

// The responder's side of EAP in IKE_AUTH (`ike-auth.ts`). Until the last AUTH has been verified nobody is there: the SA counts as
// half-open, and nothing of what the first message asks for is done.

/** The first message came without AUTH: we show who we are, and ask for the login. */
export function beginLogin(ikeSa: IkeSa, caller: Caller): Answer | "later" {
  const { payloads, connection, identity, now } = caller;
  const logins = connection.remote.authentication.find((each) => each.kind === "eap")!;
  const first = keep(ikeSa, caller);
  if (first === undefined) return refused(`${formatIdentity(identity)} asks for more than we keep`);
  // RFC 5998 section 4: a method that does not show who we are would leave the client with nobody in particular.
  const asksForEapOnly = findNotify(payloads, NotifyType.EAP_ONLY_AUTHENTICATION) !== undefined;
  const mutual = asksForEapOnly ? logins.mutualServer : undefined;
  const isEapOnly = mutual !== undefined;
  const begin = (proof: readonly Payload[], then: number): Answer => {
    const { state } = ikeSa;
    if (state.name !== "authenticating") return refused("the SA is gone");
    const server = mutual ?? logins.server;
    const { session, first: packet } = server.begin({ address: ikeSa.path.remote.address });
    ikeSa.state = { ...state, eap: { session, request: first, isEapOnly, rounds: 0, outcome: undefined } };
    ikeSa.limitLogin(then);
    return { payloads: [...proof, eapPayload(packet)] };
  };
  if (isEapOnly) return begin([identification("identification-responder", connection.local.identity)], now);
  // RFC 7296 section 2.16: a key that every client has would make each of them a gateway.
  const { kind } = connection.local.authentication;
  if (kind !== "certificate" && kind !== "raw-key") {
    return refused(`${formatIdentity(identity)} wants EAP, and we have no certificate to show`);
  }
  return showProof(ikeSa, caller, begin);
}

/** What the last message is answered with, as octets of its own; undefined for more than anybody needs. */
function keep(ikeSa: IkeSa, { connection, identity, payloads }: Caller): FirstRequest | undefined {
  const kept = payloads.filter(({ kind }) => KEPT.includes(kind));
  const chain = encodePayloads(kept);
  if (chain.octets.length > ikeSa.machine.limits.firstRequestLength) return undefined;
  const { type, data } = identity;
  return { connection, identity: { type, data: data.slice() }, payloads: decodePayloads(chain) };
}

const KEPT: readonly Payload["kind"][] = [
  "security-association",
  "traffic-selectors-initiator",
  "traffic-selectors-responder",
  "configuration",
  "notify",
];

interface LoginRequest {
  readonly state: Authenticating;
  readonly eap: EapConversation;
  readonly payloads: readonly Payload[];
  readonly messageId: number;
  readonly now: number;
}

/** A message behind the first: an EAP packet, or after EAP-Success the peer's AUTH. Nothing else is due. */
export function processLoginRequest(ikeSa: IkeSa, login: LoginRequest): Answer | "later" | "busy" {
  const { eap, payloads } = login;
  if (eap.outcome !== undefined) return processLastAuth(ikeSa, login);
  const packet = find(payloads, "eap");
  const name = nameOf(login);
  if (packet === undefined || find(payloads, "authentication") !== undefined) {
    return refused(`${name} goes on as if it had logged in`);
  }
  const { machine } = ikeSa;
  if (machine.hasTooManyLogins) return "busy";
  if (++eap.rounds > machine.limits.eapRoundCount) return refused(`${name} logs in without end`);
  // The session may keep what it gets.
  const job = { kind: "eap", session: eap.session, packet: packet.octets.slice() } as const;
  machine.authenticate(job, (result, now) => {
    if (!isAwaiting(ikeSa, login.state)) {
      if (result.kind === "eap-step") wipeStep(result.step);
      return;
    }
    const answer =
      result.kind === "eap-step" ? answerStep(login, result.step) : refused(`${name}: ${result.kind}`);
    ikeSa.answerAuthLater(login.messageId, answer, now);
  });
  return "later";
}

function answerStep(login: LoginRequest, step: EapStep): Answer {
  const name = nameOf(login);
  switch (step.kind) {
    case "send":
      return { payloads: [eapPayload(step.packet)] };
    case "success":
      if (step.msk === undefined && login.eap.isEapOnly) return refused(`${name}: the login brings no key`);
      login.eap.outcome = { user: step.identity, msk: step.msk, grants: step.grants };
      return step.packet === undefined
        ? refused(`${name}: the login has no end`)
        : { payloads: [eapPayload(step.packet)] };
    case "failure": {
      const refusal = refused(`${name} did not log in: ${step.reason}`);
      // The peer reads EAP-Failure (RFC 7296 section 2.16), and does not look behind it.
      return step.packet === undefined ? refusal : { ...refusal, payloads: [eapPayload(step.packet)] };
    }
    case "ignore":
      return refused(`${name} sent an EAP packet that is not due`);
  }
}

/** AUTH over the first messages, by the key that the login has brought; for a method without keys by SK_p. */
function processLastAuth(ikeSa: IkeSa, login: LoginRequest): Answer {
  const { state, eap, payloads, now } = login;
  const { request, outcome } = eap;
  const auth = find(payloads, "authentication");
  if (request === undefined || outcome === undefined) return refused("nobody has logged in");
  if (auth === undefined) return refused(`${outcome.user} has logged in and does not prove it`);
  const { connection, identity } = request;
  const fault = faultOfKeyedAuth(ikeSa, {
    state,
    identity,
    auth,
    key: outcome.msk ?? state.keys.skPi,
    keyName: "key of the login",
  });
  if (fault !== undefined) return refused(`${outcome.user}: ${fault} (connection ${connection.name})`);
  const local = connection.local.identity;
  const key = outcome.msk ?? state.keys.skPr;
  const proof = [authByKey(ikeSa, state, { identity: local, key })];
  ikeSa.account = accountsOf(connection)?.stampOf(outcome.user);
  ikeSa.grants = outcome.grants;
  const answer = conclude(ikeSa, { ...request, state, proof, now, user: outcome.user });
  endLogin(eap);
  return answer;
}

function nameOf({ eap }: LoginRequest): string {
  return eap.request === undefined ? "the peer" : formatIdentity(eap.request.identity);
}
