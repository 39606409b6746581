import { createHash } from "node:crypto";
import { concat } from "../bytes/concat.ts";
import { equal } from "../bytes/constant-time.ts";
import type { Certificate } from "./certificate.ts";

const HASH_LENGTH = 20;
/** Windows names all CAs of its store: it was seen to need 29 fragments, which hold some 700. A longer list is not a request. */
const MAXIMUM_HASHES = 1024;

/** What names a CA in a CERTREQ payload: SHA-1 of its SubjectPublicKeyInfo (RFC 7296 section 3.7). */
export function authorityHash({ publicKeyInfo }: Pick<Certificate, "publicKeyInfo">): Uint8Array {
  return new Uint8Array(createHash("sha1").update(publicKeyInfo).digest());
}

/** Certification Authority field of a CERTREQ payload. */
export function encodeAuthorityHashes(hashes: readonly Uint8Array[]): Uint8Array {
  return concat(...hashes.slice(0, MAXIMUM_HASHES));
}

/** The hashes in a Certification Authority field; an odd rest and what is beyond the limit are passed over. */
export function decodeAuthorityHashes(field: Uint8Array): Uint8Array[] {
  const count = Math.min(MAXIMUM_HASHES, Math.floor(field.length / HASH_LENGTH));
  return Array.from({ length: count }, (_, i) => field.subarray(i * HASH_LENGTH, (i + 1) * HASH_LENGTH));
}

/** Whether two lists have a hash in common. */
export function namesAnyOf(requested: readonly Uint8Array[], own: readonly Uint8Array[]): boolean {
  return requested.some((hash) => own.some((mine) => equal(hash, mine)));
}
