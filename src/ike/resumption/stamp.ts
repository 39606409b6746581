import { createHash, createHmac, type Hash } from "node:crypto";
import type { TrustPolicy } from "../../pki/trust.ts";
import type { TrustAnchors } from "../../pki/trust-anchors.ts";
import type { ConnectionPolicy, LocalAuthentication, RemoteAuthentication } from "../../policy/connection.ts";
import { identityKey } from "../../policy/identity.ts";

// A ticket is for the connection as it was: who we are, who the peer may be, and all that says so. With another pre-shared key, other CAs
// or other CRLs, or where others decide on logins, the peer shows again who it is.

/** The same for as long as the connection stays so, and of no use to whoever does not have SK_d. */
export function stampOf(connection: ConnectionPolicy, skD: Uint8Array): Uint8Array {
  return createHmac("sha256", skD).update(digestOf(connection)).digest();
}

function digestOf({ name, local, remote, ppk }: ConnectionPolicy): Uint8Array {
  const hash = createHash("sha256");
  put(hash, name);
  put(hash, identityKey(local.identity));
  put(hash, remote.identity === undefined ? "anybody" : identityKey(remote.identity));
  putLocal(hash, local.authentication);
  for (const authentication of remote.authentication) putRemote(hash, authentication);
  if (ppk !== undefined) {
    put(hash, ppk.id);
    put(hash, ppk.key);
  }
  return hash.digest();
}

function putLocal(hash: Hash, authentication: LocalAuthentication): void {
  put(hash, authentication.kind);
  if (authentication.kind === "psk") put(hash, authentication.key);
  if (authentication.kind === "eap") put(hash, authentication.client.account ?? "");
}

function putRemote(hash: Hash, authentication: RemoteAuthentication): void {
  put(hash, authentication.kind);
  switch (authentication.kind) {
    case "psk":
      put(hash, authentication.key);
      return;
    case "certificate":
      putTrust(hash, authentication.trust);
      return;
    case "raw-key":
      for (const key of authentication.keys) put(hash, key.export({ type: "spki", format: "der" }));
      return;
    case "eap":
      put(hash, authentication.accounts === undefined ? "" : "accounts");
      put(hash, authentication.deciders ?? "");
      if (authentication.trust !== undefined) putTrust(hash, authentication.trust);
      return;
    case "eap-only":
      return;
  }
}

function putTrust(hash: Hash, { anchors, purpose, revocation }: TrustPolicy): void {
  put(hash, purpose);
  put(hash, digestOfAnchors(anchors));
  if (revocation === undefined) return;
  const { mode, lists } = revocation.policy;
  put(hash, mode);
  for (const { issuer, thisUpdateMs, signed } of lists.current) {
    put(hash, issuer.canonical);
    put(hash, String(thisUpdateMs));
    put(hash, signed.signature);
  }
}

const anchorDigests = new WeakMap<TrustAnchors, Uint8Array>();

/** There may be more than a hundred, and they stay as they are. */
function digestOfAnchors(anchors: TrustAnchors): Uint8Array {
  const known = anchorDigests.get(anchors);
  if (known !== undefined) return known;
  const hash = createHash("sha256");
  for (const { der } of anchors.all) put(hash, der);
  const digest = hash.digest();
  anchorDigests.set(anchors, digest);
  return digest;
}

/** With the length in front, so that what follows cannot be taken for a part of it. */
function put(hash: Hash, value: string | Uint8Array): void {
  const octets = typeof value === "string" ? Buffer.from(value) : value;
  const length = Buffer.alloc(4);
  length.writeUInt32BE(octets.length);
  hash.update(length).update(octets);
}
