import { equal } from "../bytes/constant-time.ts";
import { wipe } from "../bytes/wipe.ts";
import { prf } from "../crypto/prf.ts";

/** 17 ASCII characters without a terminator (RFC 7296 section 2.15). */
const KEY_PAD = new TextEncoder().encode("Key Pad for IKEv2");

/** AUTH for a pre-shared key: prf(prf(Shared Secret, "Key Pad for IKEv2"), signed octets), RFC 7296 section 2.15. */
export function pskAuth(input: {
  readonly prfId: number;
  readonly psk: Uint8Array;
  readonly signedOctets: Uint8Array;
}): Uint8Array {
  const key = prf(input.prfId, input.psk, KEY_PAD);
  const authentication = prf(input.prfId, key, input.signedOctets);
  wipe(key);
  return authentication;
}

/** Whether `authentication` (Authentication Data from the peer) was made with the same key over the same octets. Compares in constant time. */
export function verifyPskAuth(input: {
  readonly prfId: number;
  readonly psk: Uint8Array;
  readonly signedOctets: Uint8Array;
  readonly authentication: Uint8Array;
}): boolean {
  return equal(pskAuth(input), input.authentication);
}
