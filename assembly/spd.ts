// The outbound Security Policy Database: of the policies that match, the one with the lowest precedence decides, which is the
// first in the order of RFC 4301 section 4.4.1.
//
// A packet meets only policies that may be its own: those on its remote address's way down the tree, and there those on its
// local address's way. Both ways end after as many steps as prefixes differ on them, at most 32 or 128.

import { destinationAddress, family, sourceAddress } from "./inner-packet";
import {
  CONTROL_BASE,
  CONTROL_SPD_OFFSET,
  NODE_CHILDREN_OFFSET,
  ROOTS_IPV4_OFFSET,
  ROOTS_IPV6_OFFSET,
} from "./layout";
import { Node, Policy } from "./records";
import { matchesSelector } from "./selector";

// The addresses of the packet parsed last, from the first bit on as a number.
let remoteHigh: u64 = 0;
let remoteLow: u64 = 0;
let localHigh: u64 = 0;
let localLow: u64 = 0;

/** The roots that hold now. A batch asks once. */
export function activeRoots(): usize {
  return atomic.load<u32>(CONTROL_BASE + CONTROL_SPD_OFFSET);
}

/** The policy that decides about the packet parsed last, or null. */
export function findPolicy(roots: usize): Policy | null {
  if (roots == 0) return null;
  readAddresses();
  let best: Policy | null = null;
  let at: usize = atomic.load<u32>(roots + (family == 4 ? ROOTS_IPV4_OFFSET : ROOTS_IPV6_OFFSET));
  while (at != 0) {
    const node = changetype<Node>(at);
    if (!covers(node, remoteHigh, remoteLow)) break;
    best = findLocal(payloadOf(at), best);
    if (node.length == 128) break;
    at = childOf(at, node.length, remoteHigh, remoteLow);
  }
  return best;
}

function findLocal(at: usize, best: Policy | null): Policy | null {
  while (at != 0) {
    const node = changetype<Node>(at);
    if (!covers(node, localHigh, localLow)) break;
    best = findInList(payloadOf(at), best);
    if (node.length == 128) break;
    at = childOf(at, node.length, localHigh, localLow);
  }
  return best;
}

function findInList(at: usize, best: Policy | null): Policy | null {
  while (at != 0) {
    const policy = changetype<Policy>(at);
    if (best && policy.precedence >= best.precedence) break;
    if (matchesSelector(policy.selector, false)) return policy;
    at = atomic.load<u32>(at);
  }
  return best;
}

function readAddresses(): void {
  if (family == 4) {
    remoteHigh = (<u64>bswap<u32>(load<u32>(destinationAddress))) << 32;
    localHigh = (<u64>bswap<u32>(load<u32>(sourceAddress))) << 32;
    remoteLow = 0;
    localLow = 0;
  } else {
    remoteHigh = bswap<u64>(load<u64>(destinationAddress));
    remoteLow = bswap<u64>(load<u64>(destinationAddress, 8));
    localHigh = bswap<u64>(load<u64>(sourceAddress));
    localLow = bswap<u64>(load<u64>(sourceAddress, 8));
  }
}

function covers(node: Node, high: u64, low: u64): bool {
  const length = node.length;
  if (length == 0) return true;
  if (length <= 64) return (high ^ node.keyHigh) >> (64 - length) == 0;
  return high == node.keyHigh && (low ^ node.keyLow) >> (128 - length) == 0;
}

function payloadOf(node: usize): usize {
  return atomic.load<u32>(node + offsetof<Node>("payload"));
}

/** Where the address goes on behind a prefix of `length` bits, below 128. An IPv4 address has zeros behind its 32 bits. */
function childOf(node: usize, length: u32, high: u64, low: u64): usize {
  const bit = <usize>((length < 64 ? high >> (63 - length) : low >> (127 - length)) & 1);
  return atomic.load<u32>(node + NODE_CHILDREN_OFFSET + (bit << 2));
}
