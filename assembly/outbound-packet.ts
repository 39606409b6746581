// One ESP packet of a batch, from a text that is ready to the job that seals it.

import { IV_OFFSET, SEQUENCE_OFFSET, TRAILER_LENGTH } from "./esp-header";
import { addJob, beginJobs, isFull, sealJobs } from "./jobs";
import { Descriptor, Sa } from "./records";

/** The longest payload of UDP over IPv4. */
const DATAGRAM_LIMIT: u32 = 65507;

/** Whether the ESP packet of `length` octets, padding and trailer not counted, fits into a datagram and before `end`. */
export function fitsInto(sa: Sa, destination: usize, length: u32, end: usize): bool {
  const espLength = espLengthOf(sa, length);
  return espLength <= DATAGRAM_LIMIT && <usize>espLength <= end - destination;
}

/** Where the text of the ESP packet at `destination` begins. */
export function textAt(sa: Sa, destination: usize): usize {
  return destination + IV_OFFSET + sa.ivLength;
}

/**
 * Adds the ESP packet of `length` octets at `source` to the descriptor's result. It writes the trailer behind the source, which is
 * where `textAt` says or does not overlap with the ESP packet.
 */
export function addPacket(
  descriptor: Descriptor,
  sa: Sa,
  sequence: u64,
  source: usize,
  length: u32,
  nextHeader: u32,
): void {
  const destination: usize = descriptor.result + descriptor.resultLength;
  const padLength = padLengthOf(sa, length);
  const textLength = length + padLength + TRAILER_LENGTH;
  writeTrailer(source + length, padLength, nextHeader);
  store<u32>(destination, bswap<u32>(sa.spi));
  store<u32>(destination, bswap<u32>(<u32>sequence), SEQUENCE_OFFSET);
  // The IV of CBC is the kernel's to make, from the number in the nonce.
  if (sa.ivLength == 8) store<u64>(destination + IV_OFFSET, bswap<u64>(sequence));

  if (isFull()) {
    sealJobs();
    beginJobs();
  }
  const text = textAt(sa, destination);
  const job = addJob(sa, destination, sequence);
  job.salt = sa.salt;
  job.ivFirst = bswap<u32>(<u32>(sequence >> 32));
  job.ivSecond = bswap<u32>(<u32>sequence);
  job.source = <u32>source;
  job.destination = <u32>text;
  job.length = textLength;
  job.tag = <u32>text + textLength;

  const espLength = espLengthOf(sa, length);
  descriptor.resultLength += espLength;
  if (descriptor.segmentCount == 0) descriptor.segmentLength = espLength;
  descriptor.segmentCount++;
  descriptor.sequence = sequence;
}

function espLengthOf(sa: Sa, length: u32): u32 {
  return IV_OFFSET + sa.ivLength + length + padLengthOf(sa, length) + TRAILER_LENGTH + sa.icvLength;
}

function padLengthOf(sa: Sa, length: u32): u32 {
  return (0 - (length + TRAILER_LENGTH)) & (sa.unit - 1);
}

/** RFC 4303 section 2.4: padding counts 1, 2, 3. */
function writeTrailer(at: usize, padLength: u32, nextHeader: u32): void {
  for (let i: u32 = 1; i <= padLength; i++) store<u8>(at++, <u8>i);
  store<u8>(at, <u8>padLength);
  store<u8>(at, <u8>nextHeader, 1);
}
