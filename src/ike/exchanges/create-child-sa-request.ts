import { NotifyType, ProtocolId, TransformType } from "../../iana/ikev2-parameters.ts";
import { findTransform, isNone } from "../../policy/transforms.ts";
import type { Payload, PayloadOf } from "../../wire/payloads/payload.ts";
import { type Answer, nonsense, refusal } from "../answer.ts";
import { modeOf } from "../child-mode.ts";
import {
  type AgreedChild,
  answerChild,
  type ChildRequest,
  type ChildSa,
  chooseChild,
  isCrowded,
  reportChildRefusal,
} from "../child-sa.ts";
import { awaitDeletion, isDeletingChild } from "../child-sa-deletion.ts";
import type { IkeSa } from "../ike-sa.ts";
import { hasNonceLength, NONCE_LENGTH } from "../nonces.ts";
import { decodeSpi, find, findNotify, notify } from "../payloads.ts";
import { processIkeRekeyRequest } from "./rekey-ike-sa.ts";

// What we answer to the peer's CREATE_CHILD_SA (`create-child-sa.ts`).

/** "later": the answer waits for a key exchange, and goes out by `answerLater`. */
export function processCreateChildRequest(
  ikeSa: IkeSa,
  request: {
    readonly payloads: readonly Payload[];
    readonly messageId: number;
    readonly now: number;
  },
): Answer | "later" {
  const { payloads, messageId, now } = request;
  // RFC 7296 section 2.25.2: an IKE SA that is closing or replaced makes nothing new.
  if (ikeSa.state.name !== "established") return refusal(NotifyType.TEMPORARY_FAILURE);
  if (!ikeSa.creations.take(now)) return refusal(NotifyType.TEMPORARY_FAILURE);
  const sa = find(payloads, "security-association");
  const nonce = find(payloads, "nonce");
  if (sa === undefined || nonce === undefined || !hasNonceLength(nonce.nonce)) {
    return nonsense("CREATE_CHILD_SA without SA or Nonce");
  }
  const ke = find(payloads, "key-exchange");
  const isForIke =
    sa.proposals.length > 0 && sa.proposals.every(({ protocolId }) => protocolId === ProtocolId.IKE);
  if (isForIke) {
    const wantsTicket = findNotify(payloads, NotifyType.TICKET_REQUEST) !== undefined;
    return processIkeRekeyRequest(ikeSa, { sa, ke, ni: nonce.nonce, wantsTicket, messageId, now });
  }

  const tsi = find(payloads, "traffic-selectors-initiator");
  const tsr = find(payloads, "traffic-selectors-responder");
  const { connection } = ikeSa;
  if (tsi === undefined || tsr === undefined || connection === undefined) {
    return nonsense("CREATE_CHILD_SA without TSi or TSr");
  }
  const rekey = findNotify(payloads, NotifyType.REKEY_SA);
  const wanted = { connection, sa, tsi, tsr, mode: modeOf(payloads) };
  return acceptRequest(ikeSa, { wanted, ke, ni: nonce.nonce, rekey, messageId, now });
}

interface Wanted {
  readonly wanted: ChildRequest;
  readonly ke: PayloadOf<"key-exchange"> | undefined;
  readonly ni: Uint8Array;
  readonly rekey: PayloadOf<"notify"> | undefined;
  readonly messageId: number;
  readonly now: number;
}

function acceptRequest(ikeSa: IkeSa, request: Wanted): Answer | "later" {
  const { wanted, ke, rekey, messageId, now } = request;
  const replaces = rekey && findRekeyed(ikeSa, rekey);
  const hindrance = hindranceOf(ikeSa, { rekey, replaces });
  if (hindrance !== undefined) return { payloads: [hindrance] };
  const choice = chooseChild(ikeSa, wanted, { preferredGroup: ke?.group, replaces });
  if ("notifyType" in choice) {
    reportChildRefusal(ikeSa, choice);
    return refusal(choice.notifyType);
  }
  const transform = findTransform(choice.proposal, TransformType.KE);
  const group = transform === undefined || isNone(transform) ? undefined : transform.id;
  const accepted = { request, agreed: choice, replaces, now };
  if (group === undefined)
    return accept(ikeSa, { ...accepted, kePayload: undefined, sharedSecret: undefined });
  if (ke?.group !== group) return refusal(NotifyType.INVALID_KE_PAYLOAD, Uint8Array.of(group >>> 8, group));

  const { machine } = ikeSa;
  machine.compute({ kind: "generate-key-pair", group }, (pair) => {
    if (pair.kind !== "key-pair") {
      ikeSa.answerLater(messageId, refusal(NotifyType.TEMPORARY_FAILURE), now);
      return;
    }
    const { publicValue, privateKey } = pair;
    machine.compute({ kind: "agree", group, privateKey, peerPublicValue: ke.data }, (agreed, then) => {
      if (agreed.kind !== "shared-secret") {
        ikeSa.answerLater(messageId, nonsense("the peer's key exchange is no good"), then);
        return;
      }
      const { sharedSecret } = agreed;
      const kePayload: Payload = { kind: "key-exchange", critical: false, group, data: publicValue };
      // What was there before may be gone by now.
      const hindrance = hindranceOf(ikeSa, { rekey, replaces: rekey && findRekeyed(ikeSa, rekey) });
      const answer =
        hindrance === undefined
          ? accept(ikeSa, { ...accepted, now: then, kePayload, sharedSecret })
          : { payloads: [hindrance] };
      sharedSecret.fill(0);
      ikeSa.answerLater(messageId, answer, then);
    });
  });
  return "later";
}

/** RFC 7296 section 2.25: what stands in the way of making a child SA now. */
function hindranceOf(
  ikeSa: IkeSa,
  facts: {
    readonly rekey: PayloadOf<"notify"> | undefined;
    readonly replaces: ChildSa | undefined;
  },
): Payload | undefined {
  const { rekey, replaces } = facts;
  if (ikeSa.state.name !== "established" || ikeSa.attempt?.isSent)
    return notify(NotifyType.TEMPORARY_FAILURE);
  if (rekey === undefined) return undefined;
  if (replaces === undefined) {
    // What the peer has made in answer to a request of ours may be known to it alone.
    const isUnderWay = [...ikeSa.childAttempts].some(({ offer }) => offer !== undefined);
    if (isUnderWay || isDeletingChild(ikeSa, decodeSpi(rekey.spi)))
      return notify(NotifyType.TEMPORARY_FAILURE);
    const { protocolId, spi } = rekey;
    return { ...notify(NotifyType.CHILD_SA_NOT_FOUND), protocolId, spi };
  }
  if (replaces.isDeleting || replaces.successor !== undefined) return notify(NotifyType.TEMPORARY_FAILURE);
  return undefined;
}

function findRekeyed(ikeSa: IkeSa, { protocolId, spi }: PayloadOf<"notify">): ChildSa | undefined {
  if (protocolId !== ProtocolId.ESP) return undefined;
  const outboundSpi = decodeSpi(spi);
  return ikeSa.childSas.find((childSa) => childSa.outboundSpi === outboundSpi);
}

function accept(
  ikeSa: IkeSa,
  facts: {
    readonly request: Wanted;
    readonly agreed: AgreedChild;
    readonly replaces: ChildSa | undefined;
    readonly kePayload: Payload | undefined;
    readonly sharedSecret: Uint8Array | undefined;
    readonly now: number;
  },
): Answer {
  const { request, agreed, replaces, kePayload, sharedSecret, now } = facts;
  const { state, machine } = ikeSa;
  if (state.name !== "established") return refusal(NotifyType.TEMPORARY_FAILURE);
  // Others of the same window may have come in while the secret was computed.
  if (isCrowded(ikeSa, replaces)) return refusal(NotifyType.NO_ADDITIONAL_SAS);
  const nr = machine.random.bytes(NONCE_LENGTH);
  const { proposal, keys } = state;
  const accepted = answerChild(ikeSa, request.wanted, {
    agreed,
    keying: { proposal, keys, ni: request.ni, nr, sharedSecret },
    isInitiator: false,
    carriesOutbound: replaces === undefined,
    replaces: replaces?.inboundSpi,
    now,
  });
  if (accepted === undefined) return refusal(NotifyType.NO_ADDITIONAL_SAS);
  const { childSa, payloads } = accepted;
  if (replaces !== undefined) {
    replaces.successor = childSa;
    if (replaces.attempt !== undefined) replaces.attempt.rival = childSa;
    awaitDeletion(replaces, now);
  }
  const [sa, ...selectors] = payloads;
  const nonce: Payload = { kind: "nonce", critical: false, nonce: nr };
  return { payloads: [sa!, nonce, ...(kePayload === undefined ? [] : [kePayload]), ...selectors] };
}
