import type { IkeSa } from "../ike-sa.ts";

/** Addresses or routes of this machine have changed. What an IKE SA makes of it depends on how far it has come. */
export function networkChanged(ikeSa: IkeSa, now: number): void {
  switch (ikeSa.state.name) {
    case "initiating":
    case "resuming":
      // It names no address of ours unless it has to: the next transmission takes the new way.
      ikeSa.outbox.hurry(now);
      return;
    case "authenticating":
      if (ikeSa.isCaller) ikeSa.mobility.redirect(now);
      return;
    case "established":
      // While it is not decided whether it takes over from another, that one speaks for both.
      if (ikeSa.predecessor === undefined) ikeSa.mobility.networkChanged(now);
      else if (ikeSa.isCaller) ikeSa.mobility.redirect(now);
      return;
    case "rekeyed":
    case "deleting":
      if (ikeSa.isCaller && ikeSa.heir === ikeSa) ikeSa.mobility.redirect(now);
      return;
    case "responding":
    case "agreeing":
    case "closed":
      return;
  }
}
