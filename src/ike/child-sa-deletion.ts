import { ExchangeType } from "../iana/ikev2-parameters.ts";
import type { ChildSa } from "./child-sa.ts";
import { childSaDeleted } from "./events.ts";
import type { IkeSa } from "./ike-sa.ts";
import { cancelChild, scheduleChild } from "./lifetimes.ts";
import { deleteChildSas } from "./payloads.ts";

// How child SAs end, from either side (RFC 7296 section 1.4.1).

/** Deletes child SAs here, and asks the peer to do the same. */
export function deleteOnBothSides(
  ikeSa: IkeSa,
  childSas: readonly ChildSa[],
  facts: { readonly reason: string; readonly now: number },
): void {
  if (childSas.length === 0) return;
  for (const childSa of childSas) removeChildSa(ikeSa, childSa, { reason: facts.reason });
  const inboundSpis = childSas.map(({ inboundSpi }) => inboundSpi);
  const outboundSpis = childSas.map(({ outboundSpi }) => outboundSpi);
  askToDelete(ikeSa, inboundSpis, { now: facts.now, outboundSpis });
}

/** Takes a child down: what is there, and what is on its way. */
export function terminateChild(
  ikeSa: IkeSa,
  name: string,
  facts: { readonly reason: string; readonly now: number },
): void {
  for (const attempt of ikeSa.childAttempts) if (attempt.policy.name === name) attempt.isUnwanted = true;
  ikeSa.postponed.cancel(name);
  const isThere = (childSa: ChildSa): boolean => childSa.name === name && !childSa.isDeleting;
  deleteOnBothSides(ikeSa, ikeSa.childSas.filter(isThere), facts);
}

/** Asks the peer to delete a child SA that has been replaced. Until it answers, we open what still comes. */
export function deleteReplaced(ikeSa: IkeSa, childSa: ChildSa, now: number): void {
  childSa.isDeleting = true;
  cancelChild(childSa);
  askToDelete(ikeSa, [childSa.inboundSpi], { now, outboundSpis: [childSa.outboundSpi] });
}

/** A child SA that the peer is to delete; after a while we do it ourselves. */
export function awaitDeletion(childSa: ChildSa, now: number): void {
  const { machine } = childSa.owner;
  cancelChild(childSa);
  childSa.timers.expire = machine.timers.set({
    at: now + machine.limits.replacedTimeoutMs,
    reason: "expire",
    fire: (then) => {
      const ikeSa = childSa.owner;
      const isThere = ikeSa.state.name === "established" && ikeSa.childSas.includes(childSa);
      if (isThere && !childSa.isDeleting) deleteReplaced(ikeSa, childSa, then);
    },
  });
}

/** The peer has deleted what we asked it to. */
export function confirmDeletion(ikeSa: IkeSa, inboundSpis: readonly number[]): void {
  for (const childSa of ikeSa.childSas.filter(({ inboundSpi }) => inboundSpis.includes(inboundSpi))) {
    removeChildSa(ikeSa, childSa, {
      reason: "it has been replaced",
      lingerMs: ikeSa.machine.limits.inboundLingerMs,
    });
  }
}

/** The peer has deleted a child SA: another one takes its place, or takes its own place again. */
export function giveUpChild(ikeSa: IkeSa, childSa: ChildSa, now: number): void {
  const { successor } = childSa;
  const isReplaced = successor !== undefined || childSa.isDeleting;
  removeChildSa(ikeSa, childSa, {
    reason: isReplaced ? "it has been replaced" : "the peer has deleted it",
    lingerMs: isReplaced ? ikeSa.machine.limits.inboundLingerMs : 0,
  });
  if (successor !== undefined && ikeSa.childSas.includes(successor) && !successor.isDeleting) {
    ikeSa.machine.emit({ kind: "use-child-sa", inboundSpi: successor.inboundSpi });
  }
  for (const other of ikeSa.childSas) if (other.successor === childSa) reinstate(other, now);
}

/** What was to take the place of `childSa` has been deleted: it goes on as before. */
function reinstate(childSa: ChildSa, now: number): void {
  childSa.successor = undefined;
  if (!childSa.isDeleting) scheduleChild(childSa, now);
}

/** Whether a child SA that the peer names has been deleted here, and the peer has not confirmed it. */
export function isDeletingChild(ikeSa: IkeSa, outboundSpi: number): boolean {
  const { allOutstanding, queue } = ikeSa.outbox.requests;
  return [...allOutstanding, ...queue].some(
    ({ purpose }) => purpose.kind === "delete-child-sas" && purpose.outboundSpis.includes(outboundSpi),
  );
}

/** `outboundSpis` are the peer's names of the same, as far as there are any. */
export function askToDelete(
  ikeSa: IkeSa,
  inboundSpis: readonly number[],
  facts: { readonly now: number; readonly outboundSpis?: readonly number[] },
): void {
  const { now, outboundSpis = [] } = facts;
  ikeSa.outbox.request(
    {
      purpose: { kind: "delete-child-sas", inboundSpis, outboundSpis },
      exchangeType: ExchangeType.INFORMATIONAL,
      build: () => [deleteChildSas(inboundSpis)],
    },
    now,
  );
}

/** Here only. The inbound half opens what is late for `lingerMs` more. */
export function removeChildSa(
  ikeSa: IkeSa,
  childSa: ChildSa,
  facts: { readonly reason: string; readonly lingerMs?: number },
): void {
  const { reason, lingerMs = 0 } = facts;
  const index = ikeSa.childSas.indexOf(childSa);
  if (index < 0) return;
  ikeSa.childSas.splice(index, 1);
  cancelChild(childSa);
  const { inboundSpi, outboundSpi } = childSa;
  ikeSa.machine.emit({ kind: "remove-child-sa", inboundSpi, outboundSpi, lingerMs });
  ikeSa.machine.report(childSaDeleted(ikeSa, { childSa, reason }));
}
