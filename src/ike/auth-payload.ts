import { pskAuth, verifyPskAuth } from "../auth/psk.ts";
import { identificationBody, signedOctets } from "../auth/signed-octets.ts";
import { equal } from "../bytes/constant-time.ts";
import { prf } from "../crypto/prf.ts";
import { AuthenticationMethod, nameOf } from "../iana/ikev2-parameters.ts";
import type { Identity } from "../policy/connection.ts";
import { formatIdentity } from "../policy/identity.ts";
import type { PayloadOf } from "../wire/payloads/payload.ts";
import type { IkeSa } from "./ike-sa.ts";
import type { Authenticating } from "./ike-sa-state.ts";
import { intAuthOf } from "./intermediate-auth.ts";
import { suiteOf } from "./proposals.ts";

// AUTH, RFC 7296 section 2.15: over one's own IKE_SA_INIT message, the other side's nonce and one's own identity.

/** What our AUTH covers. */
export function ownOctets(ikeSa: IkeSa, state: Authenticating, identity: Identity): Uint8Array {
  const isInitiator = ikeSa.role === "initiator";
  return octetsOf(state, { isOfInitiator: isInitiator, identity });
}

/** What the peer's AUTH covers, if it is who it says. */
export function peerOctets(ikeSa: IkeSa, state: Authenticating, identity: Identity): Uint8Array {
  return octetsOf(state, { isOfInitiator: ikeSa.role === "responder", identity });
}

function octetsOf(
  state: Authenticating,
  { isOfInitiator, identity }: { readonly isOfInitiator: boolean; readonly identity: Identity },
): Uint8Array {
  return signedOctets({
    message: isOfInitiator ? state.initRequest : state.initResponse,
    peerNonce: isOfInitiator ? state.nr : state.ni,
    prfId: suiteOf(state.proposal).prfId,
    skP: isOfInitiator ? state.keys.skPi : state.keys.skPr,
    identificationBody: identificationBody(identity),
    intAuth: intAuthOf(state.intermediate),
  });
}

/**
 * Our AUTH in an IKE SA that resumes a session: prf(SK_p, <octets>), by the keys that only who had the session can have made (RFC 5723
 * section 5.1).
 */
export function authBySession(
  ikeSa: IkeSa,
  state: Authenticating,
  identity: Identity,
): PayloadOf<"authentication"> {
  const { skPi, skPr } = state.keys;
  const data = prf(
    suiteOf(state.proposal).prfId,
    ikeSa.role === "initiator" ? skPi : skPr,
    ownOctets(ikeSa, state, identity),
  );
  const method = AuthenticationMethod.SHARED_KEY_MESSAGE_INTEGRITY_CODE;
  return { kind: "authentication", critical: false, method, data };
}

/** Whether the peer's AUTH is such a one. */
export function isAuthBySession(
  ikeSa: IkeSa,
  state: Authenticating,
  { identity, auth }: { readonly identity: Identity; readonly auth: PayloadOf<"authentication"> },
): boolean {
  const { skPi, skPr } = state.keys;
  const expected = prf(
    suiteOf(state.proposal).prfId,
    ikeSa.role === "initiator" ? skPr : skPi,
    peerOctets(ikeSa, state, identity),
  );
  const isKeyed = auth.method === AuthenticationMethod.SHARED_KEY_MESSAGE_INTEGRITY_CODE;
  return isKeyed && equal(auth.data, expected);
}

/** Our AUTH by a key that both sides have: a pre-shared key, or what EAP has brought. */
export function authByKey(
  ikeSa: IkeSa,
  state: Authenticating,
  { identity, key }: { readonly identity: Identity; readonly key: Uint8Array },
): PayloadOf<"authentication"> {
  return {
    kind: "authentication",
    critical: false,
    method: AuthenticationMethod.SHARED_KEY_MESSAGE_INTEGRITY_CODE,
    data: pskAuth({
      prfId: suiteOf(state.proposal).prfId,
      psk: key,
      signedOctets: ownOctets(ikeSa, state, identity),
    }),
  };
}

/** What is wrong with an AUTH of the peer that has to be made with this key, or undefined. */
export function faultOfKeyedAuth(
  ikeSa: IkeSa,
  facts: {
    readonly state: Authenticating;
    readonly identity: Identity;
    readonly auth: PayloadOf<"authentication">;
    readonly key: Uint8Array;
    /** What kind of key it is, as a person would say. */
    readonly keyName: string;
  },
): string | undefined {
  const { state, identity, auth, key, keyName } = facts;
  const name = formatIdentity(identity);
  if (auth.method !== AuthenticationMethod.SHARED_KEY_MESSAGE_INTEGRITY_CODE) {
    return `${name} authenticates by ${nameOf(AuthenticationMethod, auth.method)}, and we have a ${keyName}`;
  }
  const isRight = verifyPskAuth({
    prfId: suiteOf(state.proposal).prfId,
    psk: key,
    signedOctets: peerOctets(ikeSa, state, identity),
    authentication: auth.data,
  });
  return isRight ? undefined : `the ${keyName} of ${name} is not ours`;
}
