import { ExchangeType } from "../iana/ikev2-parameters.ts";
import type { IkeSa } from "./ike-sa.ts";

/** Asks whether the peer is there (RFC 7296 section 2.4). */
export function checkLiveness(
  ikeSa: IkeSa,
  facts: { readonly isCommanded: boolean; readonly now: number },
): boolean {
  if (ikeSa.state.name !== "established") return false;
  return ikeSa.outbox.request(
    {
      purpose: { kind: "liveness", isCommanded: facts.isCommanded },
      exchangeType: ExchangeType.INFORMATIONAL,
      build: () => [],
    },
    facts.now,
  );
}

/** Asks after each silence, for as long as the IKE SA is established. */
export function watchLiveness(ikeSa: IkeSa, now: number): void {
  const livenessMs = ikeSa.connection?.liveness?.intervalMs ?? ikeSa.machine.limits.livenessMs;
  if (!Number.isFinite(livenessMs)) return;
  // Compared as a time, not as a difference: a fraction lost in rounding must not make the timer due for ever.
  const due = ikeSa.heardAt + livenessMs;
  if (now >= due && ikeSa.outbox.requests.outstanding === undefined) {
    checkLiveness(ikeSa, { isCommanded: false, now });
  }
  if (ikeSa.state.name !== "established") return;
  ikeSa.timers.set("liveness", now >= due ? now + livenessMs : due, (then) => watchLiveness(ikeSa, then));
}
