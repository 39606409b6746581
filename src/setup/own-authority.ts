import { isIP } from "node:net";
import { createAuthority, generateKeys, issue } from "../pki/authority.ts";
import { writePem } from "../pki/pem.ts";

/** PEM texts. */
export interface OwnAuthority {
  /** The CA's certificate, which each device has to be given. */
  readonly authority: string;
  /** The gateway's. */
  readonly certificate: string;
  readonly key: string;
}

/**
 * A CA for one gateway and the gateway's certificate, RSA, which every client takes. The CA's key is forgotten at once: it can sign
 * nothing else, and nobody can steal it; what follows this certificate in a year comes from a new CA.
 */
export async function createOwnAuthority(domain: string, nowMs: number): Promise<OwnAuthority> {
  const authority = createAuthority({
    name: `O=Ikebana, CN=CA of ${domain}`,
    keys: await generateKeys("rsa"),
    nowMs,
  });
  const { certificate, privateKey } = issue(authority, {
    purpose: "server",
    name: `CN=${domain}`,
    altNames: namesOf(domain),
    keys: await generateKeys("rsa"),
    nowMs,
  });
  return {
    authority: writePem("CERTIFICATE", authority.certificate),
    // With its CA behind it: some clients show what they were sent when they ask whether to trust it.
    certificate: writePem("CERTIFICATE", certificate) + writePem("CERTIFICATE", authority.certificate),
    key: String(privateKey.export({ type: "pkcs8", format: "pem" })),
  };
}

/** Where users type an address, Windows looks for it among the DNS names, and everybody else among the addresses. */
function namesOf(domain: string): readonly string[] {
  return isIP(domain) === 0 ? [domain] : [domain, `dns:${domain}`];
}
