import { createHash } from "node:crypto";

/** RFC 9562 section 6.6: the namespace of DNS names. */
const DNS_NAMESPACE = Buffer.from("6ba7b8109dad11d180b400c04fd430c8", "hex");

/**
 * A UUID that is the same whenever the same names are given (version 5, RFC 9562 section 5.5): a profile that is made again replaces
 * the one that a device has already.
 */
export function stableUuid(...names: readonly string[]): string {
  const octets = createHash("sha1")
    .update(DNS_NAMESPACE)
    .update(JSON.stringify(names))
    .digest()
    .subarray(0, 16);
  octets[6] = (octets[6]! & 0x0f) | 0x50;
  octets[8] = (octets[8]! & 0x3f) | 0x80;
  const digits = octets.toString("hex");
  return [
    [0, 8],
    [8, 12],
    [12, 16],
    [16, 20],
    [20, 32],
  ]
    .map(([start, end]) => digits.slice(start, end))
    .join("-");
}
