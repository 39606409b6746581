import type { HeaderFields } from "../wire/message.ts";
import type { Payload } from "../wire/payloads/payload.ts";

/** A message that is about to be protected. */
export interface Outgoing {
  readonly header: HeaderFields;
  readonly payloads: readonly Payload[];
}

/** Makes something else of it. For tests, where an endpoint has to misbehave on purpose. */
export type Impair = (outgoing: Outgoing) => Outgoing;
