import { toHex } from "../bytes/hex.ts";
import { WireError } from "../errors/index.ts";
import { DerReader, Tag } from "./der-reader.ts";
import { objectIdentifier, sequence, setOf, text } from "./der-writer.ts";
import { Oid } from "./object-identifiers.ts";

/** A distinguished name (RFC 5280 section 4.1.2.4). */
export interface Name {
  /** In DER, as it stands in the certificate. */
  readonly encoded: Uint8Array;
  /** From the first to the last, as they are written. */
  readonly attributes: readonly NameAttribute[];
  /** Equal for names that are the same to RFC 5280 section 7.1: string types, case and runs of spaces do not count. */
  readonly canonical: string;
}

interface NameAttribute {
  readonly type: string;
  /** Undefined for a value that is no text. */
  readonly text: string | undefined;
}

export function readName(from: DerReader, field: string): Name {
  const { tag, content, encoded } = from.element(field);
  if (tag !== Tag.SEQUENCE) from.fail(field, "is no Name");
  return nameOf(from.inside(content), encoded, field);
}

/** A Name that is all of `der`, such as an identity of type ID_DER_ASN1_DN; undefined where it is none. */
export function decodeName(der: Uint8Array): Name | undefined {
  try {
    const from = new DerReader(der, "name");
    const name = readName(from, "name");
    from.end();
    return name;
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}

/** Text for logs, such as "C=CH, O=Example, CN=gateway": short, and free of what a terminal would obey. */
export function formatName({ attributes }: Pick<Name, "attributes">): string {
  const parts = attributes.map(
    ({ type, text: value }) => `${LABELS.get(type) ?? type}=${escaped(value ?? "?")}`,
  );
  const whole = parts.join(", ").replace(/[^\x20-\x7e\u00a0-\uffff]/g, "?");
  return whole.length > MAXIMUM_TEXT ? `${whole.slice(0, MAXIMUM_TEXT)}...` : whole || "(no name)";
}

export function commonNames({ attributes }: Name): string[] {
  return attributes.flatMap(({ type, text: value }) =>
    type === Oid.commonName && value !== undefined ? [value] : [],
  );
}

/**
 * DER of a name from text such as "C=CH, O=Example Ltd, CN=gateway", or undefined when it is none. A comma or an equals sign in a
 * value is written behind a backslash.
 */
export function encodeName(name: string): Uint8Array | undefined {
  const parts = name.match(/(?:\\.|[^,\\])+/g) ?? [];
  if (parts.join(",") !== name) return undefined;
  const sets = parts.map((part) => {
    const [, label, value] = /^\s*([A-Za-z]+|\d+(?:\.\d+)+)\s*=\s*(.*?)\s*$/s.exec(part) ?? [];
    if (label === undefined || value === undefined || value === "") return undefined;
    const type = /^\d/.test(label) ? label : OID_OF_LABEL.get(label.toUpperCase());
    if (type === undefined) return undefined;
    return setOf(sequence(objectIdentifier(type), attributeValue(type, value.replace(/\\(.)/g, "$1"))));
  });
  const whole = sets.filter((set) => set !== undefined);
  return whole.length > 0 && whole.length === sets.length ? sequence(...whole) : undefined;
}

const LABELS: ReadonlyMap<string, string> = new Map([
  [Oid.commonName, "CN"],
  [Oid.countryName, "C"],
  [Oid.localityName, "L"],
  [Oid.stateOrProvinceName, "ST"],
  [Oid.organizationName, "O"],
  [Oid.organizationalUnitName, "OU"],
  [Oid.serialNumber, "serialNumber"],
  [Oid.domainComponent, "DC"],
  [Oid.emailAddress, "E"],
]);

const OID_OF_LABEL: ReadonlyMap<string, string> = new Map([
  ...Array.from(LABELS, ([oid, label]) => [label.toUpperCase(), oid] as const),
  ["EMAIL", Oid.emailAddress],
  ["EMAILADDRESS", Oid.emailAddress],
  ["UID", Oid.userId],
]);

const MAXIMUM_ATTRIBUTES = 64;
const MAXIMUM_TEXT = 255;

/** RFC 5280 section 4.1.2.4: countries are PrintableString, mail addresses and domain components IA5String, the rest UTF8String. */
function attributeValue(type: string, value: string): Uint8Array {
  const isAscii = /^[\x20-\x7e]*$/.test(value);
  if (isAscii && (type === Oid.countryName || type === Oid.serialNumber))
    return text(Tag.PRINTABLE_STRING, value);
  if (isAscii && (type === Oid.emailAddress || type === Oid.domainComponent))
    return text(Tag.IA5_STRING, value);
  return text(Tag.UTF8_STRING, value);
}

function nameOf(from: DerReader, encoded: Uint8Array, field: string): Name {
  const attributes: NameAttribute[] = [];
  const canonical: string[][] = [];
  while (from.remaining > 0) {
    const set = from.enter(Tag.SET, field);
    const group: string[] = [];
    do {
      const attribute = set.sequence(field);
      const type = attribute.objectIdentifier(field);
      const value = attribute.element(field);
      attribute.end();
      const readable = textOf(value.tag, value.content);
      attributes.push({ type, text: readable });
      group.push(`${type}=${readable === undefined ? `#${toHex(value.encoded)}` : folded(readable)}`);
    } while (set.remaining > 0);
    canonical.push(group.sort());
    if (attributes.length > MAXIMUM_ATTRIBUTES) from.fail(field, "has too many attributes");
  }
  return { encoded, attributes, canonical: JSON.stringify(canonical) };
}

function textOf(tag: number, content: Uint8Array): string | undefined {
  if (tag === Tag.UTF8_STRING) return utf8(content);
  if (tag === Tag.PRINTABLE_STRING || tag === Tag.IA5_STRING)
    return content.every((octet) => octet < 0x80) ? Buffer.from(content).toString("latin1") : undefined;
  if (tag === Tag.TELETEX_STRING) return Buffer.from(content).toString("latin1");
  if (tag === Tag.BMP_STRING && content.length % 2 === 0)
    return Buffer.from(content).swap16().toString("utf16le");
  return undefined;
}

function utf8(content: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content);
  } catch {
    return undefined;
  }
}

/** As `encodeName` reads it. */
function escaped(value: string): string {
  return value.replace(/[,\\]/g, "\\$&");
}

function folded(value: string): string {
  return value.trim().replace(/\s+/g, " ").toLowerCase();
}
