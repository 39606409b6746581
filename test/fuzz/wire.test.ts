import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { toHex } from "../../src/bytes/hex.ts";
import { WireError } from "../../src/errors/index.ts";
import {
  classifyDatagram,
  decodeEspHeader,
  decodeIpHeader,
  decodeMessage,
  decodePayloads,
  encodeMessage,
  encodePayloads,
  type Message,
  type Payload,
  printMessage,
  printPayloads,
} from "../../src/wire/index.ts";
import { readHexFile } from "../support/hex-file.ts";
import { arbitraryMessage, arbitraryPayload } from "./wire-arbitraries.ts";

/** Datagrams per run; the properties, which cost more each, run a hundredth of it. */
const RUNS = Number(process.env.IKEBANA_FUZZ_RUNS ?? 100_000);
const PROPERTY_RUNS = Math.max(500, Math.floor(RUNS / 100));
const SEED = 7296;

describe("decode undoes encode", () => {
  test("for any message", { timeout: 0 }, () => {
    fc.assert(
      fc.property(arbitraryMessage, (message) => {
        const octets = encodeMessage(message);
        const decoded = decodeMessage(octets);
        expect(withoutAad(decoded.payloads)).toEqual(message.payloads);
        expect(decoded.header).toMatchObject({
          initiatorSpi: message.initiatorSpi,
          responderSpi: message.responderSpi,
          exchangeType: message.exchangeType,
          isInitiator: message.isInitiator,
          isResponse: message.isResponse,
          messageId: message.messageId,
          length: octets.length,
        });
        expect(typeof printMessage(decoded)).toBe("string");
      }),
      { seed: SEED, numRuns: PROPERTY_RUNS },
    );
  });

  test("for the payloads of any decrypted body", { timeout: 0 }, () => {
    fc.assert(
      fc.property(fc.array(arbitraryPayload, { maxLength: 12 }), (payloads) => {
        const chain = encodePayloads(payloads);
        expect(decodePayloads(chain)).toEqual(payloads);
        expect(encodePayloads(decodePayloads(chain))).toEqual(chain);
      }),
      { seed: SEED + 1, numRuns: PROPERTY_RUNS },
    );
  });
});

describe("bad input ends in a WireError or a value, never in anything else", () => {
  test("mutated messages", { timeout: 0 }, () => {
    const random = new Mulberry(SEED + 2);
    const corpus = seedMessages();
    let understood = 0;
    for (let run = 0; run < RUNS; run++) {
      const octets = mutate(corpus, random);
      if (tryMessage(octets, run % 16 === 0)) understood++;
    }
    // A mutator that breaks everything or nothing at once would test little.
    expect(understood).toBeGreaterThan(RUNS / 50);
    expect(understood).toBeLessThan(RUNS / 1.5);
  });

  test("mutated bodies of every kind of payload", { timeout: 0 }, () => {
    const random = new Mulberry(SEED + 3);
    const bodies = fc
      .sample(arbitraryPayload, { seed: SEED + 3, numRuns: 400 })
      .map((payload) => encodePayloads([payload]));
    let understood = 0;
    for (let run = 0; run < RUNS; run++) {
      const { firstType, octets } = random.pick(bodies);
      const damaged = damage(octets, [octets], random);
      // The outer length is made to fit, so that the damage is met inside.
      if (damaged.length >= 4) new DataView(damaged.buffer).setUint16(2, damaged.length);
      if (tryPayloads(damaged, firstType)) understood++;
    }
    expect(understood).toBeGreaterThan(RUNS / 50);
    expect(understood).toBeLessThan(RUNS / 1.1);
  });

  test("random octets", { timeout: 0 }, () => {
    const random = new Mulberry(SEED + 4);
    for (let run = 0; run < RUNS; run++) {
      const octets = random.octets(random.below(run % 64 === 0 ? 2000 : 80));
      tryMessage(octets, false);
      if (octets.length >= 28) {
        octets[17] = 0x20;
        new DataView(octets.buffer).setUint32(24, octets.length);
        octets[16] = 33 + random.below(22);
        tryMessage(octets, false);
      }
      tryPayloads(octets, 33 + random.below(22));
      onlyWireError(octets, decodeIpHeader);
      onlyWireError(octets, decodeEspHeader);
      classifyDatagram(octets);
    }
  });

  test("every octet of a message, cut off there or set to any of the telling values", { timeout: 0 }, () => {
    for (const whole of seedMessages().slice(0, 24)) {
      for (let at = 0; at < whole.length; at++) {
        tryMessage(whole.slice(0, at), false);
        tryMessage(withLength(whole.slice(0, at)), false);
        for (const value of TELLING) {
          const octets = whole.slice();
          octets[at] = value;
          tryMessage(octets, false);
        }
      }
    }
  });
});

test("every length and count, one too small, one too large, nothing and all, is refused", () => {
  const seeds = seedMessages();
  let tried = 0;
  for (const whole of seeds) {
    for (const { at, size, name } of lengthFields(whole)) {
      const right = readNumber(whole, at, size);
      const largest = 2 ** (8 * size) - 1;
      for (const value of new Set([right - 1, right + 1, 0, largest])) {
        if (value < 0 || value > largest || value === right) continue;
        const octets = whole.slice();
        writeNumber(octets, { at, size, value });
        const verdict = tryMessage(octets, false);
        expect(verdict, `${name} at ${at}: ${value} instead of ${right} in ${toHex(whole)}`).toBe(false);
        tried++;
      }
    }
  }
  expect(tried).toBeGreaterThan(2000);
});

/** Whether the octets are a message. Throws, with the octets in the message, when they end in anything but a WireError. */
function tryMessage(octets: Uint8Array, isThorough: boolean): boolean {
  return onlyWireError(octets, () => {
    const message = decodeMessage(octets);
    printMessage(message);
    if (isThorough) expectStable(message);
  });
}

function tryPayloads(octets: Uint8Array, firstType: number): boolean {
  return onlyWireError(octets, () => printPayloads(decodePayloads({ firstType, octets })));
}

function onlyWireError(octets: Uint8Array, action: (octets: Uint8Array) => unknown): boolean {
  try {
    action(octets);
    return true;
  } catch (error) {
    if (error instanceof WireError) return false;
    throw new Error(`${String(error)} from ${toHex(octets)}`, { cause: error });
  }
}

/** What was understood is encoded again and understood as the same, except where octets that we do not know were dropped. */
function expectStable(message: Message): void {
  let octets: Uint8Array;
  try {
    octets = encodeMessage({ ...message.header, payloads: message.payloads });
  } catch (error) {
    if (error instanceof TypeError && hasUnkept(message.payloads)) return;
    throw error;
  }
  const again = decodeMessage(octets);
  if (!isDeepStrictEqual(withoutAad(again.payloads), withoutAad(message.payloads))) {
    throw new Error(`encodes to something else: ${toHex(octets)}`);
  }
}

function hasUnkept(payloads: readonly Payload[]): boolean {
  return payloads.some((payload) => {
    if (payload.kind === "security-association") {
      return payload.proposals.some(({ transforms }) =>
        transforms.some((transform) => transform.hasUnknownAttribute),
      );
    }
    if (payload.kind === "traffic-selectors-initiator" || payload.kind === "traffic-selectors-responder") {
      return payload.selectors.some(({ type }) => type !== 7 && type !== 8);
    }
    return false;
  });
}

function withoutAad(payloads: readonly Payload[]): Payload[] {
  return payloads.map((payload) =>
    payload.kind === "encrypted" || payload.kind === "encrypted-fragment"
      ? { ...payload, aad: new Uint8Array(0) }
      : payload,
  );
}

/** The hand-made vectors and messages of every shape. */
function seedMessages(): Uint8Array[] {
  return [
    readHexFile("ikev2-messages/strongswan-ike-sa-init.hex"),
    readHexFile("ikev2-messages/windows-ike-sa-init.hex"),
    ...fc.sample(arbitraryMessage, { seed: SEED, numRuns: 200 }).map(encodeMessage),
  ];
}

interface NumberField {
  readonly at: number;
  readonly size: number;
  readonly name: string;
}

/**
 * Where a valid message keeps lengths and counts that must agree with something around them, found by walking the diagrams
 * of RFC 7296 section 3 and not by the decoder. A length whose error only moves the border between two free fields (an SPI
 * and the data behind it) is not among them.
 */
function lengthFields(message: Uint8Array): NumberField[] {
  const fields: NumberField[] = [{ at: 24, size: 4, name: "Length" }];
  let type = message[16]!;
  let at = 28;
  while (at < message.length) {
    const length = readNumber(message, at + 2, 2);
    const isEncrypted = type === 46 || type === 53;
    fields.push({ at: at + 2, size: 2, name: "Payload Length" });
    if (type === 33) fields.push(...proposalFields(message, at + 4, at + length));
    if (type === 42) fields.push({ at: at + 6, size: 2, name: "Num of SPIs" });
    if (type === 44 || type === 45) {
      fields.push({ at: at + 4, size: 1, name: "Number of TSs" });
      for (let ts = at + 8; ts < at + length; ts += readNumber(message, ts + 2, 2)) {
        fields.push({ at: ts + 2, size: 2, name: "Selector Length" });
      }
    }
    if (type === 48) fields.push({ at: at + 6, size: 2, name: "EAP Length" });
    type = isEncrypted ? 0 : message[at]!;
    at += length;
  }
  return fields;
}

function proposalFields(message: Uint8Array, start: number, end: number): NumberField[] {
  const fields: NumberField[] = [];
  for (let at = start; at < end; at += readNumber(message, at + 2, 2)) {
    fields.push(
      { at: at + 2, size: 2, name: "Proposal Length" },
      { at: at + 7, size: 1, name: "Num Transforms" },
    );
    const proposalEnd = at + readNumber(message, at + 2, 2);
    for (let t = at + 8 + message[at + 6]!; t < proposalEnd; t += readNumber(message, t + 2, 2)) {
      fields.push({ at: t + 2, size: 2, name: "Transform Length" });
    }
  }
  return fields;
}

function readNumber(octets: Uint8Array, at: number, size: number): number {
  return octets.subarray(at, at + size).reduce((value, octet) => value * 256 + octet, 0);
}

function writeNumber(
  octets: Uint8Array,
  field: { readonly at: number; readonly size: number; readonly value: number },
): void {
  for (let i = 0; i < field.size; i++) {
    octets[field.at + i] = Math.floor(field.value / 256 ** (field.size - 1 - i)) % 256;
  }
}

const TELLING = [0x00, 0x01, 0x02, 0x03, 0x04, 0x08, 0x21, 0x2e, 0x35, 0x7f, 0x80, 0xff];

/** One of the corpus with one to four kinds of damage; mostly with the header's Length made to fit again. */
function mutate(corpus: readonly Uint8Array[], random: Mulberry): Uint8Array {
  let octets: Uint8Array = random.pick(corpus).slice();
  for (let i = 1 + random.below(4); i > 0; i--) octets = damage(octets, corpus, random);
  return random.below(8) === 0 || octets.length < 28 ? octets : withLength(octets);
}

function damage(octets: Uint8Array, corpus: readonly Uint8Array[], random: Mulberry): Uint8Array {
  const result = octets.slice();
  const at = random.below(Math.max(1, result.length));
  const length = random.below(12);
  switch (random.below(8)) {
    case 0:
      if (result.length > 0) result[at] = result[at]! ^ (1 << random.below(8));
      return result;
    case 1:
      if (result.length > 0) result[at] = random.pick(TELLING);
      return result;
    case 2:
      if (result.length > 0) result[at] = random.below(256);
      return result;
    case 3: // A number that is one off, as lengths are.
      if (result.length > 0) result[at] = result[at]! + (random.below(2) === 0 ? 1 : -1);
      return result;
    case 4:
      return result.slice(0, at);
    case 5: // A hole.
      return Uint8Array.from([...result.subarray(0, at), ...result.subarray(at + length)]);
    case 6: // A piece twice.
      return Uint8Array.from([...result.subarray(0, at), ...result.subarray(Math.max(0, at - length))]);
    default: {
      // The head of one and the tail of another.
      const other = random.pick(corpus);
      return Uint8Array.from([...result.subarray(0, at), ...other.subarray(random.below(other.length + 1))]);
    }
  }
}

function withLength(octets: Uint8Array): Uint8Array {
  if (octets.length >= 28) new DataView(octets.buffer, octets.byteOffset).setUint32(24, octets.length);
  return octets;
}

/** A small seeded generator, so that a run can be repeated. */
class Mulberry {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A whole number from 0 up to, not including, `limit`. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % limit;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }

  octets(length: number): Uint8Array {
    const octets = new Uint8Array(length);
    for (let i = 0; i < length; i++) octets[i] = this.below(256);
    return octets;
  }
}
