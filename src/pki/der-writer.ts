import { compareOctets } from "../bytes/compare.ts";
import { concat } from "../bytes/concat.ts";
import { contextConstructed, contextPrimitive, Tag } from "./der-reader.ts";

/** One element in DER: identifier, length in as few octets as it takes, contents. */
export function element(tag: number, ...content: readonly Uint8Array[]): Uint8Array {
  const body = concat(...content);
  const length = body.length < 0x80 ? Uint8Array.of(body.length) : longLength(body.length);
  return concat(Uint8Array.of(tag), length, body);
}

export const sequence = (...parts: readonly Uint8Array[]): Uint8Array => element(Tag.SEQUENCE, ...parts);

/** SET OF: elements in the order of their octets (X.690 section 11.6). */
export function setOf(...parts: readonly Uint8Array[]): Uint8Array {
  const inOrder = [...parts].sort(
    (a, b) => compareOctets(a.subarray(0, b.length), b.subarray(0, a.length)) || a.length - b.length,
  );
  return element(Tag.SET, ...inOrder);
}

/** `[number]` around whole elements. */
export const explicit = (number: number, ...parts: readonly Uint8Array[]): Uint8Array =>
  element(contextConstructed(number), ...parts);

/** `[number]` in place of a primitive's own tag. */
export const implicit = (number: number, content: Uint8Array): Uint8Array =>
  element(contextPrimitive(number), content);

/** INTEGER from octets in network order, never negative. */
export function unsigned(octets: Uint8Array): Uint8Array {
  const first = octets.findIndex((octet) => octet !== 0);
  const magnitude = first < 0 ? Uint8Array.of(0) : octets.subarray(first);
  return element(Tag.INTEGER, magnitude[0]! >= 0x80 ? Uint8Array.of(0) : new Uint8Array(0), magnitude);
}

/** INTEGER from 0 to 65535. */
export const small = (value: number): Uint8Array => unsigned(Uint8Array.of(value >>> 8, value & 0xff));

export const boolean = (value: boolean): Uint8Array => element(Tag.BOOLEAN, Uint8Array.of(value ? 0xff : 0));

export const nothing: Uint8Array = Uint8Array.of(Tag.NULL, 0);

/** OBJECT IDENTIFIER from dotted text. */
export function objectIdentifier(dotted: string): Uint8Array {
  return element(Tag.OBJECT_IDENTIFIER, objectIdentifierContent(dotted));
}

export const octetString = (octets: Uint8Array): Uint8Array => element(Tag.OCTET_STRING, octets);

/** BIT STRING of whole octets. */
export const bitString = (octets: Uint8Array): Uint8Array =>
  element(Tag.BIT_STRING, Uint8Array.of(0), octets);

/** Named BIT STRING with these bits set, trailing zeros left out. */
export function namedBits(bits: readonly number[]): Uint8Array {
  const last = Math.max(-1, ...bits);
  const octets = new Uint8Array(1 + ((last + 8) >>> 3));
  octets[0] = last < 0 ? 0 : 7 - (last & 7);
  for (const bit of bits) octets[1 + (bit >>> 3)]! |= 0x80 >>> (bit & 7);
  return element(Tag.BIT_STRING, octets);
}

/** A text of a type such as UTF8String or IA5String. */
export const text = (tag: number, value: string): Uint8Array => element(tag, new TextEncoder().encode(value));

/** UTCTime up to 2049 and GeneralizedTime after it, as RFC 5280 section 4.1.2.5 wants. Milliseconds since 1970, cut to seconds. */
export function time(ms: number): Uint8Array {
  const digits = digitsOf(ms);
  const year = Number(digits.slice(0, 4));
  return year >= 1950 && year < 2050
    ? text(Tag.UTC_TIME, `${digits.slice(2)}Z`)
    : text(Tag.GENERALIZED_TIME, `${digits}Z`);
}

/** GeneralizedTime always, as OCSP has it. */
export const generalizedTime = (ms: number): Uint8Array => text(Tag.GENERALIZED_TIME, `${digitsOf(ms)}Z`);

function digitsOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19).replace(/\D/g, "");
}

function longLength(length: number): Uint8Array {
  const octets: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256);
  return Uint8Array.of(0x80 | octets.length, ...octets);
}

function objectIdentifierContent(dotted: string): Uint8Array {
  const [first, second, ...rest] = dotted.split(".").map(BigInt);
  return Uint8Array.from([40n * first! + second!, ...rest].flatMap(base128));
}

function base128(arc: bigint): number[] {
  const octets = [Number(arc & 0x7fn)];
  for (let left = arc >> 7n; left > 0n; left >>= 7n) octets.unshift(Number(left & 0x7fn) | 0x80);
  return octets;
}
