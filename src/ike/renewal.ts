import type { ConnectionPolicy } from "../policy/connection.ts";
import { initiate } from "./exchanges/ike-sa-init.ts";
import type { IkeSa } from "./ike-sa.ts";
import { cancelChild } from "./lifetimes.ts";
import type { Machine } from "./machine.ts";

// RFC 7296 section 2.8: where rekeying fails, the IKE SA is closed with all it carries, and a new one is set up. Here the new
// one comes first, so that no packet is without an SA; a peer that makes one child SA in IKE_AUTH and no other (section 1.3)
// is served by this all the time.

/** What the IKE SA carries shall go on in a new one: the hard lifetime of something is near, and rekeying has failed so far; or who we are is to be shown again. */
export function renew(ikeSa: IkeSa, now: number): void {
  const { machine, state } = ikeSa;
  const connection = machine.connections.find(({ name }) => name === ikeSa.connection?.name);
  if (state.name !== "established" || connection?.remote.address === undefined) return;
  // Where we were sent to is where we belong by now.
  const sentTo = ikeSa.sentTo && { address: ikeSa.sentTo.address, from: undefined };
  if (!isComing(machine, connection)) initiate(machine, connection, now, sentTo).renews = ikeSa;
}

/** Whether an IKE SA of the connection is being set up. */
export function isComing(machine: Machine, { name }: ConnectionPolicy): boolean {
  return machine
    .ikeSasOf(name)
    .some((other) => ["initiating", "resuming", "agreeing", "authenticating"].includes(other.state.name));
}

/** `fresh` is established. What it renews goes on for a moment, until both sides send through the new one. */
export function settleRenewal(fresh: IkeSa, now: number): void {
  const old = fresh.renews?.heir;
  fresh.renews = undefined;
  if (old?.state.name !== "established" || fresh.state.name !== "established") return;
  if (fresh.childSas.length === 0 && fresh.connection?.isChildless !== true) {
    // The old one may carry something for a while yet.
    fresh.terminate({ reason: "replaced", message: "the peer makes no child SA in it" }, now);
    return;
  }
  for (const reason of ["rekey", "renew", "reauthenticate"] as const) old.timers.cancel(reason);
  for (const childSa of old.childSas) cancelChild(childSa);
  const closing = { reason: "replaced", message: "another one was set up in its place" };
  old.timers.set("expire", now + old.machine.limits.renewedLingerMs, (then) => old.terminate(closing, then));
}
