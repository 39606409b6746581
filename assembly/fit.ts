// What becomes of an inner packet that is longer than the path of its SA takes (RFC 4301 section 8):
//
//   df: clear, or copy and the packet has no DF     it goes whole, and may be fragmented outside
//   IPv4 without DF                                 it is fragmented before it is sealed; outside, where the SA would not let fragments in
//   IPv6 of up to 1280 octets                       it goes whole, and may be fragmented outside: its sender cannot send shorter ones
//   else                                            it is dropped, and its sender is told

import { family, hidePorts, totalLength } from "./inner-packet";
import { IPV4_DONT_FRAGMENT, IPV4_FRAGMENT_OFFSET } from "./ipv4-header";
import { SA_FLAG_COPY_DF, SA_FLAG_FRAGMENT_OUTSIDE } from "./layout";
import { Sa } from "./records";
import { innerMtuOf } from "./sad";
import { matchesSelectors } from "./selector";
import { isTransport } from "./transport-mode";

export const FITS: u32 = 0;
const FRAGMENTS_OUTSIDE: u32 = 1;
export const FRAGMENTS_INSIDE: u32 = 2;
export const DOES_NOT_FIT: u32 = 3;

/** RFC 8200 section 5. */
const IPV6_LEAST_MTU: u32 = 1280;

/** The longest inner packet of the SA that goes through in one piece. */
export function longestInner(sa: Sa): u32 {
  const mtu = innerMtuOf(sa);
  return mtu == 0 ? u32.MAX_VALUE : mtu;
}

/** What a sender is told: none of IPv6 can do with less than every link has. */
export function toldMtu(sa: Sa): u32 {
  return family == 6 ? max<u32>(innerMtuOf(sa), IPV6_LEAST_MTU) : innerMtuOf(sa);
}

/** How the packet of `length` octets at `inner`, or each of the pieces that the packet parsed last is cut into, gets through. */
export function fitOf(sa: Sa, inner: usize, length: u32): u32 {
  if ((sa.flags & SA_FLAG_FRAGMENT_OUTSIDE) != 0) return FRAGMENTS_OUTSIDE;
  const mayFragment = family == 4 && !hasDontFragment(inner);
  if (mayFragment && (sa.flags & SA_FLAG_COPY_DF) != 0) return FRAGMENTS_OUTSIDE;
  if (length <= longestInner(sa)) return FITS;
  if (family == 6) return length <= IPV6_LEAST_MTU ? FRAGMENTS_OUTSIDE : DOES_NOT_FIT;
  if (!mayFragment) return DOES_NOT_FIT;
  // RFC 4303 section 3.3.4: in transport mode fragments are not sealed.
  return length == totalLength && !isTransport(sa) && lettingFragmentsIn(sa)
    ? FRAGMENTS_INSIDE
    : FRAGMENTS_OUTSIDE;
}

function hasDontFragment(inner: usize): bool {
  return (<u32>bswap<u16>(load<u16>(inner, IPV4_FRAGMENT_OFFSET)) & IPV4_DONT_FRAGMENT) != 0;
}

/** RFC 4301 section 7: later fragments show no ports, and an SA for certain ports has no room for them. */
function lettingFragmentsIn(sa: Sa): bool {
  hidePorts();
  return matchesSelectors(sa.selectorFirst, sa.selectorCount, false);
}
