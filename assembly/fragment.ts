// An IPv4 packet that is longer than the path of its SA takes, and may be fragmented, is so before it is sealed (RFC 791 section 2.3): the
// host that it is for puts it together, not the gateway. All pieces have headers of equal length.

import {
  IPV4_FRAGMENT_OFFSET,
  IPV4_HEADER_LENGTH,
  IPV4_MORE_FRAGMENTS,
  IPV4_OFFSET_MASK,
} from "./ipv4-header";
import { writeIpv4Checksum } from "./transport-checksum";

const END_OF_OPTIONS: u8 = 0;
const NO_OPERATION: u8 = 1;
/** An option of which each fragment gets a copy (RFC 791 section 3.1). */
const COPIED: u8 = 0x80;

// The packet that is being fragmented.
let packet: usize = 0;
let headerLength: u32 = 0;
let payloadLength: u32 = 0;
let pieceLength: u32 = 0;

/** Looks at the IPv4 packet of `length` octets. Returns into how many fragments of at most `mtu` octets it goes, or 0 when that is too few. */
export function beginFragments(source: usize, length: u32, mtu: u32): u32 {
  packet = source;
  headerLength = (<u32>load<u8>(source) & 15) << 2;
  payloadLength = length - headerLength;
  // Offsets count in words of 8 octets.
  pieceLength = mtu > headerLength ? (mtu - headerLength) & ~7 : 0;
  return pieceLength == 0 ? 0 : (payloadLength + pieceLength - 1) / pieceLength;
}

/** Octets of fragment `index`. */
export function fragmentLength(index: u32): u32 {
  return headerLength + min<u32>(pieceLength, payloadLength - index * pieceLength);
}

/** Writes fragment `index`, with its checksum, to `destination`. */
export function writeFragment(destination: usize, index: u32): void {
  const from = index * pieceLength;
  const length = min<u32>(pieceLength, payloadLength - from);
  memory.copy(destination, packet, headerLength);
  memory.copy(destination + headerLength, packet + headerLength + from, length);
  if (index > 0) dropOptions(destination);
  // The packet may be a fragment itself.
  const before = <u32>bswap<u16>(load<u16>(packet, IPV4_FRAGMENT_OFFSET));
  let field = (before & ~IPV4_OFFSET_MASK) | ((before & IPV4_OFFSET_MASK) + (from >> 3));
  if (from + length < payloadLength) field |= IPV4_MORE_FRAGMENTS;
  store<u16>(destination, bswap<u16>(<u16>(headerLength + length)), 2);
  store<u16>(destination, bswap<u16>(<u16>field), IPV4_FRAGMENT_OFFSET);
  writeIpv4Checksum(destination, headerLength);
}

/** Options that are for the first fragment only make room for nothing in the others. */
function dropOptions(at: usize): void {
  const end = at + headerLength;
  for (let option = at + IPV4_HEADER_LENGTH; option < end; ) {
    const kind = load<u8>(option);
    if (kind == END_OF_OPTIONS) return;
    let length: usize = 1;
    if (kind != NO_OPERATION) {
      length = option + 1 < end ? <usize>load<u8>(option, 1) : 0;
      if (length < 2 || option + length > end) return;
      if ((kind & COPIED) == 0) memory.fill(option, NO_OPERATION, length);
    }
    option += length;
  }
}
