import type { ConnectionPolicy } from "../policy/connection.ts";
import { LiveCertificates } from "./live-certificates.ts";
import { type FilesObserver, LiveFiles } from "./live-files.ts";

/** Whoever runs the connections hears of certificates and CRLs that were read again, or cannot be. */
export function observeFiles(connections: readonly ConnectionPolicy[], observer: FilesObserver): void {
  for (const { local, remote } of connections) {
    if (local.authentication instanceof LiveCertificates) local.authentication.observe(observer);
    for (const each of remote.authentication) {
      const lists = each.kind === "certificate" ? each.trust.revocation?.policy.lists : undefined;
      if (lists instanceof LiveFiles) lists.observe(observer);
    }
  }
}
