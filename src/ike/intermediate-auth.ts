import { concat } from "../bytes/concat.ts";
import { prf } from "../crypto/prf.ts";
import { PayloadType } from "../iana/ikev2-parameters.ts";
import { encodeProtectedEnvelope, type HeaderFields, type PayloadChain } from "../wire/message.ts";
import type { IkeSa } from "./ike-sa.ts";
import type { MessageProtection } from "./message-protection.ts";
import { suiteOf } from "./proposals.ts";

// What AUTH covers of IKE_INTERMEDIATE, RFC 9242 section 3.3. Of each message it is the text as it would be in one piece and in clear:
// headers up to that of the Encrypted payload, with lengths that leave out IV, padding and ICV, and the payloads inside.
//
//   IntAuth_n_I = prf(SK_pi, IntAuth_(n-1)_I | request n)       each with the keys that protect the message
//   IntAuth_n_R = prf(SK_pr, IntAuth_(n-1)_R | response n)
//   IntAuth = IntAuth_N_I | IntAuth_N_R | Message ID of the first IKE_AUTH

/** Where an IKE SA is between IKE_SA_INIT and IKE_AUTH. */
export interface Intermediate {
  /** Key exchange methods that are still to come, in their order (RFC 9370). */
  readonly remaining: readonly number[];
  /** Exchanges that are through. */
  readonly count: number;
  /** IntAuth_n_I and IntAuth_n_R; empty before the first message. */
  readonly initiator: Uint8Array;
  readonly responder: Uint8Array;
  /** Responder: what the last request was protected with, for when it comes again. */
  readonly earlier: { readonly messageId: number; readonly protection: MessageProtection } | undefined;
}

/** What is covered of a message that is about to be sealed. */
export function textToSend(header: HeaderFields, { firstType, octets }: PayloadChain): Uint8Array {
  const bodyLength = octets.length;
  const { octets: message, bodyOffset } = encodeProtectedEnvelope({ ...header, firstType, bodyLength });
  message.set(octets, bodyOffset);
  return message;
}

/** What is covered of a message that was opened. `aad`: what it, or a fragment of it, has before its body. */
export function receivedText(
  { aad, isFragment }: { readonly aad: Uint8Array; readonly isFragment: boolean },
  { firstType, octets }: PayloadChain,
): Uint8Array {
  const at = aad.length - GENERIC_HEADER_LENGTH - (isFragment ? FRAGMENT_NUMBERS_LENGTH : 0);
  const text = concat(aad.subarray(0, at + GENERIC_HEADER_LENGTH), octets);
  const view = new DataView(text.buffer, text.byteOffset, text.length);
  if (isFragment) view.setUint8(NEXT_PAYLOAD_OFFSET, PayloadType.SK);
  view.setUint32(LENGTH_OFFSET, text.length);
  view.setUint8(at, firstType);
  view.setUint16(at + 2, text.length - at);
  return text;
}

/** The message goes into what AUTH covers. */
export function cover(
  ikeSa: IkeSa,
  text: Uint8Array,
  { isResponse }: { readonly isResponse: boolean },
): void {
  const { state } = ikeSa;
  if (state.name !== "authenticating" || state.intermediate === undefined) return;
  const { intermediate, keys, proposal } = state;
  const { prfId } = suiteOf(proposal);
  ikeSa.state = {
    ...state,
    intermediate: isResponse
      ? { ...intermediate, responder: prf(prfId, keys.skPr, intermediate.responder, text) }
      : { ...intermediate, initiator: prf(prfId, keys.skPi, intermediate.initiator, text) },
  };
}

/** IntAuth, or nothing where there was no such exchange. */
export function intAuthOf(intermediate: Intermediate | undefined): Uint8Array {
  if (intermediate === undefined || intermediate.count === 0) return new Uint8Array(0);
  const { initiator, responder, count } = intermediate;
  const messageId = new Uint8Array(4);
  new DataView(messageId.buffer).setUint32(0, count + 1);
  return concat(initiator, responder, messageId);
}

const NEXT_PAYLOAD_OFFSET = 16;
const LENGTH_OFFSET = 24;
const GENERIC_HEADER_LENGTH = 4;
const FRAGMENT_NUMBERS_LENGTH = 4;
