import { NotifyType, PayloadType } from "../iana/ikev2-parameters.ts";

/** What decides whether a first request is worth decoding. Views into the datagram. */
export interface InitGlance {
  readonly ni: Uint8Array;
  readonly cookie: Uint8Array | undefined;
}

/**
 * Walks the payload headers of an IKE_SA_INIT request, and looks into Ni and a cookie only: whoever floods us gets no more of our
 * time (RFC 7296 section 2.6). Returns why not as a sentence where the chain is broken or has no nonce.
 */
export function glanceAtInit(octets: Uint8Array): InitGlance | string {
  let ni: Uint8Array | undefined;
  let cookie: Uint8Array | undefined;
  let type = octets[NEXT_PAYLOAD_OFFSET]!;
  let at = HEADER_LENGTH;
  for (let count = 0; type !== PayloadType.NONE; count++) {
    if (count === PAYLOAD_LIMIT) return "IKE_SA_INIT request with too many payloads";
    if (at + GENERIC_HEADER_LENGTH > octets.length) return BROKEN;
    const length = (octets[at + 2]! << 8) | octets[at + 3]!;
    const end = at + length;
    if (length < GENERIC_HEADER_LENGTH || end > octets.length) return BROKEN;
    if (type === PayloadType.NONCE) {
      ni ??= octets.subarray(at + GENERIC_HEADER_LENGTH, end);
    } else if (type === PayloadType.N && length >= NOTIFY_DATA_OFFSET && cookie === undefined) {
      const data = at + NOTIFY_DATA_OFFSET + octets[at + SPI_SIZE_OFFSET]!;
      const notifyType = (octets[at + NOTIFY_TYPE_OFFSET]! << 8) | octets[at + NOTIFY_TYPE_OFFSET + 1]!;
      if (notifyType === NotifyType.COOKIE && data <= end) cookie = octets.subarray(data, end);
    }
    type = octets[at]!;
    at = end;
  }
  if (at !== octets.length) return BROKEN;
  return ni === undefined ? "IKE_SA_INIT request without Nonce" : { ni, cookie };
}

const BROKEN = "IKE_SA_INIT request whose payloads do not fit into it";
/** More than any honest request has, and few enough to walk. */
const PAYLOAD_LIMIT = 64;

const NEXT_PAYLOAD_OFFSET = 16;
const HEADER_LENGTH = 28;
const GENERIC_HEADER_LENGTH = 4;
/** From the payload's start: Protocol ID at 4. */
const SPI_SIZE_OFFSET = 5;
const NOTIFY_TYPE_OFFSET = 6;
const NOTIFY_DATA_OFFSET = 8;
