/** Octets of an IPv4 (4) or IPv6 (16) address in text, or undefined when it is neither. No zones, no leading zeros in IPv4. */
export function parseAddress(text: string): Uint8Array | undefined {
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

/** Canonical text (RFC 5952) of 4 or 16 octets. Throws RangeError for any other length. */
export function formatAddress(octets: Uint8Array): string {
  if (octets.length === 4) return `${octets[0]}.${octets[1]}.${octets[2]}.${octets[3]}`;
  if (octets.length === 16) return formatIpv6(octets);
  throw new RangeError(`${octets.length} octets are no IP address`);
}

/** 4 or 16 octets as one number. */
export function addressToNumber(octets: Uint8Array): bigint {
  let number = 0n;
  for (let at = 0; at < octets.length; at += 4) {
    const word =
      ((octets[at]! << 24) | (octets[at + 1]! << 16) | (octets[at + 2]! << 8) | octets[at + 3]!) >>> 0;
    number = (number << 32n) | BigInt(word);
  }
  return number;
}

/** The 4 or 16 octets of such a number. */
export function numberToAddress(number: bigint, length: number): Uint8Array {
  const octets = new Uint8Array(length);
  let rest = number;
  for (let at = length - 4; at >= 0; at -= 4) {
    const word = Number(BigInt.asUintN(32, rest));
    octets[at] = word >>> 24;
    octets[at + 1] = word >>> 16;
    octets[at + 2] = word >>> 8;
    octets[at + 3] = word;
    rest >>= 32n;
  }
  return octets;
}

/** An inclusive range of addresses of one family. */
export interface AddressRange {
  readonly start: Uint8Array;
  readonly end: Uint8Array;
}

/**
 * First and last address of "10.1.0.0/16" or "fd00::/64", or undefined when the text is neither. An address without a
 * length is a range of one; bits behind the prefix are ignored ("10.1.2.3/16" begins at 10.1.0.0).
 */
export function parsePrefix(text: string): AddressRange | undefined {
  const slash = text.indexOf("/");
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (address === undefined) return undefined;
  const bits = 8 * address.length;
  const length = slash < 0 ? bits : parseDecimal(text.slice(slash + 1), bits);
  if (length === undefined) return undefined;

  const start = address;
  const end = address.slice();
  for (let i = 0; i < address.length; i++) {
    const kept = Math.min(8, Math.max(0, length - 8 * i));
    const host = 0xff >>> kept;
    start[i] = start[i]! & ~host;
    end[i] = end[i]! | host;
  }
  return { start, end };
}

/** The /24 or /56 around an address, as a name for it: what one customer of a provider holds. */
export function customerPrefix(address: string): string {
  const octets = parseAddress(address);
  if (octets === undefined) return address;
  return octets.subarray(0, octets.length === 4 ? 3 : 7).join(".");
}

/** Read digit by digit: it happens for every datagram that we answer. */
function parseIpv4(text: string): Uint8Array | undefined {
  const octets = new Uint8Array(4);
  let [index, value, digits] = [0, 0, 0];
  for (let at = 0; at <= text.length; at++) {
    const code = at < text.length ? text.charCodeAt(at) : DOT;
    if (code === DOT) {
      if (digits === 0 || index === 4) return undefined;
      octets[index++] = value;
      value = digits = 0;
      continue;
    }
    const digit = code - ZERO;
    const isLeadingZero = digits > 0 && value === 0;
    value = 10 * value + digit;
    digits++;
    if (digit < 0 || digit > 9 || isLeadingZero || value > 255) return undefined;
  }
  return index === 4 ? octets : undefined;
}

const DOT = 0x2e;
const ZERO = 0x30;

/** A number from 0 to `maximum` without sign or leading zeros. */
function parseDecimal(text: string, maximum: number): number | undefined {
  if (!/^(0|[1-9][0-9]{0,2})$/.test(text)) return undefined;
  const value = Number(text);
  return value <= maximum ? value : undefined;
}

function parseIpv6(text: string): Uint8Array | undefined {
  const halves = text.split("::", 3);
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0]!, halves.length === 1);
  const tail = halves.length === 2 ? parseGroups(halves[1]!, true) : [];
  if (head === undefined || tail === undefined) return undefined;

  // "::" stands for at least one group of zeros (RFC 4291 section 2.2).
  const missing = 16 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 2) return undefined;
  const octets = new Uint8Array(16);
  octets.set(head);
  octets.set(tail, 16 - tail.length);
  return octets;
}

/** Octets of "2001:db8" or, where it may end the address, "ffff:192.0.2.1". */
function parseGroups(text: string, endsAddress: boolean): number[] | undefined {
  if (text === "") return [];
  const groups = text.split(":", 9);
  const octets: number[] = [];
  for (const [i, group] of groups.entries()) {
    if (endsAddress && i === groups.length - 1 && group.includes(".")) {
      const embedded = parseIpv4(group);
      if (embedded === undefined) return undefined;
      octets.push(...embedded);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return undefined;
      const value = Number.parseInt(group, 16);
      octets.push(value >>> 8, value & 0xff);
    }
  }
  return octets.length <= 16 ? octets : undefined;
}

function formatIpv6(octets: Uint8Array): string {
  // RFC 5952 section 5: addresses known to hold an IPv4 address end in it.
  if (octets.subarray(0, 10).every((octet) => octet === 0) && octets[10] === 0xff && octets[11] === 0xff) {
    return `::ffff:${octets.subarray(12).join(".")}`;
  }
  const groups = Array.from({ length: 8 }, (_, i) => (octets[2 * i]! << 8) | octets[2 * i + 1]!);
  const text = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(":");
  const { first, length } = longestRunOfZeros(groups);
  // RFC 5952 section 4.2.2: "::" must not shorten just one group.
  if (length < 2) return text(groups);
  return `${text(groups.slice(0, first))}::${text(groups.slice(first + length))}`;
}

/** The first of the longest runs (RFC 5952 section 4.2.3). */
function longestRunOfZeros(groups: readonly number[]): { readonly first: number; readonly length: number } {
  let longest = { first: 0, length: 0 };
  let first = 0;
  for (const [i, group] of groups.entries()) {
    if (group !== 0) first = i + 1;
    else if (i + 1 - first > longest.length) longest = { first, length: i + 1 - first };
  }
  return longest;
}
