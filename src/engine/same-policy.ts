import { isDeepStrictEqual } from "node:util";
import type { ConnectionPolicy, LocalAuthentication, RemoteAuthentication } from "../policy/connection.ts";

/**
 * Whether a connection stays as it is under a policy that was read anew. Certificates, CAs and users are for those who come: nobody is
 * dropped because a certificate was renewed, or because clients that come are sent elsewhere. A pre-shared key and a peer's public keys are compared, since with others it is another peer.
 */
export function isSamePolicy(a: ConnectionPolicy, b: ConnectionPolicy | undefined): boolean {
  return b !== undefined && isDeepStrictEqual(comparable(a), comparable(b));
}

function comparable(policy: ConnectionPolicy) {
  const { redirectTo: _, ...rest } = policy;
  const { local, remote } = rest;
  return {
    ...rest,
    local: { ...local, authentication: wayOf(local.authentication) },
    remote: { ...remote, authentication: remote.authentication.map(wayOf) },
  };
}

function wayOf(authentication: LocalAuthentication | RemoteAuthentication) {
  if ("keys" in authentication) {
    return authentication.keys.map((key) => key.export({ type: "spki", format: "pem" }));
  }
  return authentication.kind === "psk" ? authentication : authentication.kind;
}
