import { equal } from "../bytes/constant-time.ts";
import { IdType, nameOf } from "../iana/ikev2-parameters.ts";
import { type Certificate, describeCertificate } from "./certificate.ts";
import { formatGeneralName, type GeneralName } from "./general-names.ts";
import { commonNames, decodeName } from "./names.ts";

const { ID_IPV4_ADDR, ID_FQDN, ID_RFC822_ADDR, ID_IPV6_ADDR, ID_DER_ASN1_DN } = IdType;

/** Identification payload content, RFC 7296 section 3.5. */
export interface ClaimedIdentity {
  /** IdType. */
  readonly type: number;
  readonly data: Uint8Array;
}

/**
 * Why a certificate does not belong to an identity (RFC 4945 section 3.1, RFC 6125), or undefined when it does:
 *
 *   ID_FQDN          a dNSName; "*." as the whole leftmost label stands for exactly one label
 *   ID_RFC822_ADDR   an rfc822Name
 *   ID_IPV4_ADDR, ID_IPV6_ADDR   an iPAddress
 *   ID_DER_ASN1_DN   the subject
 *
 * The common name counts for a domain name only where `allowsCommonName` says so and there are no alternative names at all.
 */
export function faultOfIdentity(
  certificate: Certificate,
  identity: ClaimedIdentity,
  options: { readonly allowsCommonName?: boolean } = {},
): string | undefined {
  const { subject, extensions } = certificate;
  if (identity.type === ID_DER_ASN1_DN) {
    const isSubject =
      subject.attributes.length > 0 && decodeName(identity.data)?.canonical === subject.canonical;
    return isSubject
      ? undefined
      : `${describeCertificate(certificate)} is not the one of the name that the peer gives`;
  }
  const claimed = textOf(identity);
  if (claimed === undefined)
    return `an identity of type ${nameOf(IdType, identity.type)} cannot be found in a certificate`;
  const names = extensions.subjectAltNames;
  if (names?.some((name) => isName(name, identity, claimed)) === true) return undefined;
  const usesCommonName =
    names === undefined && options.allowsCommonName === true && identity.type === ID_FQDN;
  if (usesCommonName && commonNames(subject).some((name) => isDomain(name, claimed))) return undefined;
  const held =
    names === undefined || names.length === 0
      ? "has no alternative names"
      : `is for ${names.slice(0, SHOWN_NAMES).map(formatGeneralName).join(", ")}${names.length > SHOWN_NAMES ? ", ..." : ""}`;
  return `${describeCertificate(certificate)} ${held}, not for ${printable(claimed)}`;
}

const SHOWN_NAMES = 5;

function isName(name: GeneralName, { type, data }: ClaimedIdentity, claimed: string): boolean {
  switch (name.kind) {
    case "dns":
      return type === ID_FQDN && isDomain(name.name, claimed);
    case "email":
      return type === ID_RFC822_ADDR && isMailbox(name.address, claimed);
    case "ip":
      return (type === ID_IPV4_ADDR || type === ID_IPV6_ADDR) && equal(name.octets, data);
    default:
      return false;
  }
}

/** RFC 6125 section 6.4. A wildcard needs two labels behind it: nobody owns all of "*.org". */
function isDomain(pattern: string, claimed: string): boolean {
  const [held, wanted] = [pattern.toLowerCase(), claimed.toLowerCase()];
  if (!DOMAIN.test(wanted)) return false;
  if (!held.startsWith("*.")) return held === wanted;
  const parent = held.slice(2);
  return (
    DOMAIN.test(parent) &&
    parent.includes(".") &&
    wanted.slice(wanted.indexOf(".") + 1) === parent &&
    wanted.includes(".")
  );
}

const DOMAIN = /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/;

/** What stands before the "@" belongs to the host that reads it, so its case counts (RFC 5280 section 7.5). */
function isMailbox(held: string, claimed: string): boolean {
  const [heldAt, at] = [held.lastIndexOf("@"), claimed.lastIndexOf("@")];
  return (
    at > 0 &&
    held.slice(0, heldAt) === claimed.slice(0, at) &&
    held.slice(heldAt).toLowerCase() === claimed.slice(at).toLowerCase()
  );
}

/** The identity as text, where its type and length make sense. */
function textOf({ type, data }: ClaimedIdentity): string | undefined {
  if ((type === ID_IPV4_ADDR && data.length === 4) || (type === ID_IPV6_ADDR && data.length === 16))
    return formatGeneralName({ kind: "ip", octets: data });
  const isName = (type === ID_FQDN || type === ID_RFC822_ADDR) && data.length > 0 && data.length <= 255;
  return isName ? Buffer.from(data).toString("latin1") : undefined;
}

function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, "?");
}
