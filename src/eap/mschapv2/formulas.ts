import { createCipheriv, createHash } from "node:crypto";
import { concat } from "../../bytes/concat.ts";
import { wipe } from "../../bytes/wipe.ts";
import { md4 } from "../../crypto/md4.ts";
import { octetsWithoutDomain } from "../names.ts";

export const CHALLENGE_LENGTH = 16;
export const NT_RESPONSE_LENGTH = 24;
export const AUTHENTICATOR_RESPONSE_LENGTH = 20;

/** What the two sides have told each other. `name` is the user name as it stands in the Response, octet by octet. */
export interface Exchange {
  readonly authenticatorChallenge: Uint8Array;
  readonly peerChallenge: Uint8Array;
  readonly name: Uint8Array;
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

/** RFC 2759 section 8.7. */
const MAGIC_1 = text("Magic server to client signing constant");
const MAGIC_2 = text("Pad to make it do more than one iteration");

/** GenerateNTResponse, RFC 2759 section 8.1: 24 octets that show that the peer knows the hash of the password. */
export function ntResponse(exchange: Exchange, ntHash: Uint8Array): Uint8Array {
  return challengeResponse(challengeHash(exchange), ntHash);
}

/** GenerateAuthenticatorResponse, RFC 2759 section 8.7: 20 octets that show that the server knows it as well. */
export function authenticatorResponse(
  exchange: Exchange,
  { ntHash, ntResponse }: { readonly ntHash: Uint8Array; readonly ntResponse: Uint8Array },
): Uint8Array {
  const hashOfHash = md4(ntHash);
  const digest = sha1(hashOfHash, ntResponse, MAGIC_1);
  const response = sha1(digest, challengeHash(exchange), MAGIC_2);
  wipe(hashOfHash, digest);
  return response;
}

/** ChallengeHash, RFC 2759 section 8.2: 8 octets. */
export function challengeHash({ peerChallenge, authenticatorChallenge, name }: Exchange): Uint8Array {
  return sha1(peerChallenge, authenticatorChallenge, octetsWithoutDomain(name)).subarray(0, 8);
}

/** ChallengeResponse, RFC 2759 section 8.5: the challenge under three DES keys, which are the hash and five zeros. */
function challengeResponse(challenge: Uint8Array, ntHash: Uint8Array): Uint8Array {
  const padded = new Uint8Array(21);
  padded.set(ntHash);
  const response = concat(
    desEncrypt(padded.subarray(0, 7), challenge),
    desEncrypt(padded.subarray(7, 14), challenge),
    desEncrypt(padded.subarray(14, 21), challenge),
  );
  wipe(padded);
  return response;
}

/** One block under 56 bits of key. OpenSSL 3 has no single DES by default; three times the same key in EDE comes to that. */
function desEncrypt(key56: Uint8Array, block: Uint8Array): Uint8Array {
  const key = new Uint8Array(24);
  for (let i = 0; i < 8; i++) {
    // Seven bits of key in each octet; the last bit is parity, which DES does not look at.
    const [high, low] = [i === 0 ? 0 : key56[i - 1]!, i === 7 ? 0 : key56[i]!];
    key[i] = (high << (8 - i)) | (low >>> i);
  }
  key.copyWithin(8, 0, 8);
  key.copyWithin(16, 0, 8);
  const cipher = createCipheriv("des-ede3-ecb", key, null).setAutoPadding(false);
  const sealed = new Uint8Array(cipher.update(block));
  wipe(key);
  return sealed;
}

function sha1(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash("sha1");
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}
