import { createHash, createHmac } from "node:crypto";
import { equal } from "../bytes/constant-time.ts";
import { RadiusAttribute } from "../iana/radius.ts";
import { AUTHENTICATOR_LENGTH, HEADER_LENGTH } from "./packet.ts";

/** Message-Authenticator of a packet, before it is known (RFC 3579 section 3.2): 16 zeros. */
export const UNSIGNED: Uint8Array = new Uint8Array(AUTHENTICATOR_LENGTH);

/**
 * Puts Message-Authenticator into a packet that has one of zeros: HMAC-MD5 over the whole, with the Authenticator of the request in its
 * place. For a request, that is its own. In place.
 */
export function signMessage(packet: Uint8Array, secret: Uint8Array): void {
  const at = messageAuthenticatorOf(packet);
  if (at === undefined) throw new TypeError("a packet without a place for Message-Authenticator");
  packet.set(createHmac("md5", secret).update(packet).digest(), at);
}

/**
 * Whether an answer to the request with this Authenticator comes from who shares the secret: by its Response Authenticator (RFC 2865
 * section 3) and by Message-Authenticator, without which the former can be forged (CVE-2024-3596).
 */
export function isAnswerGenuine(
  packet: Uint8Array,
  { request, secret }: { readonly request: Uint8Array; readonly secret: Uint8Array },
): boolean {
  const at = messageAuthenticatorOf(packet);
  if (at === undefined) return false;
  const length = (packet[2]! << 8) | packet[3]!;
  const asSigned = packet.slice(0, length);
  asSigned.set(request, 4);
  const response = createHash("md5").update(asSigned).update(secret).digest();
  asSigned.set(UNSIGNED, at);
  const message = createHmac("md5", secret).update(asSigned).digest();
  const isResponseRight = equal(response, packet.subarray(4, HEADER_LENGTH));
  const isMessageRight = equal(message, packet.subarray(at, at + AUTHENTICATOR_LENGTH));
  return isResponseRight && isMessageRight;
}

/**
 * Puts the Request Authenticator into an Accounting-Request: MD5 over the packet with zeros in its place, then the secret (RFC 2866
 * section 3). In place.
 */
export function signAccounting(packet: Uint8Array, secret: Uint8Array): void {
  packet.fill(0, 4, HEADER_LENGTH);
  packet.set(createHash("md5").update(packet).update(secret).digest(), 4);
}

/** Whether an Accounting-Response answers the request with this Authenticator and comes from who shares the secret (RFC 2866 section 3). */
export function isAccountingAnswerGenuine(
  packet: Uint8Array,
  { request, secret }: { readonly request: Uint8Array; readonly secret: Uint8Array },
): boolean {
  const length = (packet[2]! << 8) | packet[3]!;
  const asSigned = packet.slice(0, length);
  asSigned.set(request, 4);
  const response = createHash("md5").update(asSigned).update(secret).digest();
  return equal(response, packet.subarray(4, HEADER_LENGTH));
}

/**
 * Whether a Disconnect-Request or CoA-Request comes from who shares the secret: by its Request Authenticator (RFC 5176 section 2.3) and by
 * Message-Authenticator, which is made with zeros in the place of the former (section 3.4) and must be there.
 */
export function isRequestGenuine(packet: Uint8Array, secret: Uint8Array): boolean {
  const at = messageAuthenticatorOf(packet);
  if (at === undefined) return false;
  const length = (packet[2]! << 8) | packet[3]!;
  const asSigned = new Uint8Array(packet.subarray(0, length)).fill(0, 4, HEADER_LENGTH);
  const request = createHash("md5").update(asSigned).update(secret).digest();
  asSigned.set(UNSIGNED, at);
  const message = createHmac("md5", secret).update(asSigned).digest();
  const isRequestRight = equal(request, packet.subarray(4, HEADER_LENGTH));
  const isMessageRight = equal(message, packet.subarray(at, at + AUTHENTICATOR_LENGTH));
  return isRequestRight && isMessageRight;
}

/**
 * Puts Message-Authenticator and the Response Authenticator into an answer, which has a place for the former and the Authenticator of its
 * request (RFC 5176 section 2.3). In place.
 */
export function signAnswer(packet: Uint8Array, secret: Uint8Array): void {
  signMessage(packet, secret);
  packet.set(createHash("md5").update(packet).update(secret).digest(), 4);
}

/** Where the one Message-Authenticator of a well-formed packet has its value; undefined if there is none, or two. */
function messageAuthenticatorOf(packet: Uint8Array): number | undefined {
  const end = (packet[2]! << 8) | packet[3]!;
  let found: number | undefined;
  for (let at = HEADER_LENGTH; at + 2 <= end; at += packet[at + 1]!) {
    if (packet[at] !== RadiusAttribute.MESSAGE_AUTHENTICATOR) continue;
    if (found !== undefined || packet[at + 1] !== AUTHENTICATOR_LENGTH + 2) return undefined;
    found = at + 2;
  }
  return found;
}
