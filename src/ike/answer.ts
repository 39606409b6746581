import { NotifyType } from "../iana/ikev2-parameters.ts";
import type { Payload, PayloadOf } from "../wire/payloads/payload.ts";
import { notify } from "./payloads.ts";

/** What a processed request is answered with, and whether the SA ends there. */
export interface Answer {
  readonly payloads: readonly Payload[];
  readonly closing?: Closing;
}

/** Why an SA ends. */
export interface Closing {
  /** A notification in registry spelling, or "timeout", "peer-deleted", "terminated", "replaced", "session-timeout", "protocol-error", "certificate". */
  readonly reason: string;
  /** A whole sentence. */
  readonly message: string;
  /** What was offered and what was allowed, where that is the reason. */
  readonly offered?: readonly string[];
  readonly allowed?: readonly string[];
}

/** A reason to end an SA that the peer is told as well. */
export interface Fault extends Closing {
  readonly notify: PayloadOf<"notify">;
}

/** One notification, and the SA goes on. */
export function refusal(notifyType: number, data?: Uint8Array): Answer {
  return { payloads: [notify(notifyType, data)] };
}

/** RFC 7296 section 2.21.3: who sends nonsense with the right keys loses the SA. */
export function nonsense(why: string): Answer {
  return {
    payloads: [notify(NotifyType.INVALID_SYNTAX)],
    closing: { reason: "INVALID_SYNTAX", message: `the peer's request makes no sense: ${why}` },
  };
}
