// MSS clamping: a TCP SYN that passes the tunnel names no larger segments than fit into it (RFC 9293 section 3.7.1), so that the
// two ends do not have to find out by loss. In both directions: each end's SYN says what the other may send.

import { adjustChecksum } from "./checksum";
import { family, protocol, upperLayer, upperLength } from "./inner-packet";
import { EVENT_MSS_CLAMPED, SA_FLAG_CLAMP_MSS } from "./layout";
import { Sa } from "./records";
import { countEvent, innerMtuOf } from "./sad";
import { TCP, TCP_CHECKSUM_OFFSET } from "./transport-checksum";

const TCP_HEADER_LENGTH: u32 = 20;
const TCP_FLAGS_OFFSET: usize = 13;
const TCP_SYN: u8 = 0x02;
const IPV4_AND_TCP: u32 = 40;
const IPV6_AND_TCP: u32 = 60;

const END_OF_OPTIONS: u8 = 0;
const NO_OPERATION: u8 = 1;
const MAXIMUM_SEGMENT_SIZE: u8 = 2;
/** RFC 5925: it covers the other options. */
const TCP_AUTHENTICATION: u8 = 29;

/**
 * Lowers the MSS of the packet parsed last to what the SA carries, if it is a SYN. `isSummed`: its checksum is one; the device
 * may leave that to us.
 */
export function clampMss(sa: Sa, isSummed: bool): void {
  if (protocol != TCP || upperLength < TCP_HEADER_LENGTH) return;
  if ((load<u8>(upperLayer, TCP_FLAGS_OFFSET) & TCP_SYN) == 0) return;
  if ((sa.flags & SA_FLAG_CLAMP_MSS) == 0) return;
  const mtu = innerMtuOf(sa);
  const headers = family == 4 ? IPV4_AND_TCP : IPV6_AND_TCP;
  const at = findMss();
  if (at == 0 || mtu <= headers) return;
  const limit = mtu - headers;
  const value = upperLayer + at;
  const before = load<u16>(value);
  if (<u32>bswap<u16>(before) <= limit) return;
  const after = bswap<u16>(<u16>limit);
  store<u16>(value, after);
  if (isSummed) {
    // At an odd place the octets of the value lie in two words of the sum, each in the other's place.
    const isOdd = (at & 1) != 0;
    const field = upperLayer + TCP_CHECKSUM_OFFSET;
    adjustChecksum(field, isOdd ? bswap<u16>(before) : before, isOdd ? bswap<u16>(after) : after);
  }
  countEvent(sa, EVENT_MSS_CLAMPED);
}

/** Where in the TCP header the value of the MSS option is, or 0 when there is none that may be changed. */
function findMss(): u32 {
  const end = min<u32>((<u32>load<u8>(upperLayer, 12) >> 4) << 2, upperLength);
  let found: u32 = 0;
  for (let at = TCP_HEADER_LENGTH; at < end; ) {
    const kind = load<u8>(upperLayer + at);
    if (kind == END_OF_OPTIONS) break;
    if (kind == NO_OPERATION) {
      at++;
      continue;
    }
    if (at + 2 > end) break;
    const length = <u32>load<u8>(upperLayer + at, 1);
    if (length < 2 || at + length > end || kind == TCP_AUTHENTICATION) return 0;
    if (kind == MAXIMUM_SEGMENT_SIZE && length == 4) found = at + 2;
    at += length;
  }
  return found;
}
