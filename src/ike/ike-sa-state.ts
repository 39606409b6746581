import type { ComputeResult } from "../crypto/jobs.ts";
import type { IkeKeys } from "../crypto/keymat.ts";
import type { ConnectionPolicy } from "../policy/connection.ts";
import type { Proposal } from "../wire/payloads/proposal.ts";
import type { Closing } from "./answer.ts";
import type { ChildOffer } from "./child-sa.ts";
import type { EapConversation } from "./eap-conversation.ts";
import type { Intermediate } from "./intermediate-auth.ts";
import type { MessageProtection } from "./message-protection.ts";
import type { SessionState } from "./resumption/session-state.ts";
import type { OwnTicket } from "./resumption/ticket-wallet.ts";

/** What an IKE SA has achieved, with the data that exists at that point. */
export type IkeSaState =
  | Initiating
  | Resuming
  | Responding
  | Agreeing
  | Authenticating
  | Established
  | Rekeyed
  | Deleting
  | Closed;

export type KeyPair = Extract<ComputeResult, { kind: "key-pair" }>;

/** Initiator: IKE_SA_INIT is being prepared, or was sent and has no answer that we accept. */
export interface Initiating {
  readonly name: "initiating";
  readonly ni: Uint8Array;
  /** KeyExchangeMethod of the KE payload. */
  readonly group: number;
  /** Undefined while it is being made. */
  readonly keyPair: KeyPair | undefined;
  readonly cookie: Uint8Array | undefined;
  readonly natDetectionSource: Uint8Array;
  readonly groupsTried: readonly number[];
  /** COOKIE and INVALID_KE_PAYLOAD answers obeyed. */
  readonly restarts: number;
  /** The last request as it was sent: the octets that our AUTH covers. */
  readonly request: Uint8Array | undefined;
  /** An error that came without protection, and may be forged. */
  readonly hint: Closing | undefined;
}

/** Initiator: IKE_SESSION_RESUME was sent and has no answer that we accept. */
export interface Resuming {
  readonly name: "resuming";
  readonly ni: Uint8Array;
  readonly own: OwnTicket;
  readonly cookie: Uint8Array | undefined;
  readonly natDetectionSource: Uint8Array;
  /** COOKIE answers obeyed. */
  readonly restarts: number;
  /** The last request as it was sent: the octets that our AUTH covers. */
  readonly request: Uint8Array | undefined;
}

/** Responder: the key exchange of an accepted IKE_SA_INIT is being computed. */
interface Responding {
  readonly name: "responding";
}

/** Initiator: the answer was accepted, the shared secret is being computed. */
interface Agreeing {
  readonly name: "agreeing";
}

/** Both: there are keys, and nobody has shown who they are. */
export interface Authenticating extends Keyed {
  readonly name: "authenticating";
  readonly ni: Uint8Array;
  readonly nr: Uint8Array;
  /** IKE_SA_INIT, or IKE_SESSION_RESUME, in both directions as it was answered: what AUTH covers (RFC 7296 section 2.15). */
  readonly initRequest: Uint8Array;
  readonly initResponse: Uint8Array;
  /** Undefined where no exchange stands between IKE_SA_INIT and IKE_AUTH. */
  readonly intermediate: Intermediate | undefined;
  /** Initiator: the keys without the PPK, until the responder has said whether it is used. */
  readonly unmixed: IkeKeys | undefined;
  /** Initiator: the child SA offered in IKE_AUTH. */
  readonly offer: ChildOffer | undefined;
  /** Initiator: said in IKE_AUTH that this is the only SA. */
  readonly sentInitialContact: boolean;
  /** The initiator logs in by EAP, from the first packet on. */
  readonly eap: EapConversation | undefined;
  /** The session goes on that a ticket stands for: nobody shows who they are but by its keys. */
  readonly resumed: Resumed | undefined;
}

export interface Resumed {
  /** Its SK_d is overwritten. */
  readonly session: SessionState;
  readonly connection: ConnectionPolicy;
}

export interface Established extends Keyed {
  readonly name: "established";
  readonly establishedAt: number;
}

/** Another IKE SA has taken over, and the peer is to delete this one. */
interface Rekeyed extends Keyed {
  readonly name: "rekeyed";
  readonly establishedAt: number;
}

/** We have asked for the deletion of the SA; it carries nothing any more. */
interface Deleting extends Keyed {
  readonly name: "deleting";
  readonly establishedAt: number;
}

/** Nothing is left but the last answers, for a peer that did not hear them. */
interface Closed {
  readonly name: "closed";
  answersLeft: number;
}

export interface Keyed {
  readonly proposal: Proposal;
  readonly keys: IkeKeys;
  readonly protection: MessageProtection;
}

/** Whether the SA can protect messages. */
export function isKeyed(state: IkeSaState): state is Authenticating | Established | Rekeyed | Deleting {
  return ["authenticating", "established", "rekeyed", "deleting"].includes(state.name);
}
