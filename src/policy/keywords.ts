import { findEncryptionSuite, isAead } from "../crypto/suites.ts";
import { PolicyError } from "../errors/index.ts";
import {
  EncryptionTransform,
  EsnTransform,
  IntegrityTransform,
  KeyExchangeMethod,
  nameOf,
  PrfTransform,
  ProtocolId,
  TransformType,
} from "../iana/ikev2-parameters.ts";
import type { Proposal } from "../wire/payloads/proposal.ts";
import type { Transform } from "../wire/payloads/transform.ts";
import { FOREIGN_KEYWORDS, KEYWORDS } from "./keyword-table.ts";
import { nearest } from "./nearest.ts";
import { ADDITIONAL_KEY_EXCHANGES, isNone, sameTransform } from "./transforms.ts";

const { ENCR, PRF, INTEG, KE, ESN } = TransformType;

/**
 * An IKE proposal from keywords: `aes256gcm16-prfsha384-x25519`, `aes256-sha256-modp2048`. Several of a type may stand in
 * one proposal, most wanted first. Without a PRF keyword the integrity keywords name the PRF, as strongSwan has it; beside a
 * combined-mode cipher they do nothing else. Throws PolicyError (code "PROPOSAL") for anything that cannot be negotiated.
 */
export function parseIkeProposal(text: string): Proposal {
  const refuse = refuser("IKE", text);
  const named = parseKeywords(text, refuse);
  const encryption = ofType(named, ENCR);
  const integrity = ofType(named, INTEG);
  const esn = ofType(named, ESN);
  if (esn.length > 0) throw refuse(`"${keywordOf(esn[0]!)}" belongs in an ESP proposal`);
  if (encryption.length === 0) throw refuse('it has no encryption: add one such as "aes256gcm16"');
  const unfit = encryption.find((transform) => findEncryptionSuite(transform)?.ike !== true);
  if (unfit !== undefined) throw refuse(`"${keywordOf(unfit)}" belongs in an ESP proposal`);
  const aead = isAllAead(encryption, refuse);
  if (!aead && integrity.length === 0) throw refuse(needsIntegrity(encryption[0]!));
  const ownPrf = ofType(named, PRF);
  const prf = ownPrf.length > 0 ? ownPrf : integrity.map(impliedPrf);
  if (prf.length === 0) {
    throw refuse(`"${keywordOf(encryption[0]!)}" needs a PRF beside it: add one such as "prfsha256"`);
  }
  const groups = ofType(named, KE);
  if (groups.length === 0) throw refuse('it has no key exchange group: add one such as "x25519"');
  const additional = additionalOf(named, refuse);
  return proposal(ProtocolId.IKE, [
    ...encryption,
    ...prf,
    ...(aead ? [] : integrity),
    ...groups,
    ...additional,
  ]);
}

/**
 * An ESP proposal from keywords: `aes256gcm16`, `chacha20poly1305-esn`, `aes256-sha256`, `aes256gcm16-x25519`. A group asks for a
 * key exchange of its own when the SA is rekeyed, and `ke1_mlkem768` behind it for a further one. Without `esn` or `noesn` it is `noesn`.
 * Throws PolicyError (code "PROPOSAL").
 */
export function parseEspProposal(text: string): Proposal {
  const refuse = refuser("ESP", text);
  const named = parseKeywords(text, refuse);
  const encryption = ofType(named, ENCR);
  if (encryption.length === 0) throw refuse('it has no encryption: add one such as "aes256gcm16"');
  const integrity = ofType(named, INTEG);
  const aead = isAllAead(encryption, refuse);
  if (aead && integrity.length > 0) {
    throw refuse(
      `"${keywordOf(encryption[0]!)}" protects integrity itself: leave out "${keywordOf(integrity[0]!)}"`,
    );
  }
  // RFC 8221 section 4: no encryption without integrity. RFC 4303 section 3.2: nor neither.
  if (!aead && integrity.length === 0) throw refuse(needsIntegrity(encryption[0]!));
  const prf = ofType(named, PRF);
  if (prf.length > 0) throw refuse(`"${keywordOf(prf[0]!)}" belongs in an IKE proposal`);
  const esn = ofType(named, ESN);
  const groups = ofType(named, KE);
  const additional = additionalOf(named, refuse);
  if (additional.length > 0 && groups.length === 0) {
    throw refuse(`"${keywordOf(additional[0]!)}" needs a group beside it: add one such as "x25519"`);
  }
  const sequence = esn.length > 0 ? esn : [KEYWORDS.noesn!];
  return proposal(ProtocolId.ESP, [...encryption, ...integrity, ...groups, ...sequence, ...additional]);
}

/**
 * A proposal in keywords, also one that a peer offered: what strongSwan has no keyword for shows by its registry name, what
 * the registry does not know by its number.
 */
export function formatProposal({ protocolId, transforms }: Proposal): string {
  const shown = transforms.filter((transform) => !isNone(transform));
  const [integrity, prf, esn] = [ofType(shown, INTEG), ofType(shown, PRF), ofType(shown, ESN)];
  const isImplied =
    prf.length === integrity.length && integrity.every((transform, i) => impliesPrf(transform, prf[i]!));
  const isPlainEsp = protocolId === ProtocolId.ESP && esn.length === 1 && esn[0]!.id === EsnTransform.NO_ESN;
  const others = shown.filter(({ type }) => ![ENCR, PRF, INTEG, KE, ESN].some((known) => known === type));
  const parts = [
    ...ofType(shown, ENCR),
    ...integrity,
    ...(isImplied ? [] : prf),
    ...ofType(shown, KE),
    ...(isPlainEsp ? [] : esn),
    ...others,
  ];
  return parts.map(keywordOf).join("-");
}

/** The further key exchanges in their order, of which none may be left out before another. */
function additionalOf(named: readonly Transform[], refuse: Refuse): readonly Transform[] {
  const additional = ADDITIONAL_KEY_EXCHANGES.flatMap((type) => ofType(named, type));
  const types = new Set(additional.map(({ type }) => type));
  const gap = ADDITIONAL_KEY_EXCHANGES.slice(0, types.size).find((type) => !types.has(type));
  if (gap !== undefined) throw refuse(`there is no ke${gap - TransformType.ADDKE1 + 1}, and one behind it`);
  return additional;
}

function needsIntegrity(encryption: Transform): string {
  return `"${keywordOf(encryption)}" needs integrity protection: add one such as "sha256"`;
}

type Refuse = (reason: string) => PolicyError;

function refuser(protocol: "IKE" | "ESP", text: string): Refuse {
  return (reason) => new PolicyError(`${protocol} proposal "${text}": ${reason}`, { code: "PROPOSAL" });
}

/** One transform for each keyword, in the order written, each once. */
function parseKeywords(text: string, refuse: Refuse): readonly Transform[] {
  const transforms: Transform[] = [];
  for (const word of text.trim().toLowerCase().split("-")) {
    const transform = lookUp(KEYWORDS, word);
    if (transform === undefined) throw refuse(explainUnknown(word));
    if (!transforms.some((other) => sameTransform(other, transform))) transforms.push(transform);
  }
  return transforms;
}

function explainUnknown(word: string): string {
  if (word === "") return "a keyword is missing";
  if (lookUp(FOREIGN_KEYWORDS, word) !== undefined) return `this build does not offer "${word}"`;
  const meant = nearest(word, Object.keys(KEYWORDS));
  return `unknown keyword "${word}"${meant === undefined ? "" : `, did you mean "${meant}"?`}`;
}

/** Combined-mode ciphers and others take different transforms beside them, so they stand in proposals of their own (RFC 7296 section 3.3). */
function isAllAead(encryption: readonly Transform[], refuse: Refuse): boolean {
  const combined = encryption.find(isAead);
  const plain = encryption.find((transform) => !isAead(transform));
  if (combined !== undefined && plain !== undefined) {
    throw refuse(
      `"${keywordOf(combined)}" and "${keywordOf(plain)}" cannot share a proposal: write two proposals`,
    );
  }
  return combined !== undefined;
}

const IMPLIED_PRFS: ReadonlyMap<number, string> = new Map<number, string>([
  [IntegrityTransform.AUTH_HMAC_SHA1_96, "prfsha1"],
  [IntegrityTransform.AUTH_HMAC_SHA2_256_128, "prfsha256"],
  [IntegrityTransform.AUTH_HMAC_SHA2_384_192, "prfsha384"],
  [IntegrityTransform.AUTH_HMAC_SHA2_512_256, "prfsha512"],
]);

function impliedPrf(integrity: Transform): Transform {
  return KEYWORDS[IMPLIED_PRFS.get(integrity.id)!]!;
}

function impliesPrf(integrity: Transform, prf: Transform): boolean {
  const implied = IMPLIED_PRFS.get(integrity.id);
  return implied !== undefined && sameTransform(KEYWORDS[implied]!, prf);
}

function ofType(transforms: readonly Transform[], type: number): readonly Transform[] {
  return transforms.filter((transform) => transform.type === type);
}

function proposal(protocolId: number, transforms: readonly Transform[]): Proposal {
  return { number: 1, protocolId, spi: new Uint8Array(0), transforms };
}

function lookUp(table: Readonly<Record<string, Transform>>, word: string): Transform | undefined {
  return Object.hasOwn(table, word) ? table[word] : undefined;
}

/** The keyword of a transform, or its registry name and key length. */
function keywordOf(transform: Transform): string {
  if (isNone(transform) && !ADDITIONAL_KEY_EXCHANGES.includes(transform.type)) return "none";
  const word = WORDS.get(keyOf(transform));
  if (word !== undefined) return word;
  const registry = REGISTRIES.get(transform.type);
  const name = registry === undefined ? `type${transform.type}` : nameOf(registry, transform.id);
  const id = registry === undefined ? `_${transform.id}` : /^\d/.test(name) ? `_type${transform.type}` : "";
  return `${name}${id}${transform.keyLength === undefined ? "" : `_${transform.keyLength}`}`;
}

/** One number for each type (8 bits), ID (16 bits) and key length (16 bits, or none). */
function keyOf({ type, id, keyLength }: Transform): number {
  return (type * 0x1_0000 + id) * 0x1_0001 + (keyLength === undefined ? 0 : keyLength + 1);
}

/** The first keyword of each transform. */
const WORDS: ReadonlyMap<number, string> = new Map(
  [KEYWORDS, FOREIGN_KEYWORDS]
    .flatMap((table) => Object.entries(table))
    .map(([word, transform]) => [keyOf(transform), word] as const)
    .reverse(),
);

const REGISTRIES: ReadonlyMap<number, Readonly<Record<string, number>>> = new Map<
  number,
  Readonly<Record<string, number>>
>([
  [ENCR, EncryptionTransform],
  [PRF, PrfTransform],
  [INTEG, IntegrityTransform],
  [KE, KeyExchangeMethod],
  [ESN, EsnTransform],
]);
