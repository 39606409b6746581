import type { IkeSa } from "./ike-sa.ts";
import { accountOf, isShared } from "./uniqueness.ts";

/**
 * A connection that has been through the door once more keeps its newest IKE SAs, and of one that many share, each account keeps its own. A
 * peer that connects, or replaces its IKE SA, again and again without deleting what it had would fill our memory else; one that has
 * lost what it had is served.
 */
export function thinOut(newest: IkeSa, now: number): void {
  const { machine, connection } = newest;
  const { ikeSaCount, ikeSaRemainsCount, accountIkeSaCount, accountIkeSaRemainsCount } = machine.limits;
  if (connection === undefined) return;
  const isOfMany = isShared(newest);
  const others = (
    isOfMany ? machine.ikeSasOfAccount(accountOf(newest)) : machine.ikeSasOf(connection.name)
  ).filter((ikeSa) => ikeSa !== newest && ikeSa.connection?.name === connection.name);
  const established = others.filter(({ state }) => state.name === "established");
  const most = isOfMany ? accountIkeSaCount : ikeSaCount;
  for (const ikeSa of established.slice(0, Math.max(0, established.length + 1 - most))) {
    ikeSa.terminate({ reason: "replaced", message: "the peer has set up more of them than it needs" }, now);
  }
  // What is being deleted, and what only answers what was asked before.
  const remains = others.filter(({ state }) => ["rekeyed", "deleting", "closed"].includes(state.name));
  const mostRemains = isOfMany ? accountIkeSaRemainsCount : ikeSaRemainsCount;
  for (const ikeSa of remains.slice(0, Math.max(0, remains.length - mostRemains))) {
    ikeSa.close({ reason: "replaced", message: "the peer does not confirm the deletion" }, now);
    ikeSa.forget();
  }
}
