import { wipe } from "../../bytes/wipe.ts";
import type { PrivateKey } from "../../crypto/jobs.ts";
import { deriveRekeyedIkeKeys, wipeIkeKeys } from "../../crypto/keymat.ts";
import { keyLengths } from "../../crypto/suites.ts";
import { ExchangeType, NotifyType } from "../../iana/ikev2-parameters.ts";
import type { Payload, PayloadOf } from "../../wire/payloads/payload.ts";
import { type Answer, nonsense } from "../answer.ts";
import type { IkeSa } from "../ike-sa.ts";
import { cover } from "../intermediate-auth.ts";
import { agree, reasonOf } from "../key-agreement.ts";
import { MessageProtection } from "../message-protection.ts";
import { find, findError, notify, notifyName } from "../payloads.ts";
import { suiteOf } from "../proposals.ts";
import { sendAuthRequest } from "./ike-auth-response.ts";

// IKE_INTERMEDIATE (RFC 9242): one for each further key exchange that IKE_SA_INIT has agreed on (RFC 9370), in order, before IKE_AUTH.
// Values that are too long for IKE_SA_INIT fit here, since a protected message may go in fragments.
//
//   --> HDR, SK { KEi(n) }
//   <-- HDR, SK { KEr(n) }
//
// Behind each, both sides have new keys: SKEYSEED(n) = prf(SK_d(n-1), SK(n) | Ni | Nr). All of it is covered by AUTH
// (`../intermediate-auth.ts`).

/** Initiator: the next key exchange, or IKE_AUTH when there is none left. */
export function goOnToAuth(ikeSa: IkeSa, now: number): void {
  const { state, machine } = ikeSa;
  if (state.name !== "authenticating") return;
  const group = state.intermediate?.remaining[0];
  if (group === undefined) {
    sendAuthRequest(ikeSa, now);
    return;
  }
  machine.compute({ kind: "generate-key-pair", group }, (result, then) => {
    if (ikeSa.state !== state) return;
    if (result.kind !== "key-pair") {
      const message = `no key pair of group ${group}: ${reasonOf(result)}`;
      ikeSa.close({ reason: "protocol-error", message }, then);
      return;
    }
    const { privateKey, publicValue } = result;
    ikeSa.outbox.request(
      {
        purpose: { kind: "intermediate", group, privateKey },
        exchangeType: ExchangeType.IKE_INTERMEDIATE,
        build: () => [keyExchange(group, publicValue)],
      },
      then,
    );
  });
}

export function processIntermediateResponse(
  ikeSa: IkeSa,
  answer: {
    readonly group: number;
    readonly privateKey: PrivateKey;
    readonly payloads: readonly Payload[];
    readonly text: Uint8Array;
    readonly now: number;
  },
): void {
  const { group, privateKey, payloads, text, now } = answer;
  const error = findError(payloads);
  if (error !== undefined) {
    const reason = notifyName(error.notifyType);
    ikeSa.close({ reason, message: `the peer answered ${reason} to key exchange ${group}` }, now);
    return;
  }
  const ke = find(payloads, "key-exchange");
  if (ke?.group !== group) {
    const message = `the peer's answer has no key exchange ${group}`;
    ikeSa.breakOff({ reason: "INVALID_SYNTAX", message, notify: notify(NotifyType.INVALID_SYNTAX) }, now);
    return;
  }
  cover(ikeSa, text, { isResponse: true });
  agree(ikeSa, { group, privateKey, peerPublicValue: ke.data }, (sharedSecret, then) => {
    renewKeys(ikeSa, sharedSecret);
    goOnToAuth(ikeSa, then);
  });
}

/** Responder. */
export function processIntermediateRequest(
  ikeSa: IkeSa,
  request: { readonly payloads: readonly Payload[]; readonly text: Uint8Array; readonly messageId: number },
): Answer | "later" {
  const { payloads, text, messageId } = request;
  const { state, machine } = ikeSa;
  const group = state.name === "authenticating" ? state.intermediate?.remaining[0] : undefined;
  if (group === undefined) return nonsense("IKE_INTERMEDIATE that was not agreed on");
  const ke = find(payloads, "key-exchange");
  if (ke?.group !== group) return nonsense(`IKE_INTERMEDIATE without key exchange ${group}`);
  cover(ikeSa, text, { isResponse: false });
  const waiting = ikeSa.state;
  machine.compute({ kind: "respond", group, peerPublicValue: ke.data }, (result, now) => {
    const sharedSecret = result.kind === "response" ? result.sharedSecret : undefined;
    if (ikeSa.state === waiting) {
      const isGood = result.kind === "response";
      const payload = isGood ? keyExchange(group, result.publicValue) : notify(NotifyType.INVALID_SYNTAX);
      const exchangeType = ExchangeType.IKE_INTERMEDIATE;
      ikeSa.outbox.answer({ exchangeType, messageId, payloads: [payload] });
      if (sharedSecret !== undefined) renewKeys(ikeSa, sharedSecret, messageId);
      else {
        const message = `key exchange of group ${group}: ${reasonOf(result)}`;
        ikeSa.close({ reason: "INVALID_SYNTAX", message }, now);
      }
    }
    wipe(sharedSecret);
  });
  return "later";
}

function keyExchange(group: number, data: Uint8Array): PayloadOf<"key-exchange"> {
  return { kind: "key-exchange", critical: false, group, data };
}

/** RFC 9370 section 2.2.2. A responder keeps what the request was protected with, for as long as its answer may get lost. */
function renewKeys(ikeSa: IkeSa, sharedSecret: Uint8Array, answered?: number): void {
  const { state, initiatorSpi, responderSpi, role, machine } = ikeSa;
  if (state.name !== "authenticating" || state.intermediate === undefined) return;
  const { proposal, keys: old, protection: before, ni, nr, intermediate } = state;
  const { encryption, integrity, prfId } = suiteOf(proposal);
  const keys = deriveRekeyedIkeKeys({
    oldPrfId: prfId,
    oldSkD: old.skD,
    prfId,
    sharedSecret,
    ni,
    nr,
    initiatorSpi,
    responderSpi,
    lengths: keyLengths({ encryption, integrity }),
  });
  const fragmentLength = ikeSa.supportsFragmentation ? machine.limits.fragmentLength : undefined;
  const protection = new MessageProtection({ proposal, keys, role, random: machine.random, fragmentLength });
  wipeIkeKeys(old);
  intermediate.earlier?.protection.wipe();
  if (answered === undefined) before.wipe();
  ikeSa.state = {
    ...state,
    keys,
    protection,
    intermediate: {
      ...intermediate,
      remaining: intermediate.remaining.slice(1),
      count: intermediate.count + 1,
      earlier: answered === undefined ? undefined : { messageId: answered, protection: before },
    },
  };
}
