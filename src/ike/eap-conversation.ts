import type { EapGrants, EapSession, EapStep } from "../eap/session.ts";
import type { ConnectionPolicy, Identity } from "../policy/connection.ts";
import type { Payload } from "../wire/payloads/payload.ts";

/** EAP within IKE_AUTH, from its first packet on (RFC 7296 section 2.16). */
export interface EapConversation {
  readonly session: EapSession;
  /** Responder: what the first message asked for, and the last one is answered with. */
  readonly request: FirstRequest | undefined;
  /** No AUTH of the responder came first: the method's key is all that shows who it is (RFC 5998 section 3). */
  readonly isEapOnly: boolean;
  /** Packets of the peer. */
  rounds: number;
  /** EAP-Success has come or gone, and AUTH is due. */
  outcome: EapOutcome | undefined;
}

/** The first IKE_AUTH request, in octets of its own. */
export interface FirstRequest {
  readonly connection: ConnectionPolicy;
  readonly identity: Identity;
  /** Without identities and certificates. */
  readonly payloads: readonly Payload[];
}

interface EapOutcome {
  /** The EAP identity. */
  readonly user: string;
  /** Key of both last AUTH payloads; undefined for a method without keys, for which SK_p takes its place. */
  readonly msk: Uint8Array | undefined;
  /** What RADIUS grants with it. */
  readonly grants: EapGrants | undefined;
}

export function eapPayload(octets: Uint8Array): Payload {
  return { kind: "eap", critical: false, octets };
}

/** Nothing of the login stays: what the session holds, and its key. */
export function endLogin(eap: EapConversation | undefined): void {
  eap?.session.dispose();
  eap?.outcome?.msk?.fill(0);
}

/** A step that comes when nobody waits for it any more. */
export function wipeStep(step: EapStep): void {
  if (step.kind === "success") step.msk?.fill(0);
}
