import { NotifyType, ProtocolId, TransformType } from "../../iana/ikev2-parameters.ts";
import { additionalMethods, findTransform, isNone } from "../../policy/transforms.ts";
import type { Payload, PayloadOf } from "../../wire/payloads/payload.ts";
import { type Answer, nonsense, refusal } from "../answer.ts";
import { modeOf } from "../child-mode.ts";
import {
  type AgreedChild,
  answerChild,
  type ChildRequest,
  type ChildSa,
  chooseChild,
  installChild,
  isCrowded,
  lowestOf,
  promiseChild,
  reportChildRefusal,
} from "../child-sa.ts";
import { awaitDeletion, isDeletingChild } from "../child-sa-deletion.ts";
import type { IkeSa } from "../ike-sa.ts";
import { hasNonceLength, NONCE_LENGTH } from "../nonces.ts";
import { decodeSpi, find, findNotify, notify } from "../payloads.ts";
import type { PendingExchange } from "../pending-exchanges.ts";
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
      const isFurther = additionalMethods(choice.proposal).length > 0;
      const facts = { ...accepted, now: then, kePayload, sharedSecret };
      const answer =
        hindrance === undefined ? (isFurther ? promise : accept)(ikeSa, facts) : { payloads: [hindrance] };
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
): PayloadOf<"notify"> | undefined {
  const { rekey, replaces } = facts;
  const isReplaced = ikeSa.attempt?.isSent || ikeSa.pending.replacing(ikeSa) !== undefined;
  if (ikeSa.state.name !== "established" || isReplaced) return notify(NotifyType.TEMPORARY_FAILURE);
  if (rekey === undefined) return undefined;
  if (replaces === undefined) {
    // What the peer has made in answer to a request of ours may be known to it alone.
    const isUnderWay = [...ikeSa.childAttempts].some(({ offer }) => offer !== undefined);
    if (isUnderWay || isDeletingChild(ikeSa, decodeSpi(rekey.spi)))
      return notify(NotifyType.TEMPORARY_FAILURE);
    const { protocolId, spi } = rekey;
    return { ...notify(NotifyType.CHILD_SA_NOT_FOUND), protocolId, spi };
  }
  // RFC 9370 section 2.2.4: behind further key exchanges of ours there is no attempt of the peer's that would be the stronger one.
  const isOurs = replaces.attempt?.followUps !== undefined;
  const isGoing = replaces.isDeleting || replaces.successor !== undefined;
  return isOurs || isGoing ? notify(NotifyType.TEMPORARY_FAILURE) : undefined;
}

function findRekeyed(ikeSa: IkeSa, { protocolId, spi }: PayloadOf<"notify">): ChildSa | undefined {
  if (protocolId !== ProtocolId.ESP) return undefined;
  const outboundSpi = decodeSpi(spi);
  return ikeSa.childSas.find((childSa) => childSa.outboundSpi === outboundSpi);
}

interface Accepted {
  readonly request: Wanted;
  readonly agreed: AgreedChild;
  readonly replaces: ChildSa | undefined;
  readonly kePayload: Payload | undefined;
  readonly sharedSecret: Uint8Array | undefined;
  readonly now: number;
}

function accept(ikeSa: IkeSa, facts: Accepted): Answer {
  const { request, agreed, replaces, kePayload, sharedSecret, now } = facts;
  const { state, machine } = ikeSa;
  if (state.name !== "established") return refusal(NotifyType.TEMPORARY_FAILURE);
  // Others of the same window may have come in while the secret was computed.
  if (isCrowded(ikeSa, replaces)) return refusal(NotifyType.NO_ADDITIONAL_SAS);
  // A peer that asks anew has given up what it has begun before.
  if (replaces !== undefined) ikeSa.pending.drop(ikeSa.pending.replacing(replaces));
  const nr = machine.random.bytes(NONCE_LENGTH);
  const { proposal, keys } = state;
  const secrets = sharedSecret && { sharedSecret, furtherSecrets: new Uint8Array(0) };
  const accepted = answerChild(ikeSa, request.wanted, {
    agreed,
    keying: { proposal, keys, ni: request.ni, nr, secrets },
    ...arrival(replaces),
    now,
  });
  if (accepted === undefined) return refusal(NotifyType.NO_ADDITIONAL_SAS);
  const { childSa, payloads } = accepted;
  if (replaces !== undefined) supersede(replaces, childSa, now);
  return answerOf(payloads, { nr, kePayload });
}

/** Further key exchanges stand between the answer and the child SA. */
function promise(ikeSa: IkeSa, facts: Accepted): Answer {
  const { request, agreed, replaces, kePayload, sharedSecret, now } = facts;
  const { machine, pending } = ikeSa;
  if (isCrowded(ikeSa, replaces)) return refusal(NotifyType.NO_ADDITIONAL_SAS);
  if (replaces !== undefined) pending.drop(pending.replacing(replaces));
  if (pending.isFull || sharedSecret === undefined) return refusal(NotifyType.TEMPORARY_FAILURE);
  const promised = promiseChild(ikeSa, request.wanted, agreed);
  if (promised === undefined) return refusal(NotifyType.NO_ADDITIONAL_SAS);
  const nr = machine.random.bytes(NONCE_LENGTH);
  const { inboundSpi, payloads } = promised;
  const link = pending.await(
    toCome(ikeSa, {
      agreed: { ...agreed, proposal: { ...agreed.proposal, spi: agreed.proposal.spi.slice() } },
      rekey: request.rekey && { ...request.rekey, spi: request.rekey.spi.slice() },
      replaces,
      inboundSpi,
      ni: request.ni.slice(),
      nr,
      sharedSecret: sharedSecret.slice(),
    }),
    now,
  );
  const answer = answerOf(payloads, { nr, kePayload });
  return { payloads: [...answer.payloads, notify(NotifyType.ADDITIONAL_KEY_EXCHANGE, link)] };
}

/** What is kept of it meanwhile, and does not keep the message. */
function toCome(
  ikeSa: IkeSa,
  facts: Pick<Accepted, "agreed" | "replaces"> & {
    readonly rekey: PayloadOf<"notify"> | undefined;
    readonly inboundSpi: number;
    readonly ni: Uint8Array;
    readonly nr: Uint8Array;
    readonly sharedSecret: Uint8Array;
  },
): PendingExchange {
  const { agreed, rekey, replaces, inboundSpi, ni, nr, sharedSecret } = facts;
  return {
    replaces,
    lowestNonce: lowestOf(ni, nr),
    remaining: additionalMethods(agreed.proposal),
    secrets: [sharedSecret],
    conclude: (secrets, now) => {
      const { state } = ikeSa;
      // The peer may have given the SPI to another one meanwhile.
      const isThere = replaces !== undefined && ikeSa.childSas.includes(replaces);
      const hindrance = hindranceOf(ikeSa, { rekey, replaces: isThere ? replaces : undefined });
      if (hindrance !== undefined) return hindrance;
      if (state.name !== "established") return notify(NotifyType.TEMPORARY_FAILURE);
      if (isCrowded(ikeSa, replaces)) return notify(NotifyType.NO_ADDITIONAL_SAS);
      const { proposal, keys } = state;
      const keying = { proposal, keys, ni, nr, secrets };
      const childSa = installChild(ikeSa, { agreed, inboundSpi, keying, ...arrival(replaces), now });
      if (replaces !== undefined) supersede(replaces, childSa, now);
      return () => {};
    },
    giveBack: () => ikeSa.machine.emit({ kind: "release-spi", inboundSpi }),
  };
}

/** Our packets go on through the old one, until the peer shows that it has the new one. */
function arrival(replaces: ChildSa | undefined) {
  return { isInitiator: false, carriesOutbound: replaces === undefined, replaces: replaces?.inboundSpi };
}

/** The peer's new child SA takes the place of the old one, unless the nonces say otherwise. */
function supersede(replaces: ChildSa, childSa: ChildSa, now: number): void {
  replaces.successor = childSa;
  if (replaces.attempt !== undefined) replaces.attempt.rival = childSa;
  awaitDeletion(replaces, now);
}

function answerOf(
  [sa, ...selectors]: readonly Payload[],
  { nr, kePayload }: { readonly nr: Uint8Array; readonly kePayload: Payload | undefined },
): Answer {
  const nonce: Payload = { kind: "nonce", critical: false, nonce: nr };
  return { payloads: [sa!, nonce, ...(kePayload === undefined ? [] : [kePayload]), ...selectors] };
}
