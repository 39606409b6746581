import type { ChildSa } from "./child-sa.ts";
import { expireChild, rekeyChild } from "./exchanges/create-child-sa.ts";
import type { IkeSa } from "./ike-sa.ts";
import { renew } from "./renewal.ts";
import { isShared } from "./uniqueness.ts";

/** A hard lifetime comes this much behind the soft one, in which a rekeying has to succeed. */
const HARD_TIME_FACTOR = 1.1;

/** Sets the timers of a child SA: rekeying after its soft lifetime, less some chance, and the end after the hard one. */
export function scheduleChild(childSa: ChildSa, now: number): void {
  const { machine } = childSa.owner;
  const timeMs = childSa.policy.rekey?.timeMs ?? machine.limits.childRekeyMs;
  cancelChild(childSa);
  if (isShared(childSa.owner)) {
    // Stock clients rekey, and some take it ill from a gateway: Windows breaks off.
    const { clientLifetimes } = childSa.owner.connection ?? {};
    const hardMs = clientLifetimes?.childMs ?? Math.max(timeMs, machine.limits.clientChildMs);
    expireAt(childSa, childSa.establishedAt + hardMs);
    return;
  }
  if (!Number.isFinite(timeMs)) return;
  retryChild(childSa, { at: now + softTime(childSa.owner, timeMs) });
  const end =
    childSa.establishedAt + Math.max(timeMs * HARD_TIME_FACTOR, timeMs + machine.limits.expiryMarginMs);
  expireAt(childSa, end);
  childSa.timers.renew = machine.timers.set({
    at: end - machine.limits.renewalMarginMs,
    reason: "renew",
    fire: (then) => {
      if (childSa.failedRekeys > 0) renew(childSa.owner, then);
    },
  });
}

function expireAt(childSa: ChildSa, at: number): void {
  if (!Number.isFinite(at)) return;
  const fire = (then: number): void => expireChild(childSa, then);
  childSa.timers.expire = childSa.owner.machine.timers.set({ at, reason: "expire", fire });
}

/** The next attempt to rekey the child SA comes at this time. */
export function retryChild(childSa: ChildSa, { at }: { readonly at: number }): void {
  const { machine } = childSa.owner;
  machine.timers.cancel(childSa.timers.rekey);
  childSa.timers.rekey = machine.timers.set({
    at,
    reason: "rekey",
    fire: (then) => rekeyChild(childSa, then),
  });
}

export function cancelChild(childSa: ChildSa): void {
  const { machine } = childSa.owner;
  machine.timers.cancel(childSa.timers.rekey);
  machine.timers.cancel(childSa.timers.renew);
  machine.timers.cancel(childSa.timers.expire);
}

/** When we rekey the IKE SA, where that is ours to do, and when it ends if nobody has; undefined for never. */
export function lifetimeOf(
  ikeSa: IkeSa,
  now: number,
): { readonly rekeyAt: number | undefined; readonly expireAt: number } | undefined {
  const { limits } = ikeSa.machine;
  const { clientLifetimes, ikeRekeyMs } = ikeSa.connection ?? {};
  if (clientLifetimes !== undefined && isShared(ikeSa)) {
    const { ikeMs } = clientLifetimes;
    return Number.isFinite(ikeMs) ? { rekeyAt: undefined, expireAt: now + ikeMs } : undefined;
  }
  const timeMs = ikeRekeyMs ?? (isShared(ikeSa) ? limits.clientIkeRekeyMs : limits.ikeRekeyMs);
  if (!Number.isFinite(timeMs)) return undefined;
  const hardMs = Math.max(timeMs * HARD_TIME_FACTOR, timeMs + limits.expiryMarginMs);
  return { rekeyAt: now + softTime(ikeSa, timeMs), expireAt: now + hardMs };
}

/** Some time after an attempt that failed, longer each time, with some chance so that both sides do not meet again. */
export function retryTime(
  ikeSa: IkeSa,
  facts: { readonly now: number; readonly failures: number; readonly mostMs?: number },
): number {
  const { rekeyRetryMs, rekeyRetryMaxMs } = ikeSa.machine.limits;
  const { now, failures, mostMs = rekeyRetryMaxMs } = facts;
  const waitMs = Math.min(rekeyRetryMs * 2 ** Math.max(0, failures - 1), mostMs);
  return now + waitMs * (1 + fraction(ikeSa));
}

function softTime(ikeSa: IkeSa, timeMs: number): number {
  return timeMs * (1 - ikeSa.machine.limits.rekeyJitter * fraction(ikeSa));
}

/** Some chance, from 0 up to, not including, 1. */
export function fraction({ machine }: IkeSa): number {
  const octets = machine.random.bytes(2);
  return ((octets[0]! << 8) | octets[1]!) / 0x1_0000;
}
