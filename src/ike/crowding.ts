import type { IkeSa } from "./ike-sa.ts";

/**
 * A connection that has been through the door once more keeps its newest IKE SAs. A peer that connects, or replaces its IKE
 * SA, again and again without deleting what it had would fill our memory else; one that has lost what it had is served.
 */
export function thinOut(newest: IkeSa, now: number): void {
  const { machine, connection } = newest;
  const { ikeSaCount, ikeSaRemainsCount } = machine.limits;
  if (connection === undefined) return;
  const others = machine.ikeSasOf(connection.name).filter((ikeSa) => ikeSa !== newest);
  const established = others.filter(({ state }) => state.name === "established");
  for (const ikeSa of established.slice(0, Math.max(0, established.length + 1 - ikeSaCount))) {
    ikeSa.terminate({ reason: "replaced", message: "the peer has set up more of them than it needs" }, now);
  }
  // What is being deleted, and what only answers what was asked before.
  const remains = others.filter(({ state }) => ["rekeyed", "deleting", "closed"].includes(state.name));
  for (const ikeSa of remains.slice(0, Math.max(0, remains.length - ikeSaRemainsCount))) {
    ikeSa.close({ reason: "replaced", message: "the peer does not confirm the deletion" }, now);
    ikeSa.forget();
  }
}
