import { X509Certificate } from "node:crypto";
import { rootCertificates } from "node:tls";
import { toHex } from "../bytes/hex.ts";
import { WireError } from "../errors/index.ts";
import { type Certificate, readCertificate } from "./certificate.ts";
import { authorityHash } from "./certificate-request.ts";

/** Certificates that are trusted because the configuration says so. */
export class TrustAnchors {
  readonly all: readonly Certificate[];
  readonly #bySubject = new Map<string, Certificate[]>();
  readonly #octets = new Set<string>();

  constructor(certificates: readonly Certificate[]) {
    this.all = certificates;
    for (const certificate of certificates) {
      const { canonical } = certificate.subject;
      this.#bySubject.set(canonical, [...(this.#bySubject.get(canonical) ?? []), certificate]);
      this.#octets.add(toHex(certificate.der));
    }
  }

  /** Those that may have issued the certificate, by name. */
  issuersOf({ issuer }: Certificate): readonly Certificate[] {
    return this.#bySubject.get(issuer.canonical) ?? [];
  }

  /** Whether this very certificate is trusted. */
  has({ der }: Certificate): boolean {
    return this.#octets.has(toHex(der));
  }

  /** What a CERTREQ payload names: a hash for each key. */
  get hashes(): readonly Uint8Array[] {
    return this.all.map(authorityHash);
  }
}

let system: TrustAnchors | undefined;

/** The CAs that the web trusts, as they come with Node. Read once. */
export function systemTrustAnchors(): TrustAnchors {
  system ??= new TrustAnchors(rootCertificates.flatMap(readable));
  return system;
}

/** A root that does not keep to DER, or has a key that OpenSSL cannot use, helps nobody. */
function readable(pem: string): Certificate[] {
  try {
    return [readCertificate(new Uint8Array(new X509Certificate(pem).raw))];
  } catch (error) {
    if (error instanceof WireError) return [];
    throw error;
  }
}
