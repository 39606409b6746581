import { ExchangeType } from "../iana/ikev2-parameters.ts";
import type { Payload } from "../wire/payloads/payload.ts";
import type { IkeSa } from "./ike-sa.ts";

/** Asks whether the peer is there (RFC 7296 section 2.4). `payloads`: what it is told on the occasion. */
export function checkLiveness(
  ikeSa: IkeSa,
  facts: { readonly isCommanded: boolean; readonly now: number; readonly payloads?: readonly Payload[] },
): boolean {
  if (ikeSa.state.name !== "established") return false;
  const { isCommanded, now, payloads = [] } = facts;
  return ikeSa.outbox.request(
    {
      purpose: { kind: "liveness", isCommanded },
      exchangeType: ExchangeType.INFORMATIONAL,
      build: ({ mobility }) => [...payloads, ...mobility.askForMapping()],
    },
    now,
  );
}

/** Asks unless something is being asked already: the answer to whatever it is tells the same. */
function askOnce(ikeSa: IkeSa, now: number): void {
  if (ikeSa.outbox.requests.outstanding === undefined) checkLiveness(ikeSa, { isCommanded: false, now });
}

/**
 * Something that anybody could have sent, or a long sleep of this machine, makes us doubt: the peer is asked, but not more often
 * than the limits say (RFC 7296 section 2.4: such a message changes nothing else).
 */
export function checkOnHint(ikeSa: IkeSa, now: number): void {
  if (now < ikeSa.hintedAt + ikeSa.machine.limits.hintIntervalMs) return;
  ikeSa.hintedAt = now;
  askOnce(ikeSa, now);
}

/**
 * Asks after each silence, for as long as the IKE SA is established. Authentic ESP is a sign of life as good as an IKE message. When we
 * send and nothing comes back, that is noticed sooner (RFC 7296 section 2.4: then it is essential).
 */
export function watchLiveness(ikeSa: IkeSa, now: number): void {
  const { limits } = ikeSa.machine;
  const intervalMs = ikeSa.connection?.liveness?.intervalMs ?? limits.livenessMs;
  if (!Number.isFinite(intervalMs)) return;
  const { sentAt, receivedAt } = trafficOf(ikeSa);
  const heardAt = Math.max(ikeSa.heardAt, receivedAt);
  // Compared as a time, not as a difference: a fraction lost in rounding must not make the timer due for ever.
  const due = heardAt + intervalMs;
  const { unansweredSince } = ikeSa;
  if (sentAt <= heardAt) ikeSa.unansweredSince = undefined;
  else if (unansweredSince === undefined || heardAt > unansweredSince) ikeSa.unansweredSince = now;
  else if (isUnanswered(ikeSa, now)) askOnce(ikeSa, now);
  if (now >= due) askOnce(ikeSa, now);
  if (ikeSa.state.name !== "established") return;
  const next = Math.min(now >= due ? now + intervalMs : due, now + limits.unansweredMs);
  ikeSa.timers.set("liveness", next, (then) => watchLiveness(ikeSa, then));
}

/** Whether child SAs have been sending for a while with nothing coming back. */
export function isUnanswered({ unansweredSince, machine }: IkeSa, now: number): boolean {
  return unansweredSince !== undefined && now >= unansweredSince + machine.limits.unansweredMs;
}

/** When the child SAs last carried something out, and something authentic in. */
export function trafficOf({ childSas, machine }: IkeSa): {
  readonly sentAt: number;
  readonly receivedAt: number;
} {
  const all = childSas.map(({ inboundSpi }) => machine.traffic(inboundSpi));
  return {
    sentAt: Math.max(...all.map((traffic) => traffic?.sentAt ?? Number.NEGATIVE_INFINITY)),
    receivedAt: Math.max(...all.map((traffic) => traffic?.receivedAt ?? Number.NEGATIVE_INFINITY)),
  };
}
