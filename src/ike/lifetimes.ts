import type { ChildSa } from "./child-sa.ts";
import { expireChild, rekeyChild } from "./exchanges/create-child-sa.ts";
import type { IkeSa } from "./ike-sa.ts";

/** A hard lifetime comes this much behind the soft one, in which a rekeying has to succeed. */
const HARD_TIME_FACTOR = 1.1;

/** Sets the timers of a child SA: rekeying after its soft lifetime, less some chance, and the end after the hard one. */
export function scheduleChild(childSa: ChildSa, now: number): void {
  const { machine } = childSa.owner;
  const timeMs = childSa.policy.rekey?.timeMs ?? machine.limits.childRekeyMs;
  cancelChild(childSa);
  if (!Number.isFinite(timeMs)) return;
  retryChild(childSa, { at: now + softTime(childSa.owner, timeMs) });
  childSa.timers.expire = machine.timers.set({
    at: childSa.establishedAt + Math.max(timeMs * HARD_TIME_FACTOR, timeMs + machine.limits.expiryMarginMs),
    reason: "expire",
    fire: (then) => expireChild(childSa, then),
  });
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
  machine.timers.cancel(childSa.timers.expire);
}

/** When the IKE SA is to be rekeyed, and when it ends if that fails; undefined for never. */
export function lifetimeOf(
  ikeSa: IkeSa,
  now: number,
): { readonly rekeyAt: number; readonly expireAt: number } | undefined {
  const timeMs = ikeSa.connection?.ikeRekeyMs ?? ikeSa.machine.limits.ikeRekeyMs;
  if (!Number.isFinite(timeMs)) return undefined;
  const hardMs = Math.max(timeMs * HARD_TIME_FACTOR, timeMs + ikeSa.machine.limits.expiryMarginMs);
  return { rekeyAt: now + softTime(ikeSa, timeMs), expireAt: now + hardMs };
}

/** Some time after an attempt that failed, with some chance so that both sides do not meet again. */
export function retryTime(ikeSa: IkeSa, now: number): number {
  const { rekeyRetryMs } = ikeSa.machine.limits;
  return now + rekeyRetryMs * (1 + fraction(ikeSa));
}

function softTime(ikeSa: IkeSa, timeMs: number): number {
  return timeMs * (1 - ikeSa.machine.limits.rekeyJitter * fraction(ikeSa));
}

function fraction({ machine }: IkeSa): number {
  const octets = machine.random.bytes(2);
  return ((octets[0]! << 8) | octets[1]!) / 0x1_0000;
}
