// ESP with node:crypto, one packet at a time and as plainly as RFC 4303 puts it: the oracle for the kernel, and the line
// beside it in every chart.

import { compareOctets } from "../bytes/compare.ts";
import { TrafficSelectorType } from "../iana/ikev2-parameters.ts";
import type { CopyDscp, DontFragment } from "../policy/connection.ts";
import type { TrafficSelector } from "../wire/payloads/traffic-selector.ts";
import { type ReferenceCipher, referenceCipher } from "./reference-cipher.ts";
import type { SelectorSet } from "./selector-table.ts";
import type { StatusName } from "./status.ts";
import type { EspTransforms } from "./suites.ts";

export interface ReferenceSaFacts extends EspTransforms {
  readonly spi: number;
  /** As KEYMAT gives it: key, salt, integrity key. */
  readonly key: Uint8Array;
  /** Of a sender with AES-CBC, 16 octets: IVs are the sequence numbers, encrypted under it. */
  readonly ivKey?: Uint8Array | undefined;
  readonly esn: boolean;
  readonly selectors: SelectorSet;
  /** 0 is no check. */
  readonly replayWindowPackets: number;
  readonly packetLimit: number;
  readonly octetLimit: number;
  readonly copyDscp: CopyDscp;
  /** Octets that inner packets are padded to with zeros (RFC 4303 section 2.7). Default none. */
  readonly padTo?: number;
  /** Octets of inner packet that the path takes, which TCP SYNs are held to; 0 is not known. */
  readonly innerMtu?: number;
  /** Default "set". */
  readonly df?: DontFragment;
}

export type ReferencePolicy =
  | { readonly action: "protect"; readonly sa: ReferenceSa }
  | { readonly action: "discard"; readonly selectors: SelectorSet };

export type Encapsulated =
  | {
      readonly status: "ok";
      /** Several ESP packets behind one another, where it was fragmented before. */
      readonly octets: Uint8Array;
      /** The last. */
      readonly sequence: bigint;
      /** Of the outer header. */
      readonly trafficClass: number;
      readonly mayFragment: boolean;
    }
  | { readonly status: Exclude<StatusName, "ok"> };

export type Decapsulated =
  | { readonly status: "ok"; readonly packet: Uint8Array; readonly sequence: bigint }
  | { readonly status: Exclude<StatusName, "ok"> };

const HEADER_LENGTH = 8;
const TRAILER_LENGTH = 2;
const DATAGRAM_LIMIT = 65_507;
const SUBSPACE = 2n ** 32n;

/** One direction of a child SA. */
export class ReferenceSa {
  readonly facts: ReferenceSaFacts;
  readonly cipher: ReferenceCipher;
  /** Outbound the last number sent, inbound the highest that was authentic. */
  sequence = 0n;
  packets = 0;
  octets = 0;
  readonly #seen = new Set<bigint>();

  constructor(facts: ReferenceSaFacts) {
    this.facts = facts;
    this.cipher = referenceCipher(facts);
  }

  wouldExceedLimits(length: number): boolean {
    return this.packets >= this.facts.packetLimit || this.octets + length > this.facts.octetLimit;
  }

  noteUse(length: number): void {
    this.packets++;
    this.octets += length;
  }

  /** RFC 4303 section 3.3.3. */
  nextSequence(): bigint | undefined {
    const last = this.facts.esn ? 2n ** 64n - 1n : SUBSPACE - 1n;
    if (this.sequence === last) return undefined;
    this.sequence += 1n;
    return this.sequence;
  }

  /** RFC 4303 section 3.4.3. */
  replayVerdict(sequence: bigint): "ok" | "replayed" | "tooOld" {
    const window = BigInt(this.facts.replayWindowPackets);
    if (window === 0n) return "ok";
    if (sequence === 0n || sequence <= this.sequence - window) return "tooOld";
    return this.#seen.has(sequence) ? "replayed" : "ok";
  }

  mark(sequence: bigint): void {
    if (this.facts.replayWindowPackets > 0) this.#seen.add(sequence);
    if (sequence > this.sequence) this.sequence = sequence;
  }

  /**
   * RFC 4303 appendix A2, said in whole numbers: of all numbers with these low 32 bits, the lowest that is not left of the
   * window. Undefined when the window has not got there yet, or numbers have run out.
   */
  infer(low: number): bigint | undefined {
    if (!this.facts.esn) return BigInt(low);
    const bottom = this.sequence - BigInt(this.facts.replayWindowPackets) + 1n;
    let candidate = BigInt(low) - SUBSPACE;
    while (candidate < bottom) candidate += SUBSPACE;
    return candidate < 0n || candidate >= 2n ** 64n ? undefined : candidate;
  }
}

/** The outbound side: an ordered SPD. */
export function referenceEncapsulate(policies: readonly ReferencePolicy[], packet: Uint8Array): Encapsulated {
  const inner = parsePacket(packet);
  if (inner === undefined) return { status: "runt" };
  const policy = policies.find((each) => {
    const selectors = each.action === "protect" ? each.sa.facts.selectors : each.selectors;
    return isSelected(selectors, { local: inner.source, remote: inner.destination, inner });
  });
  if (policy === undefined) return { status: "noPolicy" };
  if (policy.action === "discard") return { status: "noSa" };

  return encapsulate(policy.sa, packet.slice(0, inner.length), inner);
}

function encapsulate(sa: ReferenceSa, packet: Uint8Array, inner: InnerPacket): Encapsulated {
  const { innerMtu = 0 } = sa.facts;
  const fit = fitOf(sa, packet, inner);
  if (fit === "doesNot") return { status: "tooBig" };
  clampMss(packet, { inner, innerMtu });
  const pieces = fit === "inside" ? fragmentsOf(packet, innerMtu) : [packet];
  const sealed: Uint8Array[] = [];
  for (const piece of pieces) {
    const result = encapsulatePiece(sa, piece);
    if (typeof result === "string") {
      if (sealed.length === 0) return { status: result };
      break;
    }
    sealed.push(result);
  }
  return {
    status: "ok",
    octets: new Uint8Array(Buffer.concat(sealed)),
    sequence: sa.sequence,
    trafficClass: trafficClassOf(packet) & (copiesDscp(sa, "out") ? 0xff : 0x03),
    mayFragment: fit === "outside",
  };
}

/** The ESP packet, or why there is none. */
function encapsulatePiece(sa: ReferenceSa, packet: Uint8Array): Uint8Array | Exclude<StatusName, "ok"> {
  const { padTo = 0, innerMtu = 0 } = sa.facts;
  const { ivLength, icvLength, unit } = sa.cipher;
  const paddedLength = Math.max(packet.length, innerMtu === 0 ? padTo : Math.min(padTo, innerMtu));
  const padLength = (unit - ((paddedLength + TRAILER_LENGTH) % unit)) % unit;
  const length = HEADER_LENGTH + ivLength + paddedLength + padLength + TRAILER_LENGTH + icvLength;
  if (length > DATAGRAM_LIMIT) return "tooLong";
  if (sa.wouldExceedLimits(packet.length)) return "limitReached";
  const sequence = sa.nextSequence();
  if (sequence === undefined) return "sequenceExhausted";
  sa.noteUse(packet.length);

  const filler = new Uint8Array(paddedLength - packet.length);
  const padding = Uint8Array.from({ length: padLength }, (_, i) => i + 1);
  const nextHeader = packet[0]! >> 4 === 4 ? 4 : 41;
  const plaintext = Buffer.concat([packet, filler, padding, Uint8Array.of(padLength, nextHeader)]);
  return sealEsp(sa.facts, { sequence, plaintext });
}

/** RFC 4301 section 8: whether a packet goes as it is, in fragments made before or after it is sealed, or not at all. */
function fitOf(
  sa: ReferenceSa,
  packet: Uint8Array,
  inner: InnerPacket,
): "whole" | "inside" | "outside" | "doesNot" {
  const { df = "set", innerMtu = 0, selectors } = sa.facts;
  if (df === "clear") return "outside";
  const mayFragment = inner.family === 4 && (packet[6]! & 0x40) === 0;
  if (mayFragment && df === "copy") return "outside";
  if (innerMtu === 0 || packet.length <= innerMtu) return "whole";
  if (inner.family === 6) return packet.length <= 1280 ? "outside" : "doesNot";
  if (!mayFragment) return "doesNot";
  const [local, remote] = [inner.source, inner.destination].map((end) => ({
    ...end,
    port: "opaque" as const,
  }));
  return isSelected(selectors, { local: local!, remote: remote!, inner }) ? "inside" : "outside";
}

/** RFC 791 section 2.3. Options that only the first fragment has leave room behind that does nothing in the others. */
function fragmentsOf(packet: Uint8Array, mtu: number): Uint8Array[] {
  const headerLength = (packet[0]! & 15) * 4;
  const pieceLength = Math.floor((mtu - headerLength) / 8) * 8;
  const count = Math.ceil((packet.length - headerLength) / pieceLength);
  return Array.from({ length: count }, (_, i) => {
    const from = headerLength + i * pieceLength;
    const piece = new Uint8Array(
      Buffer.concat([packet.subarray(0, headerLength), packet.subarray(from, from + pieceLength)]),
    );
    const view = new DataView(piece.buffer);
    if (i > 0) dropOptions(piece.subarray(20, headerLength));
    const more = i < count - 1 ? 0x2000 : 0;
    view.setUint16(2, piece.length);
    view.setUint16(6, (view.getUint16(6) + (i * pieceLength) / 8) | more);
    view.setUint16(10, 0);
    let sum = 0;
    for (let at = 0; at < headerLength; at += 2) sum += view.getUint16(at);
    view.setUint16(10, 0xffff - (sum % 0xffff || 0xffff));
    return piece;
  });
}

function dropOptions(options: Uint8Array): void {
  for (let at = 0; at < options.length && options[at] !== 0; ) {
    const length = options[at] === 1 ? 1 : (options[at + 1] ?? 0);
    if (options[at] !== 1 && (length < 2 || at + length > options.length)) return;
    if ((options[at]! & 0x80) === 0) options.fill(1, at, at + length);
    at += length;
  }
}

/** Seals a plaintext, trailer included, as the ESP packet with this number. Tests use it to make what no sender should. */
export function sealEsp(
  facts: Pick<ReferenceSaFacts, "spi" | "encryption" | "integrity" | "key" | "ivKey" | "esn">,
  { sequence, plaintext }: { readonly sequence: bigint; readonly plaintext: Uint8Array },
): Uint8Array {
  const header = Buffer.alloc(HEADER_LENGTH);
  header.writeUInt32BE(facts.spi, 0);
  header.writeUInt32BE(Number(sequence & 0xffff_ffffn), 4);
  const cipher = referenceCipher(facts);
  const iv = cipher.ivOf(sequence);
  const sealed = cipher.seal({ spi: facts.spi, sequence, iv, plaintext });
  return new Uint8Array(Buffer.concat([header, iv, sealed]));
}

/**
 * The inbound side. A batch goes through in three steps, as in the kernel: what the window refuses at the start of the batch
 * is refused before any cryptography, what an earlier packet of the batch has taken is refused after it. `trafficClasses`: of
 * the outer headers, zero where left out.
 */
export function referenceDecapsulate(
  inbound: ReadonlyMap<number, ReferenceSa>,
  packets: readonly Uint8Array[],
  trafficClasses: readonly number[] = [],
): Decapsulated[] {
  return packets
    .map((packet, i) => admit(inbound, packet, trafficClasses[i] ?? 0))
    .map((admitted) => (admitted.status === "ok" ? { ...admitted, plaintext: openEsp(admitted) } : admitted))
    .map((opened) => (opened.status === "ok" ? finish(opened) : opened));
}

interface Admitted {
  readonly status: "ok";
  readonly sa: ReferenceSa;
  readonly sequence: bigint;
  readonly packet: Uint8Array;
  readonly trafficClass: number;
}

function admit(
  inbound: ReadonlyMap<number, ReferenceSa>,
  packet: Uint8Array,
  trafficClass: number,
): Admitted | { readonly status: Exclude<StatusName, "ok"> } {
  if (packet.length < HEADER_LENGTH) return { status: "runt" };
  const view = new DataView(packet.buffer, packet.byteOffset);
  const sa = inbound.get(view.getUint32(0));
  if (sa === undefined) return { status: "noSa" };
  const textLength = packet.length - HEADER_LENGTH - sa.cipher.ivLength - sa.cipher.icvLength;
  if (textLength < TRAILER_LENGTH) return { status: "runt" };
  if (sa.cipher.takesWholeBlocks && textLength % sa.cipher.unit !== 0) return { status: "runt" };
  const sequence = sa.infer(view.getUint32(4));
  if (sequence === undefined) return { status: "tooOld" };
  const verdict = sa.replayVerdict(sequence);
  return verdict === "ok" ? { status: "ok", sa, sequence, packet, trafficClass } : { status: verdict };
}

function openEsp({ sa, sequence, packet }: Admitted): Uint8Array | undefined {
  const { spi } = sa.facts;
  const iv = packet.subarray(HEADER_LENGTH, HEADER_LENGTH + sa.cipher.ivLength);
  return sa.cipher.open({ spi, sequence, iv, sealed: packet.subarray(HEADER_LENGTH + iv.length) });
}

function finish({
  sa,
  sequence,
  plaintext,
  trafficClass,
}: Admitted & { readonly plaintext: Uint8Array | undefined }): Decapsulated {
  if (plaintext === undefined) return { status: "integrityFailed" };
  const verdict = sa.replayVerdict(sequence);
  if (verdict !== "ok") return { status: verdict };
  sa.mark(sequence);

  const body = plaintext.subarray(0, plaintext.length - TRAILER_LENGTH);
  const [padLength, nextHeader] = [plaintext.at(-2)!, plaintext.at(-1)!];
  if (nextHeader === 59) return { status: "dummy" };
  const padding = body.subarray(body.length - padLength);
  if (padLength > body.length || (padLength > 0 && padding.some((octet, i) => octet !== i + 1))) {
    return { status: "malformed" };
  }
  const inner = parsePacket(body.subarray(0, body.length - padLength));
  if (inner === undefined || nextHeader !== (inner.family === 4 ? 4 : 41)) return { status: "malformed" };
  if (!isSelected(sa.facts.selectors, { local: inner.destination, remote: inner.source, inner })) {
    return { status: "selectorMismatch" };
  }
  if (sa.wouldExceedLimits(inner.length)) return { status: "limitReached" };
  const packet = body.slice(0, inner.length);
  const ecn = ECN_DECAPSULATION[trafficClassOf(packet) & 3]![trafficClass & 3]!;
  if (ecn === "drop") return { status: "ceOnNotEct" };
  sa.noteUse(inner.length);
  const dscp = copiesDscp(sa, "in") ? trafficClass : trafficClassOf(packet);
  setTrafficClass(packet, (dscp & 0xfc) | ecn);
  return { status: "ok", packet: clampMss(packet, { inner, innerMtu: sa.facts.innerMtu }), sequence };
}

/** RFC 6040 figure 4: the ECN that goes on, by that of the inner header and, within a row, of the outer one (00, 01, 10, 11). */
const ECN_DECAPSULATION: readonly (readonly (number | "drop")[])[] = [
  [0, 0, 0, "drop"],
  [1, 1, 1, 3],
  [2, 1, 2, 3],
  [3, 3, 3, 3],
];

function copiesDscp({ facts }: ReferenceSa, direction: "in" | "out"): boolean {
  return facts.copyDscp === "yes" || facts.copyDscp === direction;
}

function trafficClassOf(packet: Uint8Array): number {
  return packet[0]! >> 4 === 4 ? packet[1]! : ((packet[0]! << 4) | (packet[1]! >> 4)) & 0xff;
}

/** The IPv4 header's checksum changes by as much as the octet does: the sum of all words stays what it was. */
function setTrafficClass(packet: Uint8Array, value: number): void {
  const before = trafficClassOf(packet);
  if (value === before) return;
  if (packet[0]! >> 4 === 6) {
    packet[0] = 0x60 | (value >> 4);
    packet[1] = ((value & 0x0f) << 4) | (packet[1]! & 0x0f);
    return;
  }
  packet[1] = value;
  const view = new DataView(packet.buffer, packet.byteOffset);
  const sum = 0xffff - view.getUint16(10) + value + 0xffff - before;
  const folded = (sum & 0xffff) + (sum >>> 16);
  view.setUint16(10, 0xffff - ((folded & 0xffff) + (folded >>> 16)));
}

// ---- Inner packets ------------------------------------------------------------------------------------------------

interface End {
  readonly address: Uint8Array;
  /** "opaque": the packet does not show it. "absent": the other side of an ICMP type, which has no say. */
  readonly port: number | "opaque" | "absent";
}

interface InnerPacket {
  /** What follows the IP headers; nothing in a later fragment. */
  readonly layer: Uint8Array;
  readonly family: 4 | 6;
  readonly length: number;
  readonly protocol: number;
  readonly source: End;
  readonly destination: End;
}

function parsePacket(octets: Uint8Array): InnerPacket | undefined {
  if (octets.length < 20) return undefined;
  const view = new DataView(octets.buffer, octets.byteOffset, octets.length);
  const version = octets[0]! >> 4;
  if (version === 4) {
    const headerLength = (octets[0]! & 15) * 4;
    const length = view.getUint16(2);
    if (headerLength < 20 || length < headerLength || length > octets.length) return undefined;
    const isLaterFragment = (view.getUint16(6) & 0x1fff) !== 0;
    const protocol = octets[9]!;
    const layer = octets.subarray(isLaterFragment ? length : headerLength, length);
    const ports = portsOf(protocol, layer);
    return {
      family: 4,
      layer,
      length,
      protocol,
      source: { address: octets.subarray(12, 16), port: ports.source },
      destination: { address: octets.subarray(16, 20), port: ports.destination },
    };
  }
  if (version !== 6 || octets.length < 40) return undefined;
  const length = 40 + view.getUint16(4);
  if (length > octets.length) return undefined;
  const layer = walkExtensionHeaders(octets.subarray(0, length));
  if (layer === undefined) return undefined;
  const ports = portsOf(layer.protocol, layer.octets);
  return {
    family: 6,
    layer: layer.octets,
    length,
    protocol: layer.protocol,
    source: { address: octets.subarray(8, 24), port: ports.source },
    destination: { address: octets.subarray(24, 40), port: ports.destination },
  };
}

function walkExtensionHeaders(
  packet: Uint8Array,
): { readonly protocol: number; readonly octets: Uint8Array } | undefined {
  let protocol = packet[6]!;
  let rest = packet.subarray(40);
  for (let count = 0; [0, 43, 44, 51, 60].includes(protocol); count++) {
    if (count === 8 || rest.length < 8) return undefined;
    const length = protocol === 44 ? 8 : protocol === 51 ? (rest[1]! + 2) * 4 : (rest[1]! + 1) * 8;
    if (length > rest.length) return undefined;
    const isLaterFragment = protocol === 44 && ((rest[2]! << 8) | rest[3]!) >> 3 !== 0;
    protocol = rest[0]!;
    rest = rest.subarray(length);
    if (isLaterFragment) return { protocol, octets: new Uint8Array(0) };
  }
  return { protocol, octets: rest };
}

function portsOf(protocol: number, layer: Uint8Array): { source: End["port"]; destination: End["port"] } {
  if (layer.length < 4) return { source: "opaque", destination: "opaque" };
  const first = (layer[0]! << 8) | layer[1]!;
  const second = (layer[2]! << 8) | layer[3]!;
  if ([6, 17, 33, 132, 136].includes(protocol)) return { source: first, destination: second };
  if (protocol === 1 || protocol === 58) return { source: first, destination: "absent" };
  if (protocol === 135) return { source: layer[2]! << 8, destination: "absent" };
  return { source: "opaque", destination: "opaque" };
}

/** Writes what an MSS option of a SYN may say at most, and the checksum that goes with it. */
function clampMss(
  packet: Uint8Array,
  { inner, innerMtu = 0 }: { readonly inner: InnerPacket; readonly innerMtu: number | undefined },
): Uint8Array {
  const limit = innerMtu - (inner.family === 4 ? 40 : 60);
  if (limit <= 0 || inner.protocol !== 6 || inner.layer.length < 20 || (inner.layer[13]! & 2) === 0)
    return packet;
  const start = inner.length - inner.layer.length;
  const headerLength = Math.min((inner.layer[12]! >> 4) * 4, inner.layer.length);
  const at = mssPlace(inner.layer.subarray(0, headerLength));
  const view = new DataView(packet.buffer, packet.byteOffset);
  if (at === undefined || view.getUint16(start + at) <= limit) return packet;
  // What the two octets add to the sum of the segment hangs on which half of a word each lies in.
  const weight = (i: number): number => (i % 2 === 0 ? 256 : 1);
  const sumOf = (): number => packet[start + at]! * weight(at) + packet[start + at + 1]! * weight(at + 1);
  const before = sumOf();
  view.setUint16(start + at, limit);
  const sum = 0xffff - view.getUint16(start + 16) + 0x1fffe - before + sumOf();
  view.setUint16(start + 16, 0xffff - (sum % 0xffff || 0xffff));
  return packet;
}

/** Where the value of the MSS option is. */
function mssPlace(header: Uint8Array): number | undefined {
  let found: number | undefined;
  for (let at = 20; at < header.length && header[at] !== 0; ) {
    if (header[at] === 1) {
      at += 1;
      continue;
    }
    if (at + 2 > header.length) break;
    const length = header[at + 1]!;
    // RFC 5925: an authentication option covers the others.
    if (length < 2 || at + length > header.length || header[at] === 29) return undefined;
    if (header[at] === 2 && length === 4) found = at + 2;
    at += length;
  }
  return found;
}

function isSelected(
  { local, remote }: SelectorSet,
  packet: { readonly local: End; readonly remote: End; readonly inner: InnerPacket },
): boolean {
  const covers = (selector: TrafficSelector, end: End): boolean =>
    selector.type ===
      (packet.inner.family === 4
        ? TrafficSelectorType.TS_IPV4_ADDR_RANGE
        : TrafficSelectorType.TS_IPV6_ADDR_RANGE) &&
    (selector.protocol === 0 || selector.protocol === packet.inner.protocol) &&
    compareOctets(end.address, selector.startAddress) >= 0 &&
    compareOctets(end.address, selector.endAddress) <= 0 &&
    portIsCovered(selector, end.port);
  return (
    local.some((selector) => covers(selector, packet.local)) &&
    remote.some((selector) => covers(selector, packet.remote))
  );
}

function portIsCovered({ startPort, endPort }: TrafficSelector, port: End["port"]): boolean {
  if (port === "absent" || (startPort === 0 && endPort === 65535)) return true;
  const isOpaque = startPort > endPort;
  return isOpaque ? port === "opaque" : typeof port === "number" && port >= startPort && port <= endPort;
}
