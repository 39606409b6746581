// Traffic selectors: is this inner packet within one of them? Outbound our side is the source, inbound it is the destination.

import {
  destinationAddress,
  destinationPort,
  family,
  PORT_ABSENT,
  PORT_OPAQUE,
  protocol,
  sourceAddress,
  sourcePort,
} from "./inner-packet";
import {
  SELECTOR_BASE,
  SELECTOR_COUNT,
  SELECTOR_LOCAL_END_OFFSET,
  SELECTOR_LOCAL_START_OFFSET,
  SELECTOR_REMOTE_END_OFFSET,
  SELECTOR_REMOTE_START_OFFSET,
  SELECTOR_SIZE,
} from "./layout";
import { Selector } from "./records";

/** Whether the packet parsed last lies in one of `count` selectors from `first` on. */
export function matchesSelectors(first: u32, count: u32, inbound: bool): bool {
  if (<u64>first + <u64>count > <u64>SELECTOR_COUNT) return false;
  let at: usize = SELECTOR_BASE + first * SELECTOR_SIZE;
  for (let i: u32 = 0; i < count; i++, at += SELECTOR_SIZE) {
    if (matchesSelector(at, inbound)) return true;
  }
  return false;
}

/** Whether it lies in the selector at an address. */
export function matchesSelector(at: usize, inbound: bool): bool {
  const local = inbound ? destinationAddress : sourceAddress;
  const remote = inbound ? sourceAddress : destinationAddress;
  const localPort = inbound ? destinationPort : sourcePort;
  const remotePort = inbound ? sourcePort : destinationPort;
  const selector = changetype<Selector>(at);
  return (
    selector.family == family &&
    (selector.protocol == 0 || selector.protocol == protocol) &&
    isBetween(local, at + SELECTOR_LOCAL_START_OFFSET, at + SELECTOR_LOCAL_END_OFFSET) &&
    isBetween(remote, at + SELECTOR_REMOTE_START_OFFSET, at + SELECTOR_REMOTE_END_OFFSET) &&
    portMatches(localPort, selector.localPortStart, selector.localPortEnd) &&
    portMatches(remotePort, selector.remotePortStart, selector.remotePortEnd)
  );
}

function isBetween(address: usize, start: usize, end: usize): bool {
  if (family == 4) {
    const value = bswap<u32>(load<u32>(address));
    return value >= bswap<u32>(load<u32>(start)) && value <= bswap<u32>(load<u32>(end));
  }
  const high = bswap<u64>(load<u64>(address));
  const low = bswap<u64>(load<u64>(address, 8));
  const startHigh = bswap<u64>(load<u64>(start));
  const endHigh = bswap<u64>(load<u64>(end));
  return (
    (high > startHigh || (high == startHigh && low >= bswap<u64>(load<u64>(start, 8)))) &&
    (high < endHigh || (high == endHigh && low <= bswap<u64>(load<u64>(end, 8))))
  );
}

/** RFC 4301 section 4.4.1.1: ANY takes everything, OPAQUE takes what shows no port, and a range takes neither of the two. */
function portMatches(port: u32, start: u32, end: u32): bool {
  if (port == PORT_ABSENT || (start == 0 && end == 65535)) return true;
  if (start > end) return port == PORT_OPAQUE;
  return port >= start && port <= end;
}
