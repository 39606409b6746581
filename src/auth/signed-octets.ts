import { concat } from "../bytes/concat.ts";
import { prf } from "../crypto/prf.ts";

/**
 * What one side signs, RFC 7296 section 2.15:
 *
 *   its own first message | the other side's nonce | prf(SK_p, body of its Identification payload)
 *
 * and behind that IntAuth, where there were IKE_INTERMEDIATE exchanges (RFC 9242 section 3.3.1). The initiator signs with SK_pi, IDi and Nr, the responder with SK_pr, IDr and Ni. `message` is the IKE_SA_INIT message as
 * it was sent the time that it was answered (with the cookie, if there was one), without the non-ESP marker.
 */
export function signedOctets(input: {
  readonly message: Uint8Array;
  readonly peerNonce: Uint8Array;
  readonly prfId: number;
  readonly skP: Uint8Array;
  /** From `identificationBody`. */
  readonly identificationBody: Uint8Array;
  readonly intAuth?: Uint8Array;
}): Uint8Array {
  const { message, peerNonce, prfId, skP, intAuth = new Uint8Array(0) } = input;
  return concat(message, peerNonce, prf(prfId, skP, input.identificationBody), intAuth);
}

/** Body of an Identification payload, RFC 7296 section 3.5: ID Type (1) | reserved (3) | Identification Data. */
export function identificationBody(identity: {
  readonly type: number;
  readonly data: Uint8Array;
}): Uint8Array {
  return concat(Uint8Array.of(identity.type, 0, 0, 0), identity.data);
}
