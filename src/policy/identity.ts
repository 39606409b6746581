import { equal } from "../bytes/constant-time.ts";
import { fromHex, toHex } from "../bytes/hex.ts";
import { formatAddress, parseAddress } from "../bytes/ip-address.ts";
import { PolicyError } from "../errors/index.ts";
import { IdType, nameOf } from "../iana/ikev2-parameters.ts";
import { decodeName, encodeName, formatName } from "../pki/names.ts";
import type { Identity } from "./connection.ts";

const { ID_IPV4_ADDR, ID_FQDN, ID_RFC822_ADDR, ID_IPV6_ADDR, ID_DER_ASN1_DN, ID_KEY_ID } = IdType;

/**
 * An identity from text, as strongSwan reads it (RFC 7296 section 3.5):
 *
 *   192.0.2.1, 2001:db8::1        ID_IPV4_ADDR, ID_IPV6_ADDR
 *   user@example.org              ID_RFC822_ADDR
 *   gw.example.org, @gw           ID_FQDN
 *   @#6b6579                      ID_KEY_ID, octets in hex
 *   keyid:our key                 ID_KEY_ID, text
 *   C=CH, O=Example, CN=gw        ID_DER_ASN1_DN, the subject of a certificate
 *
 * A prefix `fqdn:`, `email:`, `ipv4:`, `ipv6:` or `keyid:` settles the type. Throws PolicyError (code "IDENTITY").
 */
export function parseIdentity(text: string): Identity {
  const identity = parsePrefixed(text) ?? parsePlain(text) ?? parseDistinguishedName(text);
  if (identity !== undefined) return identity;
  const hint = text.includes("=")
    ? 'a distinguished name is written as in "C=CH, O=Example, CN=gateway"'
    : 'write a domain name, an address, "user@domain", "@#hex" or "keyid:text"';
  throw new PolicyError(`identity "${text}": ${hint}`, { code: "IDENTITY" });
}

/**
 * Text for a log or a message. It reads back as the same identity for every type that `parseIdentity` makes. Octets that a
 * peer chose are shown in hex unless they are plain ASCII without spaces.
 */
export function formatIdentity(identity: Identity): string {
  const forms = formsOf(identity);
  forms.text ??= toText(identity);
  return forms.text;
}

function toText({ type, data }: Identity): string {
  if ((type === ID_IPV4_ADDR && data.length === 4) || (type === ID_IPV6_ADDR && data.length === 16)) {
    return formatAddress(data);
  }
  if (type === ID_KEY_ID) return `@#${toHex(data)}`;
  if (type === ID_DER_ASN1_DN) return formatDistinguishedName(data);
  const text = String.fromCharCode(...data.subarray(0, MAXIMUM_LENGTH + 1));
  const prefix = PREFIX_OF_TYPE.get(type);
  if (prefix === undefined || !isPlainName(text))
    return `${nameOf(IdType, type)}:${toHex(data.subarray(0, MAXIMUM_LENGTH))}`;
  const plain = parsePlain(text);
  return plain !== undefined && plain.type === type && equal(plain.data, data) ? text : `${prefix}:${text}`;
}

/**
 * Domain names compare without regard to case, also behind the "@" of an address; distinguished names without regard to case,
 * spaces and string types (RFC 5280 section 7.1); everything else octet by octet.
 */
export function sameIdentity(a: Identity, b: Identity): boolean {
  return a.type === b.type && equal(folded(a), folded(b));
}

/** The same text for the same identity, to look it up by. */
export function identityKey(identity: Identity): string {
  const forms = formsOf(identity);
  forms.key ??= `${identity.type}:${toHex(folded(identity))}`;
  return forms.key;
}

/** Of a domain name (RFC 1035 section 2.3.4); addresses and key IDs are kept below it as well. */
const MAXIMUM_LENGTH = 255;

const TYPE_OF_PREFIX: ReadonlyMap<string, number> = new Map<string, number>([
  ["fqdn", ID_FQDN],
  ["dns", ID_FQDN],
  ["email", ID_RFC822_ADDR],
  ["rfc822", ID_RFC822_ADDR],
  ["userfqdn", ID_RFC822_ADDR],
  ["ipv4", ID_IPV4_ADDR],
  ["ipv6", ID_IPV6_ADDR],
  ["keyid", ID_KEY_ID],
]);

const PREFIX_OF_TYPE: ReadonlyMap<number, string> = new Map<number, string>([
  [ID_FQDN, "fqdn"],
  [ID_RFC822_ADDR, "email"],
]);

function parsePrefixed(text: string): Identity | undefined {
  const colon = text.indexOf(":");
  const type = TYPE_OF_PREFIX.get(text.slice(0, Math.max(colon, 0)).toLowerCase());
  if (type === undefined) return undefined;
  const value = text.slice(colon + 1);
  if (type === ID_IPV4_ADDR || type === ID_IPV6_ADDR) {
    const address = parseAddress(value);
    const length = type === ID_IPV4_ADDR ? 4 : 16;
    return address?.length === length ? { type, data: address } : undefined;
  }
  if (type === ID_KEY_ID) return keyId(new TextEncoder().encode(value));
  return isPlainName(value) ? { type, data: new TextEncoder().encode(value) } : undefined;
}

function parsePlain(text: string): Identity | undefined {
  const address = parseAddress(text);
  if (address !== undefined)
    return { type: address.length === 4 ? ID_IPV4_ADDR : ID_IPV6_ADDR, data: address };
  if (text.startsWith("@#"))
    return /^([0-9a-f]{2})+$/i.test(text.slice(2)) ? keyId(fromHex(text.slice(2))) : undefined;
  const isMarked = text.startsWith("@");
  const name = isMarked ? text.slice(1) : text;
  if (!isPlainName(name) || /[=:]/.test(name)) return undefined;
  const at = name.indexOf("@");
  // strongSwan: "@@user@host" marks an address as "@host" marks a name.
  if (isMarked && at < 0) return { type: ID_FQDN, data: new TextEncoder().encode(name) };
  const mailbox = isMarked ? name.slice(1) : name;
  if (isMarked && at !== 0) return undefined;
  const type = mailbox.includes("@") ? ID_RFC822_ADDR : ID_FQDN;
  const isComplete = type === ID_FQDN ? !isMarked : /^[^@]+@[^@]+$/.test(mailbox);
  return isComplete ? { type, data: new TextEncoder().encode(mailbox) } : undefined;
}

function parseDistinguishedName(text: string): Identity | undefined {
  const data = encodeName(text);
  return data && { type: ID_DER_ASN1_DN, data };
}

/** As it is written, if it reads back as the same name and holds nothing but plain ASCII; in hex otherwise. */
function formatDistinguishedName(data: Uint8Array): string {
  const name = decodeName(data);
  const text = name === undefined ? "" : formatName(name);
  const isFaithful =
    /^[\x20-\x7e]+$/.test(text) && decodeName(encodeName(text) ?? data)?.canonical === name?.canonical;
  return isFaithful && text.includes("=")
    ? text
    : `ID_DER_ASN1_DN:${toHex(data.subarray(0, MAXIMUM_LENGTH))}`;
}

function keyId(data: Uint8Array): Identity | undefined {
  return data.length > 0 && data.length <= MAXIMUM_LENGTH ? { type: ID_KEY_ID, data } : undefined;
}

/** Printable ASCII without spaces and quotes. */
function isPlainName(text: string): boolean {
  return text.length <= MAXIMUM_LENGTH && /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(text);
}

/** What was made of an identity: a peer is compared with everybody in the configuration, and told of in one event after the other. */
interface Forms {
  folded?: Uint8Array;
  key?: string;
  text?: string;
}

const known = new WeakMap<Identity, Forms>();

function formsOf(identity: Identity): Forms {
  let forms = known.get(identity);
  if (forms === undefined) {
    forms = {};
    known.set(identity, forms);
  }
  return forms;
}

function folded(identity: Identity): Uint8Array {
  const forms = formsOf(identity);
  forms.folded ??= fold(identity);
  return forms.folded;
}

function fold({ type, data }: Identity): Uint8Array {
  if (type === ID_DER_ASN1_DN) return new TextEncoder().encode(decodeName(data)?.canonical ?? toHex(data));
  if (type !== ID_FQDN && type !== ID_RFC822_ADDR) return data;
  const domain = type === ID_FQDN ? 0 : data.lastIndexOf("@".charCodeAt(0)) + 1;
  return data.map((octet, i) => (i >= domain && octet >= 0x41 && octet <= 0x5a ? octet + 0x20 : octet));
}
