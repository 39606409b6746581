import { formatAddress, parseAddress } from "../../bytes/ip-address.ts";

export interface ParsedPrefix {
  readonly family: 4 | 6;
  readonly octets: Uint8Array;
  readonly length: number;
}

/** Address and length of "10.1.2.3/16"; without a length, the whole address. Throws RangeError for anything else. */
export function parseCidr(text: string): ParsedPrefix {
  const [address, suffix] = text.split("/", 2);
  const octets = parseAddress(address!);
  if (octets === undefined) throw new RangeError(`${text} is no address or prefix`);
  const bits = 8 * octets.length;
  const length = suffix === undefined ? bits : Number(suffix);
  if (suffix !== undefined && (!/^[0-9]{1,3}$/.test(suffix) || length > bits)) {
    throw new RangeError(`${text} is no address or prefix`);
  }
  return { family: octets.length === 4 ? 4 : 6, octets, length };
}

/** The octets with everything behind the first `length` bits zeroed. */
export function networkOf({ octets, length }: Pick<ParsedPrefix, "octets" | "length">): Uint8Array {
  return octets.map((octet, i) => octet & ~(0xff >>> Math.min(8, Math.max(0, length - 8 * i))));
}

/** "10.1.0.0/16" for "10.1.2.3/16": host bits cleared, address in canonical text. */
export function canonicalPrefix(text: string): string {
  const parsed = parseCidr(text);
  return `${formatAddress(networkOf(parsed))}/${parsed.length}`;
}

/** Whether the address lies in the prefix; of different families, it does not. */
export function prefixContains(prefix: ParsedPrefix, address: ParsedPrefix): boolean {
  if (prefix.family !== address.family) return false;
  const network = networkOf(prefix);
  return networkOf({ octets: address.octets, length: prefix.length }).every(
    (octet, i) => octet === network[i],
  );
}
