import type { KeyObject } from "node:crypto";
import { CertificateEncoding, HashAlgorithm, NotifyType } from "../iana/ikev2-parameters.ts";
import { SIGNATURE_HASHES } from "../pki/auth-methods.ts";
import { decodeAuthorityHashes, encodeAuthorityHashes } from "../pki/certificate-request.ts";
import { chooseCredential } from "../pki/choose-credential.ts";
import type { Credential } from "../pki/credential.ts";
import { encodeRawPublicKey } from "../pki/raw-public-key.ts";
import type { TrustAnchors } from "../pki/trust-anchors.ts";
import type { ConnectionPolicy } from "../policy/connection.ts";
import type { Payload } from "../wire/payloads/payload.ts";
import { findNotify, notify } from "./payloads.ts";

// Certificates and requests for them, RFC 7296 sections 3.6 and 3.7, and hash algorithms, RFC 7427 section 4.

/** CERT: the leaf first, then all intermediates, whether they were asked for or not. */
export function certificatePayloads({ chain }: Credential): readonly Payload[] {
  const encoding = CertificateEncoding.X509_SIGNATURE;
  return chain.map((data) => ({ kind: "certificate", critical: false, encoding, data }));
}

/** CERT with a raw public key (RFC 7670). */
export function rawKeyPayload(key: KeyObject): Payload {
  const encoding = CertificateEncoding.RAW_PUBLIC_KEY;
  return { kind: "certificate", critical: false, encoding, data: encodeRawPublicKey(key) };
}

/** The raw public key that the peer shows, as it sent it. */
export function rawKeyIn(payloads: readonly Payload[]): Uint8Array | undefined {
  for (const payload of payloads) {
    if (payload.kind !== "certificate" || payload.encoding !== CertificateEncoding.RAW_PUBLIC_KEY) continue;
    return payload.data;
  }
  return undefined;
}

/** The peer's certificates, its own first. What is encoded in another way is left out, and so is what comes behind `most`. */
export function certificatesIn(payloads: readonly Payload[], most: number): readonly Uint8Array[] {
  return payloads
    .flatMap((payload) =>
      payload.kind === "certificate" && payload.encoding === CertificateEncoding.X509_SIGNATURE
        ? [payload.data]
        : [],
    )
    .slice(0, most);
}

/**
 * CERTREQ: the authorities that we trust. With too many of them it names none, which leaves the choice to the peer. Another one where we
 * know peers by their keys, which has no authorities (RFC 7670 section 3).
 */
export function certificateRequest(
  connections: readonly ConnectionPolicy[],
  mostAuthorities: number,
): readonly Payload[] {
  const trusted = connections.flatMap(({ remote }) =>
    remote.authentication.flatMap((each) => (each.kind === "certificate" ? [each.trust.anchors] : [])),
  );
  const anchors = [...new Set(trusted)];
  const takesRawKeys = connections.some(({ remote }) =>
    remote.authentication.some(({ kind }) => kind === "raw-key"),
  );
  const rawKeys = takesRawKeys ? [requestFor(CertificateEncoding.RAW_PUBLIC_KEY, new Uint8Array(0))] : [];
  if (anchors.length === 0) return rawKeys;
  const count = anchors.reduce((sum, { all }) => sum + all.length, 0);
  const data = count > mostAuthorities ? new Uint8Array(0) : encodeAuthorityHashes(anchors.flatMap(hashesOf));
  return [requestFor(CertificateEncoding.X509_SIGNATURE, data), ...rawKeys];
}

function requestFor(encoding: number, data: Uint8Array): Payload {
  return { kind: "certificate-request", critical: false, encoding, data };
}

/** Asked for again and again, also by strangers. */
function hashesOf(anchors: TrustAnchors): readonly Uint8Array[] {
  const known = hashes.get(anchors) ?? anchors.hashes;
  hashes.set(anchors, known);
  return known;
}

const hashes = new WeakMap<TrustAnchors, readonly Uint8Array[]>();

/** The credential of ours that the peer can verify, as far as it says: by CERTREQ, its hash algorithms, and whom it wants to talk to. */
export function credentialFor(
  { local }: ConnectionPolicy,
  peer: {
    /** With the peer's CERTREQ. */
    readonly payloads: readonly Payload[];
    /** From `signatureHashesIn`. */
    readonly hashes: readonly number[];
  },
): Credential | undefined {
  const { authentication, identity } = local;
  if (authentication.kind !== "certificate") return undefined;
  const authorities = peer.payloads.flatMap((payload) =>
    payload.kind === "certificate-request" && payload.encoding === CertificateEncoding.X509_SIGNATURE
      ? decodeAuthorityHashes(payload.data)
      : [],
  );
  return chooseCredential(authentication.credentials, { hashes: peer.hashes, authorities, identity });
}

/** SIGNATURE_HASH_ALGORITHMS: what a signature of the peer may be made with. Said only where we verify any. */
export function signatureHashes(connections: readonly ConnectionPolicy[]): readonly Payload[] {
  const verifies = connections.some(({ remote }) =>
    remote.authentication.some(({ kind }) => kind === "certificate" || kind === "raw-key"),
  );
  if (!verifies) return [];
  const data = Uint8Array.from(SIGNATURE_HASHES.flatMap((id) => [id >>> 8, id & 0xff]));
  return [notify(NotifyType.SIGNATURE_HASH_ALGORITHMS, data)];
}

/**
 * HashAlgorithm numbers that we know and the peer takes; empty when it does not know RFC 7427. One that knows it and takes none of ours
 * is another matter: it does not get SHA-1, so what it announced stands for itself.
 */
export function signatureHashesIn(payloads: readonly Payload[]): readonly number[] {
  const data = findNotify(payloads, NotifyType.SIGNATURE_HASH_ALGORITHMS)?.data ?? new Uint8Array(0);
  const announced = new Set<number>();
  for (let at = 0; at + 1 < data.length; at += 2) announced.add((data[at]! << 8) | data[at + 1]!);
  const known = Object.values(HashAlgorithm).filter((id) => announced.has(id));
  return known.length > 0 ? known : [...announced].slice(0, 1);
}
