import type { Certificate } from "./certificate.ts";
import { contextConstructed, type DerReader } from "./der-reader.ts";
import { type GeneralName, readGeneralName } from "./general-names.ts";
import { commonNames } from "./names.ts";

/** What a CA may issue certificates for, RFC 5280 section 4.2.1.10. */
export interface NameConstraints {
  readonly permitted: readonly GeneralName[];
  readonly excluded: readonly GeneralName[];
}

export function readNameConstraints(value: DerReader): NameConstraints {
  const constraints = value.sequence("nameConstraints");
  const permitted = readSubtrees(constraints.enterOptional(contextConstructed(0), "permittedSubtrees"));
  const excluded = readSubtrees(constraints.enterOptional(contextConstructed(1), "excludedSubtrees"));
  constraints.end();
  return { permitted, excluded };
}

/**
 * Why a CA with these constraints may not have issued what names `certificate`, directly or through others, or undefined. Domain
 * names, mail addresses, addresses and directory names are compared; a constraint on any other form is refused, since it
 * cannot be told whether it holds.
 */
export function faultOfConstraints(
  constraints: NameConstraints,
  certificate: Certificate,
): string | undefined {
  const trees = [...constraints.permitted, ...constraints.excluded];
  if (trees.some(({ kind }) => kind === "other" || kind === "uri"))
    return "its issuer has name constraints that are not supported";
  for (const name of namesOf(certificate)) {
    const permitted = constraints.permitted.filter(({ kind }) => kind === name.kind);
    const isOutside = permitted.length > 0 && !permitted.some((tree) => isWithin(name, tree));
    if (isOutside || constraints.excluded.some((tree) => touches(name, tree)))
      return `the name constraints of its issuer forbid ${name.kind === "directory" ? "its subject" : nameText(name)}`;
  }
  return undefined;
}

/** All names, a domain in the common name of a certificate without alternative names among them: it may be taken for one. */
function namesOf({ subject, extensions }: Certificate): GeneralName[] {
  const names: GeneralName[] = [...(extensions.subjectAltNames ?? [])];
  if (subject.attributes.length > 0) names.push({ kind: "directory", name: subject });
  if (extensions.subjectAltNames !== undefined) return names;
  const domains = commonNames(subject).filter((name) => /^[a-z0-9*_-]+(\.[a-z0-9_-]+)+$/i.test(name));
  return [...names, ...domains.map((name) => ({ kind: "dns" as const, name }))];
}

/** Whether a name lies within an excluded subtree, or is a wildcard that could stand for one that does. */
function touches(name: GeneralName, tree: GeneralName): boolean {
  if (isWithin(name, tree)) return true;
  const isWildcard = name.kind === "dns" && name.name.startsWith("*.") && tree.kind === "dns";
  return isWildcard && isDomainWithin(tree.name, name.name.slice(2));
}

function readSubtrees(trees: DerReader | undefined): GeneralName[] {
  const names: GeneralName[] = [];
  while (trees !== undefined && trees.remaining > 0) {
    const tree = trees.sequence("subtree");
    names.push(readGeneralName(tree, "subtree"));
    // RFC 5280 section 4.2.1.10: minimum is 0, which DER leaves out, and maximum absent.
    tree.end();
    if (names.length > MAXIMUM_SUBTREES) trees.fail("subtrees", "are too many");
  }
  return names;
}

const MAXIMUM_SUBTREES = 128;

function isWithin(name: GeneralName, tree: GeneralName): boolean {
  if (name.kind === "dns" && tree.kind === "dns") return isDomainWithin(name.name, tree.name);
  if (name.kind === "email" && tree.kind === "email") return isAddressWithin(name.address, tree.address);
  if (name.kind === "ip" && tree.kind === "ip") return isIpWithin(name.octets, tree.octets);
  if (name.kind === "directory" && tree.kind === "directory") {
    const [inner, outer] = [JSON.parse(name.name.canonical), JSON.parse(tree.name.canonical)] as string[][];
    return outer!.every((part, i) => JSON.stringify(part) === JSON.stringify(inner![i]));
  }
  return false;
}

/** The domain itself and all below it. A wildcard counts as what it stands below. */
function isDomainWithin(name: string, tree: string): boolean {
  const [inner, outer] = [name.toLowerCase(), tree.toLowerCase().replace(/^\./, "")];
  return outer === "" || inner === outer || inner.endsWith(`.${outer}`);
}

/** One mailbox, all of one host, or (behind a dot) all hosts of a domain. */
function isAddressWithin(address: string, tree: string): boolean {
  const at = address.lastIndexOf("@");
  const host = address.slice(at + 1).toLowerCase();
  if (tree.includes("@")) {
    const treeAt = tree.lastIndexOf("@");
    return address.slice(0, at) === tree.slice(0, treeAt) && host === tree.slice(treeAt + 1).toLowerCase();
  }
  return tree.startsWith(".") ? host.endsWith(tree.toLowerCase()) : host === tree.toLowerCase();
}

/** Address and mask, one behind the other. */
function isIpWithin(address: Uint8Array, tree: Uint8Array): boolean {
  const { length } = address;
  return (
    tree.length === 2 * length && address.every((octet, i) => ((octet ^ tree[i]!) & tree[length + i]!) === 0)
  );
}

function nameText(name: GeneralName): string {
  if (name.kind === "dns") return name.name;
  return name.kind === "email" ? name.address : "one of its addresses";
}
