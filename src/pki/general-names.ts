import { formatAddress } from "../bytes/ip-address.ts";
import { contextConstructed, contextPrimitive, type DerReader } from "./der-reader.ts";
import { formatName, type Name, readName } from "./names.ts";

/** One of the forms of RFC 5280 section 4.2.1.6. */
export type GeneralName =
  | { readonly kind: "dns"; readonly name: string }
  | { readonly kind: "email"; readonly address: string }
  | { readonly kind: "uri"; readonly uri: string }
  /** 4 or 16 octets; twice as many, address and mask, in name constraints. */
  | { readonly kind: "ip"; readonly octets: Uint8Array }
  | { readonly kind: "directory"; readonly name: Name }
  | { readonly kind: "other" };

/** GeneralNames, up to the end of `from`. */
export function readGeneralNames(from: DerReader, field: string): GeneralName[] {
  const names: GeneralName[] = [];
  while (from.remaining > 0) {
    names.push(readGeneralName(from, field));
    if (names.length > MAXIMUM_NAMES) from.fail(field, "has too many names");
  }
  return names;
}

export function readGeneralName(from: DerReader, field: string): GeneralName {
  if (from.nextTag === contextConstructed(4)) {
    const inner = from.enter(contextConstructed(4), field);
    const name = readName(inner, field);
    inner.end();
    return { kind: "directory", name };
  }
  const { tag, content } = from.element(field);
  switch (tag) {
    case contextPrimitive(1):
      return { kind: "email", address: plainText(from, content, field) };
    case contextPrimitive(2):
      return { kind: "dns", name: plainText(from, content, field) };
    case contextPrimitive(6):
      return { kind: "uri", uri: plainText(from, content, field) };
    case contextPrimitive(7):
      return { kind: "ip", octets: content };
    default:
      return { kind: "other" };
  }
}

/** Text for logs. */
export function formatGeneralName(name: GeneralName): string {
  switch (name.kind) {
    case "dns":
      return name.name;
    case "email":
      return name.address;
    case "uri":
      return name.uri;
    case "ip":
      return name.octets.length === 4 || name.octets.length === 16 ? formatAddress(name.octets) : "?";
    case "directory":
      return formatName(name.name);
    case "other":
      return "(another kind of name)";
  }
}

const MAXIMUM_NAMES = 512;
const MAXIMUM_LENGTH = 2048;

/** IA5String without control characters: a NUL has made one half of a verifier read another name than the other half. */
function plainText(from: DerReader, content: Uint8Array, field: string): string {
  if (content.length > MAXIMUM_LENGTH || content.some((octet) => octet < 0x20 || octet > 0x7e))
    from.fail(field, "holds a name with octets that no name has");
  return String.fromCharCode(...content);
}
