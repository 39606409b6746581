import { isDeepStrictEqual } from "node:util";
import type { ConnectionPolicy, LocalAuthentication, RemoteAuthentication } from "../policy/connection.ts";

/**
 * Whether a connection stays as it is under a policy that was read anew. Certificates, CAs and users are for those who come: nobody is
 * dropped because a certificate was renewed. A pre-shared key is compared, since with another one it is another peer.
 */
export function isSamePolicy(a: ConnectionPolicy, b: ConnectionPolicy | undefined): boolean {
  return b !== undefined && isDeepStrictEqual(comparable(a), comparable(b));
}

function comparable(policy: ConnectionPolicy) {
  const { local, remote } = policy;
  return {
    ...policy,
    local: { ...local, authentication: wayOf(local.authentication) },
    remote: { ...remote, authentication: remote.authentication.map(wayOf) },
  };
}

function wayOf(authentication: LocalAuthentication | RemoteAuthentication) {
  return authentication.kind === "psk" ? authentication : authentication.kind;
}
