import { equal } from "../../bytes/constant-time.ts";
import { NotifyType } from "../../iana/ikev2-parameters.ts";
import type { ConnectionPolicy } from "../../policy/connection.ts";
import type { Payload } from "../../wire/payloads/payload.ts";
import type { Closing } from "../answer.ts";
import { redirected, redirectRefused } from "../events.ts";
import { begin, beginAgain, prepare } from "../exchanges/ike-sa-init.ts";
import type { IkeSa } from "../ike-sa.ts";
import { findNotify, notify } from "../payloads.ts";
import { isComing } from "../renewal.ts";
import { outrunTwin } from "../streams.ts";
import { decodeGateway, gatewayNotify, type NamedGateway } from "./notifications.ts";

// The client's side of RFC 5685. It says that it can be sent elsewhere, and to where it goes from where it was sent:
//
//   --> HDR(SPIi, 0), SAi1, KEi, Ni, N(REDIRECT_SUPPORTED)
//   <-- HDR(SPIi, 0), N(REDIRECT, new gateway, Ni)          section 3, by nobody who has shown who they are
//   --> HDR(SPIi, 0), SAi1, KEi, Ni, N(REDIRECTED_FROM, old gateway)     to the new gateway
//
//   <-- HDR, SK { IDr, AUTH, N(REDIRECT, new gateway) }     section 6, in IKE_AUTH
//   <-- HDR, SK { N(REDIRECT, new gateway) }                section 5, in a request of its own
//
// Wherever it is sent, the gateway there has to show that it is who the configuration says, as the first one had to. So whoever forges a
// redirect, and has to see our nonce for that, keeps us from the gateway for a while, as it could anyway, and gets nothing else.

/** Where an IKE SA goes in place of the configured address. */
export interface SentTo {
  readonly address: string;
  /** The gateway that has said so just now; undefined once the new one is ours. */
  readonly from: string | undefined;
}

/** What we say of redirects in IKE_SA_INIT. */
export function redirectSupport(ikeSa: IkeSa): readonly Payload[] {
  if (!follows(ikeSa.connection)) return [];
  const from = ikeSa.sentTo?.from;
  if (from === undefined) return [notify(NotifyType.REDIRECT_SUPPORTED)];
  return [gatewayNotify(NotifyType.REDIRECTED_FROM, from)];
}

/** A REDIRECT in the answer to our IKE_SA_INIT. Returns why not, where the attempt is to end for it; "dropped" is for what means nothing. */
export function obeyFirstRedirect(
  ikeSa: IkeSa,
  payloads: readonly Payload[],
  now: number,
): Closing | "dropped" | undefined {
  const { state, connection, machine } = ikeSa;
  const gateway = gatewayIn(payloads);
  if (state.name !== "initiating" || gateway === undefined || !follows(connection)) return "dropped";
  if (!equal(gateway.nonce, state.ni)) return "dropped";
  if (!machine.redirects.mayFollow(connection.name, now)) return tooMany(gateway);
  const from = ikeSa.path.remote.address;
  machine.report(redirected(ikeSa, gateway.host));
  outrunTwin(ikeSa, now);
  beginAgain(ikeSa);
  goTo(ikeSa, gateway, from);
  return undefined;
}

/** A REDIRECT in IKE_AUTH, from a gateway that has shown who it is. Returns whether there is one that we heed: then the IKE SA goes. */
export function obeyRedirectInAuth(ikeSa: IkeSa, payloads: readonly Payload[], now: number): boolean {
  const { connection, machine, trigger, renews } = ikeSa;
  const gateway = gatewayIn(payloads);
  if (gateway === undefined || !follows(connection)) return false;
  if (!machine.redirects.mayFollow(connection.name, now)) {
    ikeSa.leave(now, tooMany(gateway));
    return true;
  }
  machine.report(redirected(ikeSa, gateway.host));
  ikeSa.leave(now);
  const fresh = prepare(machine, connection, now);
  fresh.trigger = trigger;
  fresh.renews = renews;
  goTo(fresh, gateway, ikeSa.path.remote.address);
  return true;
}

/** A REDIRECT in an IKE SA that carries something: another one comes first, as when who we are is shown again. */
export function obeyLateRedirect(ikeSa: IkeSa, payloads: readonly Payload[], now: number): void {
  const { machine, state } = ikeSa;
  const gateway = gatewayIn(payloads);
  const connection = machine.connections.find(({ name }) => name === ikeSa.connection?.name);
  if (gateway === undefined || state.name !== "established" || !ikeSa.isCaller) return;
  if (!follows(connection) || isComing(machine, connection)) return;
  if (!machine.redirects.mayFollow(connection.name, now)) {
    machine.report(redirectRefused(ikeSa, tooMany(gateway).message));
    return;
  }
  machine.report(redirected(ikeSa, gateway.host));
  const fresh = prepare(machine, connection, now);
  fresh.renews = ikeSa;
  goTo(fresh, gateway, ikeSa.path.remote.address);
}

/** Where the gateway is, and whether we may go there, is found out elsewhere; nothing is sent before. */
function goTo(ikeSa: IkeSa, { host }: NamedGateway, from: string): void {
  const { state, machine } = ikeSa;
  const connection = ikeSa.connection?.name ?? "";
  machine.locate({ connection, host }, (found, now) => {
    if (ikeSa.state !== state) return;
    if (found.kind === "found") begin(ikeSa, { address: found.address, from }, now);
    else {
      const message = `${from} sends us to ${host}: ${found.reason}`;
      ikeSa.close({ reason: "redirect-refused", message }, now);
    }
  });
}

function gatewayIn(payloads: readonly Payload[]): NamedGateway | undefined {
  const data = findNotify(payloads, NotifyType.REDIRECT)?.data;
  return data && decodeGateway(data);
}

function follows(connection: ConnectionPolicy | undefined): connection is ConnectionPolicy {
  return connection !== undefined && connection.followsRedirects !== false;
}

function tooMany({ host }: NamedGateway): Closing {
  const message = `the peer sends us to ${host}, and we were sent elsewhere too often of late`;
  return { reason: "redirect-refused", message };
}
