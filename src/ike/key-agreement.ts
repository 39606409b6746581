import { wipe } from "../bytes/wipe.ts";
import type { ComputeResult, PrivateKey } from "../crypto/jobs.ts";
import { deriveIkeKeys, deriveResumedIkeKeys } from "../crypto/keymat.ts";
import { keyLengths } from "../crypto/suites.ts";
import { additionalMethods } from "../policy/transforms.ts";
import type { Proposal } from "../wire/payloads/proposal.ts";
import type { IkeSa } from "./ike-sa.ts";
import type { Authenticating, Resumed } from "./ike-sa-state.ts";
import type { Intermediate } from "./intermediate-auth.ts";
import { MessageProtection } from "./message-protection.ts";
import { suiteOf } from "./proposals.ts";

/** Both sides of IKE_SA_INIT, or of IKE_SESSION_RESUME, as they went over the wire, and what was chosen. */
export interface InitResult {
  readonly proposal: Proposal;
  readonly ni: Uint8Array;
  readonly nr: Uint8Array;
  readonly initRequest: Uint8Array;
  readonly initResponse: Uint8Array;
}

/** Both public values are there: the shared secret, for as long as `then` takes. */
export function agree(
  ikeSa: IkeSa,
  facts: { readonly group: number; readonly privateKey: PrivateKey; readonly peerPublicValue: Uint8Array },
  then: (sharedSecret: Uint8Array, now: number) => void,
): void {
  const { name } = ikeSa.state;
  ikeSa.machine.compute({ kind: "agree", ...facts }, (result, now) => {
    if (result.kind === "shared-secret" && ikeSa.state.name === name) then(result.sharedSecret, now);
    if (result.kind === "shared-secret") wipe(result.sharedSecret);
    else if (ikeSa.state.name === name) {
      ikeSa.close(
        { reason: "protocol-error", message: `key exchange of group ${facts.group}: ${reasonOf(result)}` },
        now,
      );
    }
  });
}

/** From the shared secret to keys: the SA can now protect messages, and nobody knows with whom (RFC 7296 section 2.14). */
export function authenticate(ikeSa: IkeSa, init: InitResult, sharedSecret: Uint8Array): void {
  const { proposal, ni, nr } = init;
  const { initiatorSpi, responderSpi } = ikeSa;
  const { encryption, integrity, prfId } = suiteOf(proposal);
  const lengths = keyLengths({ encryption, integrity });
  const keys = deriveIkeKeys({ prfId, ni, nr, sharedSecret, initiatorSpi, responderSpi, lengths });
  begin(ikeSa, init, { keys, intermediate: intermediateOf(proposal), resumed: undefined });
}

/** The same from what a session has left, whose SK_d stays the caller's to wipe (RFC 5723 section 5.1). */
export function authenticateResumed(ikeSa: IkeSa, init: InitResult, resumed: Resumed): void {
  const { proposal, ni, nr } = init;
  const { initiatorSpi, responderSpi } = ikeSa;
  const { encryption, integrity, prfId } = suiteOf(proposal);
  const lengths = keyLengths({ encryption, integrity });
  const oldSkD = resumed.session.skD;
  const keys = deriveResumedIkeKeys({ prfId, oldSkD, ni, nr, initiatorSpi, responderSpi, lengths });
  begin(ikeSa, init, { keys, intermediate: undefined, resumed });
}

function begin(
  ikeSa: IkeSa,
  init: InitResult,
  facts: Pick<Authenticating, "keys" | "intermediate" | "resumed">,
): void {
  const { proposal, ni, nr } = init;
  const { keys } = facts;
  const { role, machine } = ikeSa;
  const fragmentLength = ikeSa.supportsFragmentation ? machine.limits.fragmentLength : undefined;
  const protection = new MessageProtection({ proposal, keys, role, random: machine.random, fragmentLength });
  ikeSa.lowestNonce = (Buffer.compare(ni, nr) < 0 ? ni : nr).slice();
  ikeSa.state = {
    name: "authenticating",
    protection,
    ...init,
    ...facts,
    unmixed: undefined,
    offer: undefined,
    sentInitialContact: false,
    eap: undefined,
  };
}

function intermediateOf(proposal: Proposal): Intermediate | undefined {
  const remaining = additionalMethods(proposal);
  if (remaining.length === 0) return undefined;
  const nothing = new Uint8Array(0);
  return { remaining, count: 0, initiator: nothing, responder: nothing, earlier: undefined };
}

/** Why a job brought nothing that we can use. */
export function reasonOf(result: ComputeResult): string {
  return result.kind === "failed" ? result.reason : "the provider returned another result";
}
