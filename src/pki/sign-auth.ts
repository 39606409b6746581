import { constants, type KeyObject, type SignKeyObjectInput, sign } from "node:crypto";
import { concat } from "../bytes/concat.ts";
import { PolicyError } from "../errors/index.ts";
import { AuthenticationMethod, HashAlgorithm, nameOf } from "../iana/ikev2-parameters.ts";
import { type AuthScheme, authScheme } from "./auth-methods.ts";
import type { KeyType } from "./public-keys.ts";
import type { SignatureAlgorithm } from "./signature-algorithms.ts";

const { DIGITAL_SIGNATURE } = AuthenticationMethod;

/** What goes into an Authentication payload (RFC 7296 section 3.8). */
export interface AuthSignature {
  /** AuthenticationMethod. */
  readonly method: number;
  readonly data: Uint8Array;
}

/**
 * Signs `octets` (from `signedOctets`) as a peer can verify it that announced `hashes` in SIGNATURE_HASH_ALGORITHMS; empty when it
 * announced none. The work is done on a thread of libuv's pool. Rejects with PolicyError (code "NO_COMMON_SIGNATURE") when
 * key and peer have no way to sign in common.
 */
export async function signAuth(input: {
  readonly credential: { readonly key: KeyObject; readonly keyType: KeyType };
  readonly octets: Uint8Array;
  readonly hashes: readonly number[];
  /** Whether an RSA key signs with RSASSA-PSS where it can. Only for peers that asked for it. */
  readonly prefersPss?: boolean;
}): Promise<AuthSignature> {
  const { credential, octets, hashes, prefersPss = false } = input;
  const scheme = authScheme({ ...credential, hashes, prefersPss });
  if (scheme === undefined) {
    const announced = hashes.map((id) => nameOf(HashAlgorithm, id)).join(", ");
    throw new PolicyError(
      `the peer verifies nothing that our ${credential.keyType} key can sign: it announced ${announced || "no hash"}`,
      { code: "NO_COMMON_SIGNATURE" },
    );
  }
  const signature = await signOnThread(scheme, octets, credential.key);
  return { method: scheme.method, data: authenticationData(scheme, signature) };
}

/** RFC 7427 section 3: ASN.1 Length (1) | AlgorithmIdentifier | Signature Value; the older methods have the signature alone. */
function authenticationData({ method, algorithm }: AuthScheme, signature: Uint8Array): Uint8Array {
  const { identifier } = algorithm;
  return method === DIGITAL_SIGNATURE
    ? concat(Uint8Array.of(identifier.length), identifier, signature)
    : signature;
}

function signOnThread(
  { method, algorithm }: AuthScheme,
  octets: Uint8Array,
  key: KeyObject,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const isRaw = method !== DIGITAL_SIGNATURE;
    sign(algorithm.hash, octets, signInput(algorithm, key, isRaw), (error, signature) => {
      if (error === null) resolve(signature);
      else reject(error);
    });
  });
}

function signInput({ scheme }: SignatureAlgorithm, key: KeyObject, isRaw: boolean): SignKeyObjectInput {
  if (scheme === "rsa-pkcs1") return { key, padding: constants.RSA_PKCS1_PADDING };
  if (scheme === "rsa-pss")
    return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
  return scheme === "ecdsa" ? { key, dsaEncoding: isRaw ? "ieee-p1363" : "der" } : { key };
}
