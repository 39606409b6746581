import { NotifyType } from "../iana/ikev2-parameters.ts";
import type { Payload } from "../wire/payloads/payload.ts";
import { findNotify } from "./payloads.ts";

/** What notifications beside SA, TSi and TSr say about a child SA (RFC 7296 section 1.3.1). */
export interface ChildMode {
  /** False when the peer says that it cannot tell padding for traffic flow confidentiality from what is in front of it. */
  readonly takesTfcPadding: boolean;
}

export function modeOf(payloads: readonly Payload[]): ChildMode {
  return { takesTfcPadding: findNotify(payloads, NotifyType.ESP_TFC_PADDING_NOT_SUPPORTED) === undefined };
}
