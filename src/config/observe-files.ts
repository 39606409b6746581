import type { TrustPolicy } from "../pki/trust.ts";
import type { ConnectionPolicy, LocalAuthentication, RemoteAuthentication } from "../policy/connection.ts";
import { CertificateLogin } from "./certificate-login.ts";
import { LiveCertificates } from "./live-certificates.ts";
import { type FilesObserver, LiveFiles } from "./live-files.ts";

/** Whoever runs the connections hears of certificates and CRLs that were read again, or cannot be. */
export function observeFiles(connections: readonly ConnectionPolicy[], observer: FilesObserver): void {
  for (const { local, remote } of connections) {
    certificatesOf(local.authentication)?.observe(observer);
    for (const each of [local.authentication, ...remote.authentication]) {
      const lists = trustOf(each)?.revocation?.policy.lists;
      if (lists instanceof LiveFiles) lists.observe(observer);
    }
  }
}

function certificatesOf(authentication: LocalAuthentication): LiveCertificates | undefined {
  const login = loginOf(authentication);
  if (login !== undefined) return login.certificates;
  return authentication instanceof LiveCertificates ? authentication : undefined;
}

/** EAP-TLS judges certificates too, in either role. */
function trustOf(authentication: LocalAuthentication | RemoteAuthentication): TrustPolicy | undefined {
  if ("trust" in authentication) return authentication.trust;
  return loginOf(authentication)?.trust;
}

function loginOf(authentication: LocalAuthentication | RemoteAuthentication): CertificateLogin | undefined {
  const client = "client" in authentication ? authentication.client : undefined;
  return client instanceof CertificateLogin ? client : undefined;
}
