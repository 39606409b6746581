import { parseAddress } from "../../bytes/ip-address.ts";
import { ExchangeType, NotifyType } from "../../iana/ikev2-parameters.ts";
import type { Path } from "../../platform/address.ts";
import type { ConnectionPolicy } from "../../policy/connection.ts";
import { findCandidates } from "../../policy/pad.ts";
import { encodeMessage } from "../../wire/message.ts";
import type { Payload } from "../../wire/payloads/payload.ts";
import { redirectAnswered, sentAway } from "../events.ts";
import type { IkeSa } from "../ike-sa.ts";
import type { Machine } from "../machine.ts";
import { find, findNotify } from "../payloads.ts";
import { addressesOf } from "../ports.ts";
import { decodeGateway, gatewayNotify } from "./notifications.ts";

// The gateway's side of RFC 5685 (`follow.ts`): clients that can be sent elsewhere are, at the first message, behind IKE_AUTH, or when
// somebody wants it. The others are served.

/** What a client says of redirects. */
export interface RedirectSupport {
  /** The gateway that has sent it to us, where one has. */
  readonly from: string | undefined;
}

/** Of IKE_SA_INIT. REDIRECTED_FROM stands in the place of REDIRECT_SUPPORTED (RFC 5685 section 3). */
export function redirectSupportIn(payloads: readonly Payload[]): RedirectSupport | undefined {
  const data = findNotify(payloads, NotifyType.REDIRECTED_FROM)?.data;
  if (data !== undefined) return { from: decodeGateway(data)?.host };
  return findNotify(payloads, NotifyType.REDIRECT_SUPPORTED) && { from: undefined };
}

/**
 * The answer to a first request of somebody who goes elsewhere, where all connections that it may be for say so at the first message.
 * Nothing is kept. Nobody can have us send more than was sent to us, unless it has shown that it is there.
 */
export function redirectFirst(
  machine: Machine,
  request: {
    readonly payloads: readonly Payload[];
    readonly initiatorSpi: bigint;
    readonly path: Path;
    readonly length: number;
    readonly isRoutable: boolean;
    readonly now: number;
  },
): "redirected" | "dropped" | undefined {
  const { payloads, initiatorSpi, path, now } = request;
  const support = redirectSupportIn(payloads);
  const nonce = find(payloads, "nonce")?.nonce;
  if (support === undefined || nonce === undefined) return undefined;
  const [first, ...others] = findCandidates(machine.connections, addressesOf(path)).map(
    ({ redirectTo }) => redirectTo,
  );
  if (first === undefined || [first, ...others].some((each) => each?.when !== "init")) return undefined;
  if (mayComeFrom(support, first.host)) return undefined;
  const octets = encodeMessage({
    initiatorSpi,
    responderSpi: 0n,
    exchangeType: ExchangeType.IKE_SA_INIT,
    isInitiator: false,
    isResponse: true,
    messageId: 0,
    payloads: [gatewayNotify(NotifyType.REDIRECT, first.host, nonce)],
  });
  const isFair = request.isRoutable || octets.length <= request.length;
  if (!isFair || !machine.redirects.mayAnswer(now)) {
    machine.dropFrom("errorSuppressed", "more redirects than we answer with in a second", path, now);
    return "dropped";
  }
  machine.counters.transmitted++;
  machine.emit({ kind: "transmit", octets, path });
  machine.reportUnverified(() => redirectAnswered(path.remote, first.host), now);
  return "redirected";
}

/** Where a client goes that has shown who it is; undefined: nowhere, it is served. */
export function elsewhere(ikeSa: IkeSa, { redirectTo }: ConnectionPolicy): string | undefined {
  const { redirectSupport } = ikeSa;
  if (redirectTo === undefined || redirectSupport === undefined) return undefined;
  return mayComeFrom(redirectSupport, redirectTo.host) ? undefined : redirectTo.host;
}

/**
 * Whether it may have been sent here by the gateway that we would send it to. Clients say from where by an address, which says nothing of
 * a name: so where we have a name, everybody may whom anybody has sent.
 */
function mayComeFrom({ from }: RedirectSupport, host: string): boolean {
  if (from === undefined) return false;
  const [theirs, ours] = [parseAddress(from), parseAddress(host)];
  return theirs === undefined || ours === undefined || Buffer.compare(theirs, ours) === 0;
}

/** Whether a client of ours can be told to go elsewhere now. */
export function canBeSentAway({ state, isCaller, redirectSupport, predecessor }: IkeSa): boolean {
  return (
    state.name === "established" && predecessor === undefined && !isCaller && redirectSupport !== undefined
  );
}

/** RFC 5685 section 5: it is told, makes an IKE SA with the other gateway, and deletes this one. Nobody is cut off who does not. */
export function sendAway(ikeSa: IkeSa, host: string, now: number): void {
  if (!canBeSentAway(ikeSa)) return;
  ikeSa.machine.report(sentAway(ikeSa, host));
  ikeSa.outbox.request(
    {
      purpose: { kind: "redirect" },
      exchangeType: ExchangeType.INFORMATIONAL,
      build: () => [gatewayNotify(NotifyType.REDIRECT, host)],
    },
    now,
  );
}
