import { wipe } from "../bytes/wipe.ts";
import { type IkeKeys, mixPpk } from "../crypto/keymat.ts";
import { NotifyType } from "../iana/ikev2-parameters.ts";
import type { ConnectionPolicy, Ppk } from "../policy/connection.ts";
import type { Payload, PayloadOf } from "../wire/payloads/payload.ts";
import type { IkeSa } from "./ike-sa.ts";
import type { Authenticating } from "./ike-sa-state.ts";
import { findNotify, notify } from "./payloads.ts";
import { suiteOf } from "./proposals.ts";

// Post-quantum preshared keys (PPK, RFC 8784): a key that both sides have goes into the keys of the IKE SA beside the key exchange, so
// that who records today and breaks that one day reads nothing of what the child SAs carry. What IKE_AUTH itself says is not covered.
//
//   --> IKE_SA_INIT { ..., N(USE_PPK) }
//   <-- IKE_SA_INIT { ..., N(USE_PPK) }
//   --> IKE_AUTH { IDi, AUTH, N(PPK_IDENTITY), [N(NO_PPK_AUTH)], ... }     AUTH is made with the PPK, NO_PPK_AUTH without
//   <-- IKE_AUTH { IDr, AUTH, N(PPK_IDENTITY), ... }                       or no PPK_IDENTITY, and both go on without the PPK

/** PPK_ID Type of an identifier that both sides know as it is (RFC 8784 section 5.1). */
const PPK_ID_FIXED = 2;

/** Of IKE_SA_INIT: that we could, where a connection has a PPK. */
export function usePpk(connections: readonly ConnectionPolicy[]): readonly Payload[] {
  return connections.some(({ ppk }) => ppk !== undefined) ? [notify(NotifyType.USE_PPK)] : [];
}

export function ppkIdentity({ id }: Ppk): PayloadOf<"notify"> {
  return notify(NotifyType.PPK_IDENTITY, Uint8Array.of(PPK_ID_FIXED, ...new TextEncoder().encode(id)));
}

/** The keys with the PPK in them; the others stay as they are. */
export function mixedKeys({ proposal, keys }: Authenticating, { key }: Ppk): IkeKeys {
  return mixPpk({ prfId: suiteOf(proposal).prfId, keys, ppk: key });
}

/**
 * Initiator: what the responder's first answer says about the PPK. Keys that are not used are overwritten. "missing": it does without,
 * and we do not.
 */
export function settlePpk(
  ikeSa: IkeSa,
  state: Authenticating,
  { connection, payloads }: { readonly connection: ConnectionPolicy; readonly payloads: readonly Payload[] },
): Authenticating | "missing" {
  const { unmixed, keys } = state;
  if (unmixed === undefined) return state;
  const isUsed = findNotify(payloads, NotifyType.PPK_IDENTITY) !== undefined;
  wipeMixed(isUsed ? unmixed : keys);
  const settled = { ...state, keys: isUsed ? keys : unmixed, unmixed: undefined };
  ikeSa.hasPpk = isUsed;
  ikeSa.state = settled;
  return isUsed || connection.ppk?.isRequired !== true ? settled : "missing";
}

/** How a responder takes the initiator's AUTH. */
type PpkChoice = Chosen | { readonly kind: "refused"; readonly message: string };

interface Chosen {
  readonly kind: "chosen";
  /** With the keys that hold from now on. */
  readonly state: Authenticating;
  readonly auth: PayloadOf<"authentication"> | undefined;
  readonly isMixed: boolean;
}

/** Responder: whether the PPK is used (RFC 8784 section 3). Nothing is changed yet. */
export function choosePpk(
  ikeSa: IkeSa,
  {
    state,
    connection,
    payloads,
    auth,
  }: {
    readonly state: Authenticating;
    readonly connection: ConnectionPolicy | undefined;
    readonly payloads: readonly Payload[];
    readonly auth: PayloadOf<"authentication"> | undefined;
  },
): PpkChoice {
  const ppk = connection?.ppk;
  const named = findNotify(payloads, NotifyType.PPK_IDENTITY);
  const isOurs = ppk !== undefined && named !== undefined && isNamed(named.data, ppk);
  if (isOurs && ikeSa.hasBothUsePpk && auth !== undefined) {
    return { kind: "chosen", state: { ...state, keys: mixedKeys(state, ppk) }, auth, isMixed: true };
  }
  if (ppk?.isRequired === true) return { kind: "refused", message: "the peer does not use our PPK" };
  if (named === undefined || auth === undefined) return { kind: "chosen", state, auth, isMixed: false };
  const without = findNotify(payloads, NotifyType.NO_PPK_AUTH);
  return without === undefined
    ? { kind: "refused", message: "the peer wants a PPK that we do not have" }
    : { kind: "chosen", state, auth: { ...auth, data: without.data }, isMixed: false };
}

/** The choice holds. */
export function takePpkChoice(ikeSa: IkeSa, before: Authenticating, choice: Chosen): void {
  if (!choice.isMixed) return;
  ikeSa.state = choice.state;
  ikeSa.hasPpk = true;
  wipeMixed(before.keys);
}

/** It does not: the request is refused, or comes again. */
export function dropPpkChoice({ isMixed, state }: Chosen): void {
  if (isMixed) wipeMixed(state.keys);
}

function isNamed(data: Uint8Array, ppk: Ppk): boolean {
  return Buffer.compare(data, ppkIdentity(ppk).data) === 0;
}

/** Those of the keys that a PPK is mixed into; the others are the same with it and without. */
function wipeMixed({ skD, skPi, skPr }: IkeKeys): void {
  wipe(skD, skPi, skPr);
}
