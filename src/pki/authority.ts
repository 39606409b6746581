import { generateKeyPair, type KeyObject, randomBytes } from "node:crypto";
import { promisify } from "node:util";
import { PolicyError } from "../errors/index.ts";
import { readCertificate } from "./certificate.ts";
import {
  authorityKeyIdentifier,
  basicConstraints,
  extendedKeyUsage,
  keyUsage,
  subjectAltNames,
  subjectKeyIdentifier,
  writeCertificate,
} from "./certificate-writer.ts";
import { KeyUsage } from "./extensions.ts";
import { encodeName } from "./names.ts";
import { Oid } from "./object-identifiers.ts";

/** What a new key is: RSA of 3072 bits, which every client verifies, or a curve. */
export type NewKey = "rsa" | "p256" | "p384";

export interface KeyPair {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

/** A certificate in DER and the key that belongs to it. */
export interface Issued {
  readonly certificate: Uint8Array;
  readonly privateKey: KeyObject;
}

/** A small CA, for a lab and for tests: it keeps no list of what it issued. */
export interface Authority extends Issued {}

/** Validity of a certificate, in milliseconds since 1970. */
export interface Validity {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

const DAY_MS = 86_400_000;
/** Apple takes no server certificate that is valid for longer than this. */
const LEAF_DAYS = 397;
const AUTHORITY_DAYS = 3650;
/** A client whose clock is a little behind takes a new certificate as well. */
const BACKDATED_MS = 3_600_000;

export async function generateKeys(kind: NewKey): Promise<KeyPair> {
  if (kind === "rsa") return promisify(generateKeyPair)("rsa", { modulusLength: 3072 });
  return promisify(generateKeyPair)("ec", { namedCurve: kind === "p256" ? "prime256v1" : "secp384r1" });
}

/** A CA that signs itself. `name` is a distinguished name in text, such as "O=Example, CN=VPN CA". */
export function createAuthority(input: {
  readonly name: string;
  readonly keys: KeyPair;
  readonly nowMs: number;
  readonly validity?: Validity;
}): Authority {
  const { keys, nowMs, validity = validFor(nowMs, AUTHORITY_DAYS) } = input;
  const subject = nameOf(input.name);
  const extensions = [
    // It issues to servers and clients, never to another CA.
    basicConstraints(true, 0),
    keyUsage([KeyUsage.keyCertSign, KeyUsage.cRLSign]),
    subjectKeyIdentifier(keys.publicKey),
  ];
  const fields = { serialNumber: newSerial(), issuer: subject, subject, ...validity };
  const certificate = writeCertificate({ ...fields, publicKey: keys.publicKey, extensions }, keys.privateKey);
  return { certificate, privateKey: keys.privateKey };
}

/**
 * A certificate for a gateway or a client. `altNames` are what it is for: domain names, mail addresses and IP addresses ("dns:192.0.2.1"
 * is an address that is written as a domain name); a gateway has at least one, which is what its clients type in.
 */
export function issue(
  authority: Authority,
  input: {
    readonly purpose: "server" | "client";
    readonly name: string;
    readonly altNames: readonly string[];
    readonly keys: KeyPair;
    readonly nowMs: number;
    readonly validity?: Validity;
  },
): Issued {
  const { purpose, altNames, keys, nowMs, validity = validFor(nowMs, LEAF_DAYS) } = input;
  if (purpose === "server" && altNames.length === 0)
    throw new PolicyError("a gateway's certificate needs a name that clients can type", {
      code: "CERTIFICATE",
    });
  const issuer = readCertificate(authority.certificate);
  const purposes = purpose === "server" ? [Oid.serverAuth, Oid.ikeIntermediate] : [Oid.clientAuth];
  const extensions = [
    basicConstraints(false),
    keyUsage([KeyUsage.digitalSignature]),
    extendedKeyUsage(purposes),
    ...(altNames.length === 0 ? [] : [subjectAltNames(altNames)]),
    subjectKeyIdentifier(keys.publicKey),
    authorityKeyIdentifier(issuer.publicKey),
  ];
  const certificate = writeCertificate(
    {
      serialNumber: newSerial(),
      issuer: issuer.subject.encoded,
      subject: nameOf(input.name),
      ...validity,
      publicKey: keys.publicKey,
      extensions,
    },
    authority.privateKey,
  );
  return { certificate, privateKey: keys.privateKey };
}

function validFor(nowMs: number, days: number): Validity {
  return { notBeforeMs: nowMs - BACKDATED_MS, notAfterMs: nowMs + days * DAY_MS };
}

/** RFC 5280 section 4.1.2.2: positive, at most 20 octets, and not to be foreseen. */
function newSerial(): Uint8Array {
  const serial = new Uint8Array(randomBytes(16));
  serial[0] = (serial[0]! & 0x7f) | 0x40;
  return serial;
}

function nameOf(text: string): Uint8Array {
  const name = encodeName(text);
  if (name !== undefined) return name;
  throw new PolicyError(`"${text}" is no distinguished name; write "O=Example, CN=name"`, {
    code: "CERTIFICATE",
  });
}
