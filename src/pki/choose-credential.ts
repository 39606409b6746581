import { authScheme } from "./auth-methods.ts";
import { namesAnyOf } from "./certificate-request.ts";
import type { Credential } from "./credential.ts";
import { type ClaimedIdentity, faultOfIdentity } from "./identity-match.ts";

/** What a peer has told of what it can verify. */
export interface PeerAbilities {
  /** SIGNATURE_HASH_ALGORITHMS, empty when it announced none. */
  readonly hashes: readonly number[];
  /** From its CERTREQ payloads, empty when it sent none. */
  readonly authorities: readonly Uint8Array[];
  /** Whom it wants to talk to, if it says so. */
  readonly identity?: ClaimedIdentity | undefined;
}

/**
 * The credential that a peer can verify, or undefined when no key of ours can sign for it. The first of these that there is:
 *
 *   1. a curve whose CA the peer names: it would not, if it could not verify it
 *   2. RSA whose CA the peer names
 *   3. RSA: iOS, macOS and Android send no CERTREQ, and verify little else
 *   4. any other
 *
 * Certificates for the name that the peer wants go before others.
 */
export function chooseCredential(
  credentials: readonly Credential[],
  peer: PeerAbilities,
): Credential | undefined {
  const usable = credentials.filter((credential) => authScheme({ ...credential, hashes: peer.hashes }));
  const { identity } = peer;
  const wanted = identity && usable.filter(({ certificate }) => !faultOfIdentity(certificate, identity));
  const candidates = wanted !== undefined && wanted.length > 0 ? wanted : usable;
  const isNamed = ({ issuerKeyHashes }: Credential): boolean => namesAnyOf(peer.authorities, issuerKeyHashes);
  const isRsa = ({ keyType }: Credential): boolean => keyType === "rsa";
  return (
    candidates.find((credential) => !isRsa(credential) && isNamed(credential)) ??
    candidates.find((credential) => isRsa(credential) && isNamed(credential)) ??
    candidates.find(isRsa) ??
    candidates[0]
  );
}
