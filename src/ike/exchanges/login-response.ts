import type { EapClient, EapStep } from "../../eap/session.ts";
import { authByKey, faultOfKeyedAuth } from "../auth-payload.ts";
import { type EapConversation, eapPayload, endLogin, wipeStep } from "../eap-conversation.ts";
import type { IkeSa } from "../ike-sa.ts";
import { find } from "../payloads.ts";
import { isAwaiting } from "./ike-auth.ts";
import { breakOff, finish, type Responder, requestAuth } from "./ike-auth-response.ts";

// The initiator's side of EAP in IKE_AUTH (`ike-auth.ts`).

/** The responder asks for the login. It has shown who it is, unless the login alone has to (`isEapOnly`). */
export function beginEap(
  ikeSa: IkeSa,
  facts: Responder & {
    readonly client: EapClient;
    readonly packet: Uint8Array;
    readonly isEapOnly: boolean;
  },
): void {
  const eap: EapConversation = {
    session: facts.client.begin(),
    request: undefined,
    isEapOnly: facts.isEapOnly,
    rounds: 0,
    outcome: undefined,
  };
  const state = { ...facts.state, eap };
  ikeSa.state = state;
  ikeSa.limitLogin(facts.now);
  answerPacket(ikeSa, { ...facts, state, eap }, facts.packet);
}

interface Login extends Responder {
  readonly eap: EapConversation;
}

export function processEapAnswer(ikeSa: IkeSa, login: Login): void {
  const { eap, payloads, now } = login;
  if (eap.outcome !== undefined) {
    processLastAuth(ikeSa, login);
    return;
  }
  const packet = find(payloads, "eap");
  if (packet === undefined) breakOff(ikeSa, "the peer goes on as if we had logged in", now);
  else answerPacket(ikeSa, login, packet.octets);
}

function answerPacket(ikeSa: IkeSa, login: Login, octets: Uint8Array): void {
  const { state, eap } = login;
  const { machine } = ikeSa;
  if (++eap.rounds > machine.limits.eapRoundCount) {
    breakOff(ikeSa, "the peer asks without end", login.now);
    return;
  }
  // The session may keep what it gets.
  const packet = octets.slice();
  machine.authenticate({ kind: "eap", session: eap.session, packet }, (result, now) => {
    if (!isAwaiting(ikeSa, state)) {
      if (result.kind === "eap-step") wipeStep(result.step);
      return;
    }
    if (result.kind === "eap-step") takeStep(ikeSa, { ...login, now, packet }, result.step);
    else breakOff(ikeSa, `the login failed: ${result.kind === "failed" ? result.reason : ""}`, now);
  });
}

function takeStep(ikeSa: IkeSa, login: Login & { readonly packet: Uint8Array }, step: EapStep): void {
  const { state, eap, connection, packet, now } = login;
  switch (step.kind) {
    case "send":
      requestAuth(ikeSa, [eapPayload(step.packet)], now);
      return;
    case "success": {
      // SK_p is everybody's who did the key exchange with us: it shows nothing.
      if (step.msk === undefined && eap.isEapOnly) {
        breakOff(ikeSa, "the login brings no key, and the peer has not shown who it is", now);
        return;
      }
      eap.outcome = { user: step.identity, msk: step.msk, grants: undefined };
      // RFC 7296 section 2.16: by the key of the method, or for a method without keys by SK_p.
      const key = step.msk ?? state.keys.skPi;
      requestAuth(ikeSa, [authByKey(ikeSa, state, { identity: connection.local.identity, key })], now);
      return;
    }
    case "failure": {
      const message = `the login failed: ${step.reason}`;
      // Whoever says EAP-Failure has forgotten us already.
      const isOver = packet[0] === EAP_FAILURE;
      if (isOver) ikeSa.close({ reason: "AUTHENTICATION_FAILED", message }, now);
      else breakOff(ikeSa, message, now);
      return;
    }
    case "ignore":
      breakOff(ikeSa, "the peer sent an EAP packet that is not due", now);
      return;
  }
}

/** RFC 3748 section 4. */
const EAP_FAILURE = 4;

/** The responder has the key as well: it, and nobody else, has seen the login. */
function processLastAuth(ikeSa: IkeSa, login: Login): void {
  const { state, eap, payloads, now } = login;
  const auth = find(payloads, "authentication");
  const identity = ikeSa.remoteIdentity;
  if (auth === undefined || identity === undefined) {
    breakOff(ikeSa, "the peer's last answer has no AUTH", now);
    return;
  }
  const key = eap.outcome?.msk ?? state.keys.skPr;
  const fault = faultOfKeyedAuth(ikeSa, { state, identity, auth, key, keyName: "key of the login" });
  if (fault === undefined) {
    finish(ikeSa, login);
    endLogin(eap);
  } else {
    breakOff(ikeSa, fault, now);
  }
}
