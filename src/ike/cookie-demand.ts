import { NotifyType, PayloadType } from "../iana/ikev2-parameters.ts";

/**
 * The answer to a first request that should have shown a cookie, RFC 7296 section 2.6:
 *
 *   HDR(SPIi, 0), N(COOKIE)
 *
 * Laid out by hand: in a flood it is made thousands of times in a second, and the machine keeps nothing else.
 */
export function encodeCookieDemand(request: Uint8Array, cookie: Uint8Array): Uint8Array {
  const octets = new Uint8Array(COOKIE_OFFSET + cookie.length);
  for (let at = 0; at < SPI_LENGTH; at++) octets[at] = request[at]!;
  octets[NEXT_PAYLOAD_OFFSET] = PayloadType.N;
  octets[VERSION_OFFSET] = VERSION_2_0;
  octets[EXCHANGE_TYPE_OFFSET] = request[EXCHANGE_TYPE_OFFSET]!;
  octets[FLAGS_OFFSET] = FLAG_RESPONSE;
  octets[LENGTH_OFFSET + 3] = octets.length;
  octets[PAYLOAD_LENGTH_OFFSET + 1] = octets.length - HEADER_LENGTH;
  octets[NOTIFY_TYPE_OFFSET] = NotifyType.COOKIE >>> 8;
  octets[NOTIFY_TYPE_OFFSET + 1] = NotifyType.COOKIE & 0xff;
  octets.set(cookie, COOKIE_OFFSET);
  return octets;
}

// Lengths are below 256: header, generic header, four octets of the Notify payload, at most 64 of cookie.
const SPI_LENGTH = 8;
const NEXT_PAYLOAD_OFFSET = 16;
const VERSION_OFFSET = 17;
const EXCHANGE_TYPE_OFFSET = 18;
const FLAGS_OFFSET = 19;
const LENGTH_OFFSET = 24;
const HEADER_LENGTH = 28;
const PAYLOAD_LENGTH_OFFSET = 30;
const NOTIFY_TYPE_OFFSET = 34;
const COOKIE_OFFSET = 36;
const VERSION_2_0 = 0x20;
const FLAG_RESPONSE = 0x20;
