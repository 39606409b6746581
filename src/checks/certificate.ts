import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { isIP } from "node:net";
import { rootCertificates } from "node:tls";
import { type Finding, failure, ok, warning } from "./finding.ts";

const SERVER_AUTHENTICATION = "1.3.6.1.5.5.7.3.1";
const SMALLEST_RSA_BITS = 2048;
const DAY_MS = 86_400_000;
/** Certbot renews 30 days before the end, and short-lived certificates when a third of their life is left. */
const RENEWAL_DAYS = 7;
const READABLE_BY_OTHERS = 0o004;
/** Windows takes these two (methods 9 and 10); no other curve. */
const CURVES_OF_WINDOWS = ["prime256v1", "secp384r1"];
const LONGEST_CHAIN = 10;
const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

export interface CertificateInput {
  /** Paths of PEM files: leaf first, intermediates behind it. */
  readonly certificate: string;
  readonly key: string;
  /** What users type. */
  readonly domain: string;
  readonly nowMs: number;
  /** PEM of the CAs that clients trust; those that the runtime brings along when left out. */
  readonly publicRoots?: readonly string[];
}

/** Whether clients will take what the gateway shows them: key, names, purpose, chain, time. */
export function checkCertificate(input: CertificateInput): readonly Finding[] {
  const chain = readChain(input.certificate);
  if (!Array.isArray(chain)) return [chain as Finding];
  const [leaf] = chain as readonly X509Certificate[];
  return [
    checkKey(input, leaf!),
    checkKeyType(leaf!.publicKey),
    checkName(input, leaf!),
    checkPurpose(leaf!),
    checkChain(chain, input.publicRoots ?? rootCertificates),
    checkTime(chain, input.nowMs),
  ];
}

function readChain(path: string): readonly X509Certificate[] | Finding {
  const check = "certificate";
  try {
    const blocks = readFileSync(path, "utf8").match(PEM_CERTIFICATE) ?? [];
    if (blocks.length === 0) {
      return failure(
        check,
        `${path} holds no certificate in PEM`,
        "name a file that begins with -----BEGIN CERTIFICATE-----",
      );
    }
    return blocks.slice(0, LONGEST_CHAIN).map((block) => new X509Certificate(block));
  } catch (error) {
    return failure(check, `${path} cannot be read: ${reasonOf(error)}`, "run as root, or correct the path");
  }
}

function checkKey({ key, certificate }: CertificateInput, leaf: X509Certificate): Finding {
  const check = "certificate-key";
  try {
    const isOpen = (statSync(key).mode & READABLE_BY_OTHERS) !== 0;
    if (!leaf.checkPrivateKey(createPrivateKey(readFileSync(key)))) {
      return failure(
        check,
        `${key} is not the key of ${certificate}`,
        "name the two files that were made together",
      );
    }
    if (isOpen) return failure(check, `everybody can read ${key}`, `chmod 600 ${key}`);
    return ok(check, `${key} is the key of ${certificate}`);
  } catch (error) {
    return failure(check, `${key} cannot be read: ${reasonOf(error)}`, "run as root, or correct the path");
  }
}

function checkKeyType({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): Finding {
  const check = "certificate-key-type";
  const toRsa = "take an RSA certificate, or one more of them: certbot certonly --key-type rsa";
  if (asymmetricKeyType === "rsa") {
    const bits = asymmetricKeyDetails?.modulusLength ?? 0;
    return bits < SMALLEST_RSA_BITS
      ? failure(check, `an RSA key of ${bits} bits is too short`, "make one of 2048 or 3072 bits")
      : ok(check, `RSA of ${bits} bits: every client takes it`);
  }
  const curve = asymmetricKeyDetails?.namedCurve;
  if (asymmetricKeyType === "ec" && curve !== undefined && CURVES_OF_WINDOWS.includes(curve)) {
    return warning(
      check,
      "an ECDSA key: iPhones that are set up by hand and Android's own client refuse it",
      `${toRsa}; or set those phones up with profiles and the strongSwan app`,
    );
  }
  return failure(check, `no stock client takes a key of type ${curve ?? asymmetricKeyType}`, toRsa);
}

/** RFC 6125: the name in the certificate is the one that users type; a common name alone does not count any more. */
function checkName({ domain }: CertificateInput, leaf: X509Certificate): Finding {
  const check = "certificate-name";
  const isAddress = isIP(domain) !== 0;
  if (isAddress && leaf.checkIP(domain) !== undefined) {
    if (leaf.subjectAltName?.split(", ").includes(`DNS:${domain}`) === true)
      return ok(check, `it is for ${domain}`);
    return warning(
      check,
      `it is for ${domain}, and Windows looks for an address among the DNS names, where it is not`,
      "for Windows, take a certificate that has it in both places (as --self-signed makes it), or a domain name",
    );
  }
  if (!isAddress && leaf.checkHost(domain, { subject: "never" }) !== undefined)
    return ok(check, `it is for ${domain}`);
  const names = leaf.subjectAltName ?? "no name at all";
  return failure(
    check,
    `it is not for ${domain} but for ${names.replaceAll("DNS:", "")}`,
    "get one for the name that users type, or let them type a name that is in it",
  );
}

function checkPurpose(leaf: X509Certificate): Finding {
  const check = "certificate-purpose";
  // As `keyUsage` the runtime has the extended usages.
  const usages: readonly string[] | undefined = leaf.keyUsage;
  if (usages?.includes(SERVER_AUTHENTICATION) === true) return ok(check, "it is for servers (serverAuth)");
  return failure(
    check,
    "it is not marked for servers: the extended key usage serverAuth is missing",
    "get an ordinary web server certificate; Windows and Apple's systems refuse this one",
  );
}

/** Each is issued by the next one, and the last one by a root that clients have. */
function checkChain(chain: readonly X509Certificate[], publicRoots: readonly string[]): Finding {
  const check = "certificate-chain";
  for (const [index, certificate] of chain.entries()) {
    const issuer = chain[index + 1];
    if (issuer !== undefined && !isIssuedBy(certificate, issuer)) {
      return failure(
        check,
        `certificate ${index + 2} of the file has not issued certificate ${index + 1}`,
        "put the leaf first, then each one's issuer: certbot's fullchain.pem is right",
      );
    }
  }
  const last = chain.at(-1)!;
  const isOwnIssuer = isIssuedBy(last, last);
  const isPublic = publicRoots.some((root) => isIssuedBy(last, new X509Certificate(root)));
  const count = chain.length === 1 ? "one certificate" : `${chain.length} certificates`;
  if (isPublic) return ok(check, `${count}, issued by a CA that systems know`);
  if (isOwnIssuer) {
    return warning(
      check,
      `${count}, issued by a CA of your own`,
      "each device has to be given the CA's certificate; the profiles of `ikebana profile` bring it along",
    );
  }
  return warning(
    check,
    `${count}; the issuer "${commonName(last.issuer)}" is no CA that systems know`,
    "if it is an intermediate, add its certificate to the file; if it is a CA of your own, give its certificate to each device",
  );
}

function checkTime(chain: readonly X509Certificate[], nowMs: number): Finding {
  const check = "certificate-time";
  const begins = Math.max(...chain.map(({ validFrom }) => Date.parse(validFrom)));
  const ends = Math.min(...chain.map(({ validTo }) => Date.parse(validTo)));
  if (nowMs < begins) {
    return failure(check, `it is valid only from ${day(begins)} on`, "set the clock, or wait");
  }
  if (nowMs > ends) return failure(check, `it has expired on ${day(ends)}`, "renew it: certbot renew");
  const days = Math.floor((ends - nowMs) / DAY_MS);
  const message = `valid until ${day(ends)}, for another ${days === 1 ? "day" : `${days} days`}`;
  return days < RENEWAL_DAYS && days * 3 * DAY_MS < ends - begins
    ? warning(check, message, "see why it has not been renewed yet: certbot renew --dry-run")
    : ok(check, message);
}

function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  try {
    return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
  } catch {
    // A key of a kind that the signature cannot be of.
    return false;
  }
}

function commonName(distinguishedName: string): string {
  return /^CN=(.*)$/m.exec(distinguishedName)?.[1] ?? distinguishedName.replaceAll("\n", ", ");
}

function day(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 10);
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  switch (code) {
    case "ENOENT":
      return "there is no such file";
    case "EACCES":
    case "EPERM":
      return "permission denied";
    default:
      return message;
  }
}
