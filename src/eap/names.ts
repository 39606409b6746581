import { LONGEST_IDENTITY } from "./limits.ts";

const CONTROL = /\p{Cc}/u;

/** The text of an identity or user name that a peer sent, or undefined for what is empty, too long, not UTF-8, or not fit to be printed. */
export function decodeName(octets: Uint8Array): string | undefined {
  if (octets.length === 0 || octets.length > LONGEST_IDENTITY) return undefined;
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(octets);
    return CONTROL.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}

/** "anna" of "DOMAIN\anna": RFC 2759 section 4 leaves the domain out of what is computed. */
export function withoutDomain(name: string): string {
  return name.slice(name.indexOf("\\") + 1);
}

/** As `withoutDomain`, for octets whose encoding is the peer's affair. A view. */
export function octetsWithoutDomain(name: Uint8Array): Uint8Array {
  return name.subarray(name.indexOf(BACKSLASH) + 1);
}

const BACKSLASH = 0x5c;
