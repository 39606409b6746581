import { passSession } from "./client-session.ts";
import { tellToken } from "./crash-detection.ts";
import { createChild, failAttempt } from "./exchanges/create-child-sa.ts";
import type { IkeSa } from "./ike-sa.ts";
import { renewTicket } from "./resumption/tickets.ts";

// How one IKE SA takes the place of another (RFC 7296 section 2.8.2).

/** Another IKE SA takes over what `old` carries. */
export function bequeath(old: IkeSa, heir: IkeSa, now: number): void {
  if (old.state.name !== "established") return;
  standAside(old, heir, now);
  heir.predecessor = undefined;
  for (const childSa of old.childSas.splice(0)) {
    childSa.owner = heir;
    heir.childSas.push(childSa);
  }
  [heir.lease, old.lease] = [old.lease, undefined];
  passSession(old, heir);
  [heir.configuration, old.configuration] = [old.configuration, undefined];
  for (const attempt of old.childAttempts) heir.childAttempts.add(attempt);
  old.childAttempts.clear();
  for (const attempt of heir.childAttempts) {
    // Its key exchanges were the old one's.
    if (attempt.followUps !== undefined) failAttempt(heir, attempt, now);
  }
  for (const request of old.outbox.requests.takeAll()) heir.outbox.requests.enqueue(request);
  heir.hasPpk = old.hasPpk;
  heir.sentTo = old.sentTo;
  heir.redirectSupport = old.redirectSupport;
  heir.roundTripMs = old.roundTripMs;
  heir.prober.takeOver(old.prober, now);
  heir.mobility.takeOver(old.mobility, now);
  tellToken(heir, now);
  renewTicket(old, heir, now);
  const missing = old.postponed.takeAll();
  for (const policy of old.connection?.children ?? []) {
    if (missing.includes(policy.name)) createChild(heir, policy, now);
  }
}

/**
 * From now on `heir` is the one to use, and the peer is to delete this one. A peer that does not know of it never will: what deletes
 * the IKE SA that both replace may overtake the answer that makes this one. Then it is forgotten.
 */
export function standAside(ikeSa: IkeSa, heir: IkeSa, now: number): void {
  if (ikeSa.state.name !== "established") return;
  const { name: _, ...keyed } = ikeSa.state;
  ikeSa.state = { name: "rekeyed", ...keyed };
  ikeSa.successor = heir;
  ikeSa.predecessor = undefined;
  ikeSa.pending.clear();
  for (const reason of ["liveness", "rekey", "renew", "ticket", "reauthenticate", "path-mtu"] as const) {
    ikeSa.timers.cancel(reason);
  }
  ikeSa.timers.set("expire", now + ikeSa.machine.limits.replacedTimeoutMs, (then) => {
    ikeSa.close({ reason: "replaced", message: "it has been replaced" }, then);
  });
}

/** Deletes an IKE SA that carries nothing, since another one does. */
export function retire(ikeSa: IkeSa, now: number): void {
  const { state } = ikeSa;
  if (state.name !== "established" && state.name !== "rekeyed") return;
  for (const reason of [
    "liveness",
    "rekey",
    "renew",
    "ticket",
    "reauthenticate",
    "expire",
    "path-mtu",
  ] as const) {
    ikeSa.timers.cancel(reason);
  }
  ikeSa.state = { ...state, name: "deleting" };
  ikeSa.pending.clear();
  ikeSa.requestDeletion(now);
}
