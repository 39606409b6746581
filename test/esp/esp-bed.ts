import {
  DESCRIPTOR_HEADER_OFFSET,
  DESCRIPTOR_LENGTH_OFFSET,
  DESCRIPTOR_RESULT_LENGTH_OFFSET,
  DESCRIPTOR_RESULT_OFFSET,
  DESCRIPTOR_RESUME_OFFSET,
  DESCRIPTOR_SEGMENT_COUNT_OFFSET,
  DESCRIPTOR_SEGMENT_LENGTH_OFFSET,
  DESCRIPTOR_SEGMENT_LIMIT_OFFSET,
  DESCRIPTOR_SEQUENCE_OFFSET,
  DESCRIPTOR_SIZE,
  DESCRIPTOR_SOURCE_OFFSET,
  DESCRIPTOR_STATUS_OFFSET,
  DESCRIPTOR_TRAFFIC_CLASS_OFFSET,
  MAY_FRAGMENT,
  SEND_SLAB_SIZE,
  TRAILER_ROOM,
  VNET_HEADER_SIZE,
  WORKER_BASE,
  WORKER_DESCRIPTORS_OFFSET,
  WORKER_RECEIVE_OFFSET,
  WORKER_SEND_SLAB_OFFSET,
  WORKER_SIZE,
  WORKER_TUN_SLAB_OFFSET,
  WORKER_WRITES_OFFSET,
} from "../../assembly/layout.ts";
import { createSharedMemory, type Kernel, loadKernel } from "../../src/esp/kernel.ts";
import { immediateQuiescence, type Quiescence } from "../../src/esp/quiescence.ts";
import { type ReferencePolicy, ReferenceSa } from "../../src/esp/reference.ts";
import type { TrafficCover } from "../../src/esp/sa-slot.ts";
import { type ChildSaRecord, Sad } from "../../src/esp/sad.ts";
import type { SelectorSet } from "../../src/esp/selector-table.ts";
import { SelectorTable } from "../../src/esp/selector-table.ts";
import { type DataPolicy, Spd } from "../../src/esp/spd.ts";
import { type StatusName, statusName } from "../../src/esp/status.ts";
import { EncryptionTransform, IntegrityTransform, TransformType } from "../../src/iana/ikev2-parameters.ts";
import type { CopyDscp, DontFragment } from "../../src/policy/connection.ts";
import type { Transform } from "../../src/wire/payloads/transform.ts";
import { SeededRandom } from "../support/kernel.ts";
import { trafficSelector } from "../support/traffic-selectors.ts";

/** A suite of ESP transforms; lengths are octets. */
export interface EspCipher {
  readonly name: string;
  readonly transform: Transform;
  readonly integrity?: Transform;
  readonly keyLength: number;
  /** Of KEYMAT: key, salt and integrity key. */
  readonly keymatLength: number;
  /** Whether nobody can read the text. */
  readonly isSecret: boolean;
}

const { ENCR, INTEG } = TransformType;
const BITS = [128, 192, 256];
const HMACS = [
  { name: "SHA1-96", id: IntegrityTransform.AUTH_HMAC_SHA1_96, length: 20 },
  { name: "SHA2-256-128", id: IntegrityTransform.AUTH_HMAC_SHA2_256_128, length: 32 },
  { name: "SHA2-384-192", id: IntegrityTransform.AUTH_HMAC_SHA2_384_192, length: 48 },
  { name: "SHA2-512-256", id: IntegrityTransform.AUTH_HMAC_SHA2_512_256, length: 64 },
];

const GCM = BITS.map((bits) => combined(`AES-${bits}-GCM`, EncryptionTransform.ENCR_AES_GCM_16, bits));
const GMAC = BITS.map((bits) => ({
  ...combined(`AES-${bits}-GMAC`, EncryptionTransform.ENCR_NULL_AUTH_AES_GMAC, bits),
  isSecret: false,
}));
const CHACHA = combined("ChaCha20-Poly1305", EncryptionTransform.ENCR_CHACHA20_POLY1305);
const IMPLICIT = [
  ...BITS.map((bits) => combined(`AES-${bits}-GCM-IIV`, EncryptionTransform.ENCR_AES_GCM_16_IIV, bits)),
  combined("ChaCha20-Poly1305-IIV", EncryptionTransform.ENCR_CHACHA20_POLY1305_IIV),
];
const SEPARATE = HMACS.map((hmac) => ({
  cbc: BITS.map((bits) => separate(`AES-${bits}-CBC`, { id: EncryptionTransform.ENCR_AES_CBC, bits, hmac })),
  ctr: BITS.map((bits) =>
    separate(`AES-${bits}-CTR`, { id: EncryptionTransform.ENCR_AES_CTR, bits, saltLength: 4, hmac }),
  ),
  null: { ...separate("NULL", { id: EncryptionTransform.ENCR_NULL, hmac }), isSecret: false },
}));

/** Every suite of the data plane. */
export const ALL_CIPHERS: readonly EspCipher[] = [
  ...GCM,
  CHACHA,
  ...GMAC,
  ...IMPLICIT,
  ...SEPARATE.flatMap((suites) => [...suites.cbc, ...suites.ctr, suites.null]),
];
/** One of each kind. */
export const CIPHERS: readonly EspCipher[] = [
  ...GCM,
  CHACHA,
  GMAC[2]!,
  IMPLICIT[2]!,
  IMPLICIT[3]!,
  SEPARATE[0]!.cbc[2]!,
  SEPARATE[1]!.cbc[0]!,
  SEPARATE[2]!.ctr[1]!,
  SEPARATE[3]!.null,
];
export const AES_128_GCM = GCM[0]!;
export const CHACHA20_POLY1305 = CHACHA;
export const AES_256_CBC_SHA1 = SEPARATE[0]!.cbc[2]!;

function combined(name: string, id: number, bits?: number): EspCipher {
  const keyLength = (bits ?? 256) / 8;
  const transform = { type: ENCR, id, ...(bits === undefined ? {} : { keyLength: bits }) };
  return { name, transform, keyLength, keymatLength: keyLength + 4, isSecret: true };
}

function separate(
  name: string,
  parts: {
    readonly id: number;
    readonly bits?: number;
    readonly saltLength?: number;
    readonly hmac: (typeof HMACS)[number];
  },
): EspCipher {
  const { id, bits, saltLength = 0, hmac } = parts;
  const keyLength = (bits ?? 0) / 8;
  return {
    name: `${name} with HMAC-${hmac.name}`,
    transform: { type: ENCR, id, ...(bits === undefined ? {} : { keyLength: bits }) },
    integrity: { type: INTEG, id: hmac.id },
    keyLength,
    keymatLength: keyLength + saltLength + hmac.length,
    isSecret: true,
  };
}

/** An inner packet with the padding and trailer that an SA's sender adds. */
export function withTrailer(sa: ReferenceSa, packet: Uint8Array, nextHeader = 4): Uint8Array {
  const padLength = -(packet.length + 2) & (sa.cipher.unit - 1);
  const padding = Uint8Array.from({ length: padLength }, (_, i) => i + 1);
  return Buffer.concat([packet, padding, Uint8Array.of(padLength, nextHeader)]);
}

export const WORKER = 1;
const REGION = WORKER_BASE + WORKER * WORKER_SIZE;
const CANARY = 0xc5;

export interface ChildFacts {
  readonly cipher?: EspCipher;
  readonly esn?: boolean;
  readonly selectors?: SelectorSet;
  readonly replayWindowPackets?: number;
  readonly packetLimit?: number;
  readonly octetLimit?: number;
  readonly cover?: TrafficCover;
  readonly isTransport?: boolean;
  readonly outboundSpi?: number;
  readonly copyDscp?: CopyDscp;
  readonly clampsMss?: boolean;
  /** As of a path; left out, nothing is known of it. */
  readonly innerMtu?: number;
  readonly df?: DontFragment;
}

/** A child SA in the kernel, and the same SAs for the reference. */
export interface Child {
  readonly inboundSpi: number;
  readonly outboundSpi: number;
  readonly inbound: ReferenceSa;
  readonly outbound: ReferenceSa;
}

export interface EspResult {
  readonly status: StatusName;
  readonly octets: Uint8Array;
  readonly sequence: bigint;
  /** Outbound: of the outer header. */
  readonly trafficClass: number;
  readonly mayFragment: boolean;
  readonly address: number;
}

/** Kernel, SAD and SPD over one memory, without devices. What the kernel must not touch stands between canaries. */
export class EspBed {
  readonly memory = createSharedMemory();
  readonly host: Kernel = loadKernel(this.memory, 0);
  readonly kernel: Kernel = loadKernel(this.memory, WORKER);
  readonly octets = new Uint8Array(this.memory.buffer);
  readonly view = new DataView(this.memory.buffer);
  readonly random: SeededRandom;
  readonly selectors = new SelectorTable(this.memory);
  readonly sad: Sad;
  readonly spd: Spd;
  /** By inbound SPI. */
  readonly #inbound = new Map<number, ReferenceSa>();
  /** What the SAD drew last: with AES-CBC, the key for IVs. */
  #drawn: Uint8Array = new Uint8Array(0);
  #longestPadding = 0;

  /** `owner` is the worker whose SAs the SAD makes; batches always run in worker 1. */
  constructor({
    seed = 1,
    quiescence,
    owner = WORKER,
    policyCount,
  }: {
    seed?: number;
    quiescence?: Quiescence;
    owner?: number;
    policyCount?: number;
  } = {}) {
    this.random = new SeededRandom(seed);
    const shared = {
      memory: this.memory,
      selectors: this.selectors,
      quiescence: quiescence ?? immediateQuiescence(() => this.kernel.wipeTraces()),
    };
    this.sad = new Sad({
      ...shared,
      kernel: this.host,
      lanes: [{ sender: WORKER, receiver: owner }],
      random: {
        bytes: (length) => {
          this.#drawn = this.random.octets(length);
          return this.#drawn.slice();
        },
      },
    });
    this.spd = new Spd({ ...shared, sad: this.sad, policyCount });
  }

  /** Installs a child SA with keys of its own. */
  install(facts: ChildFacts = {}): Child {
    const inboundSpi = this.sad.allocateSpi();
    if (inboundSpi === undefined) throw new RangeError("no SPI left");
    const cipher = facts.cipher ?? AES_128_GCM;
    const inboundKey = this.random.octets(cipher.keymatLength);
    const outboundKey = this.random.octets(cipher.keymatLength);
    const common = {
      encryption: cipher.transform,
      integrity: cipher.integrity,
      esn: facts.esn ?? false,
      selectors: facts.selectors ?? ANY_IPV4,
      replayWindowPackets: facts.replayWindowPackets ?? 1024,
      packetLimit: facts.packetLimit ?? Number.POSITIVE_INFINITY,
      octetLimit: facts.octetLimit ?? Number.POSITIVE_INFINITY,
      copyDscp: facts.copyDscp ?? ("out" as const),
      clampsMss: facts.clampsMss ?? true,
      innerMtu: facts.innerMtu ?? 0,
      df: facts.df ?? ("set" as const),
    };
    this.#longestPadding = Math.max(this.#longestPadding, facts.cover?.padTo ?? 0);
    const outboundSpi = facts.outboundSpi ?? 256 + this.random.below(2 ** 31);
    const keys = { inbound: inboundKey.slice(), outbound: outboundKey.slice() };
    this.sad.install({
      ...common,
      inboundSpi,
      outboundSpi,
      inboundKey,
      outboundKey,
      cover: facts.cover,
      isTransport: facts.isTransport,
      path: { socket: 0, peer: new Uint8Array(16), control: new Uint8Array(32) },
    });
    if (facts.innerMtu !== undefined)
      this.sad.fit(inboundSpi, { espLength: 65_535, longest: facts.innerMtu });
    // What the SAD drew last is the key for IVs, where the suite has one.
    const other = this.random.octets(16);
    const ivKeys = { inbound: other, outbound: this.#drawn.length === other.length ? this.#drawn : other };
    const inbound = new ReferenceSa({
      ...common,
      spi: inboundSpi,
      key: keys.inbound,
      ivKey: ivKeys.inbound,
    });
    const outbound = new ReferenceSa({
      ...common,
      spi: outboundSpi,
      padTo: facts.cover?.padTo ?? 0,
      key: keys.outbound,
      ivKey: ivKeys.outbound,
    });
    this.#inbound.set(inboundSpi, inbound);
    return { inboundSpi, outboundSpi, inbound, outbound };
  }

  /** Installs a child SA that was made elsewhere. `inbound` is the same for the reference. */
  adopt(record: ChildSaRecord, inbound: ReferenceSa): void {
    this.#inbound.set(record.inboundSpi, inbound);
    this.sad.install(record);
  }

  protect(...children: readonly Child[]): void {
    this.spd.replace(children.map(({ inboundSpi }): DataPolicy => ({ action: "protect", inboundSpi })));
  }

  /** One batch outbound. Throws when the kernel wrote anywhere but where its results are, or changed a packet. */
  encapsulate(packets: readonly Uint8Array[]): EspResult[] {
    const start = REGION + WORKER_TUN_SLAB_OFFSET;
    const placed = this.#place(start, packets, TRAILER_ROOM);
    const slab = REGION + WORKER_SEND_SLAB_OFFSET;
    const slabRoom = packets.reduce(
      (sum, packet) => sum + Math.max(packet.length, this.#longestPadding) + 96,
      96,
    );
    this.octets.fill(CANARY, slab - 16, slab + slabRoom);
    this.kernel.espEncapsulateBatch(0, packets.length);

    const results = this.#results(packets.length);
    const end = results.reduce((sum, { octets }) => sum + octets.length, slab);
    this.#expectCanaries(slab - 16, slab);
    this.#expectCanaries(end, slab + slabRoom);
    packets.forEach((packet, i) => {
      const at = placed[i]!;
      if (
        Buffer.compare(packet, this.octets.slice(at, at + packet.length)) !== 0 &&
        results[i]!.status !== "ok"
      ) {
        throw new Error(`packet ${i} was changed`);
      }
      this.#expectCanaries(at + packet.length + TRAILER_ROOM, at + packet.length + TRAILER_ROOM + 3);
    });
    return results;
  }

  /** One batch outbound as a TUN device with offloads gives it: a virtio_net_hdr before each packet. Results of super-packets are the ESP packets of all segments. */
  encapsulateFrames(frames: readonly Uint8Array[]): (Pick<EspResult, "status"> & { esp: Uint8Array[] })[] {
    let at = REGION + WORKER_TUN_SLAB_OFFSET;
    frames.forEach((frame, i) => {
      this.octets.set(frame, at);
      this.octets.fill(CANARY, at + frame.length, at + frame.length + TRAILER_ROOM + 5);
      this.#describe(i, at + VNET_HEADER_SIZE, frame.length - VNET_HEADER_SIZE);
      this.view.setUint32(descriptorAt(i) + DESCRIPTOR_HEADER_OFFSET, at, true);
      at += frame.length + TRAILER_ROOM + 5;
    });
    const slab = REGION + WORKER_SEND_SLAB_OFFSET;
    this.octets.fill(CANARY, slab - 16, slab + SEND_SLAB_SIZE + 64);
    this.kernel.espEncapsulateBatch(0, frames.length);
    let end = slab;
    const results = frames.map((_, i) => {
      const word = (offset: number): number => this.view.getUint32(descriptorAt(i) + offset, true);
      const address = word(DESCRIPTOR_RESULT_OFFSET);
      const length = word(DESCRIPTOR_RESULT_LENGTH_OFFSET);
      const segmentLength = word(DESCRIPTOR_SEGMENT_LENGTH_OFFSET);
      if (length > 0 && address !== end) throw new Error("datagrams do not lie back to back");
      end += length;
      const esp = Array.from({ length: word(DESCRIPTOR_SEGMENT_COUNT_OFFSET) }, (_, segment) => {
        const from = address + segment * segmentLength;
        return this.octets.slice(from, Math.min(from + segmentLength, address + length));
      });
      return { status: statusName(word(DESCRIPTOR_STATUS_OFFSET)), esp };
    });
    this.#expectCanaries(slab - 16, slab);
    this.#expectCanaries(end, slab + SEND_SLAB_SIZE + 64);
    return results;
  }

  /** What the batch that was decapsulated last becomes at a TUN device. */
  coalesce(
    count: number,
    kinds: number,
  ): { slot: number; frame: Uint8Array; pieces: number; write: number }[] {
    const writes = this.kernel.espCoalesceBatch(0, count, kinds);
    let write = REGION + WORKER_WRITES_OFFSET;
    return Array.from({ length: writes }, () => {
      const here = write;
      const pieces = this.view.getUint32(write, true);
      write += 8 + 8 * pieces;
      const frame = new Uint8Array(Buffer.concat(this.piecesOf(here)));
      return { slot: this.view.getUint32(here + 4, true), frame, pieces, write: here };
    });
  }

  /** The pieces of a write, as they lie now. */
  piecesOf(write: number): Uint8Array[] {
    return Array.from({ length: this.view.getUint32(write, true) }, (_, i) => {
      const piece = write + 8 + 8 * i;
      const address = this.view.getUint32(piece, true);
      return this.octets.slice(address, address + this.view.getUint32(piece + 4, true));
    });
  }

  /** One batch inbound; packets lie back to back, as in a coalesced receive. Throws when anything outside the ciphertexts changed, or a forgery left octets. */
  decapsulate(packets: readonly Uint8Array[], trafficClasses: readonly number[] = []): EspResult[] {
    const start = REGION + WORKER_RECEIVE_OFFSET + 64;
    let at = start;
    const placed = packets.map((packet, i) => {
      this.octets.set(packet, at);
      this.#describe(i, at, packet.length);
      this.view.setUint32(descriptorAt(i) + DESCRIPTOR_TRAFFIC_CLASS_OFFSET, trafficClasses[i] ?? 0, true);
      at += packet.length;
      return at - packet.length;
    });
    this.octets.fill(CANARY, start - 64, start);
    this.octets.fill(CANARY, at, at + 64);
    this.kernel.espDecapsulateBatch(0, packets.length);

    const results = this.#results(packets.length);
    this.#expectCanaries(start - 64, start);
    this.#expectCanaries(at, at + 64);
    packets.forEach((packet, i) => {
      const from = placed[i]!;
      const now = this.octets.slice(from, from + packet.length);
      const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
      const sa = packet.length < 8 ? undefined : this.#inbound.get(view.getUint32(0));
      const textOffset = 8 + (sa?.cipher.ivLength ?? 0);
      const textEnd = packet.length - (sa?.cipher.icvLength ?? 0);
      const hasText = sa !== undefined && textEnd - textOffset >= 2;
      const head = hasText ? textOffset : packet.length;
      if (Buffer.compare(now.subarray(0, head), packet.subarray(0, head)) !== 0)
        throw new Error("header changed");
      if (!hasText) return;
      if (Buffer.compare(now.subarray(textEnd), packet.subarray(textEnd)) !== 0)
        throw new Error("ICV changed");
      const text = now.subarray(textOffset, textEnd);
      if (results[i]!.status === "integrityFailed" && text.some((octet) => octet !== 0)) {
        throw new Error(`forged packet ${i} left octets behind`);
      }
    });
    return results;
  }

  /** Runs a batch whose packets are in place already. */
  results(count: number): EspResult[] {
    return this.#results(count);
  }

  /** Where the packet of a descriptor lies. */
  sourceOf(index: number): number {
    const descriptor = REGION + WORKER_DESCRIPTORS_OFFSET + index * DESCRIPTOR_SIZE;
    return this.view.getUint32(descriptor + DESCRIPTOR_SOURCE_OFFSET, true);
  }

  describe(index: number, address: number, length: number): void {
    this.#describe(index, address, length);
  }

  #place(start: number, packets: readonly Uint8Array[], room: number): number[] {
    let at = start;
    return packets.map((packet, i) => {
      const address = at;
      this.octets.set(packet, address);
      this.octets.fill(CANARY, address + packet.length, address + packet.length + room + 3);
      this.#describe(i, address, packet.length);
      // Three octets more than the kernel is given, so that addresses are odd and a stray octet shows.
      at += packet.length + room + 3;
      return address;
    });
  }

  #describe(index: number, address: number, length: number): void {
    const descriptor = REGION + WORKER_DESCRIPTORS_OFFSET + index * DESCRIPTOR_SIZE;
    this.view.setUint32(descriptor + DESCRIPTOR_SOURCE_OFFSET, address, true);
    this.view.setUint32(descriptor + DESCRIPTOR_LENGTH_OFFSET, length, true);
    this.view.setUint32(descriptor + DESCRIPTOR_RESUME_OFFSET, 0, true);
    this.view.setUint32(descriptor + DESCRIPTOR_SEGMENT_LIMIT_OFFSET, 0, true);
  }

  #results(count: number): EspResult[] {
    return Array.from({ length: count }, (_, index) => {
      const descriptor = REGION + WORKER_DESCRIPTORS_OFFSET + index * DESCRIPTOR_SIZE;
      const address = this.view.getUint32(descriptor + DESCRIPTOR_RESULT_OFFSET, true);
      const length = this.view.getUint32(descriptor + DESCRIPTOR_RESULT_LENGTH_OFFSET, true);
      return {
        status: statusName(this.view.getUint32(descriptor + DESCRIPTOR_STATUS_OFFSET, true)),
        octets: this.octets.slice(address, address + length),
        trafficClass: this.view.getUint8(descriptor + DESCRIPTOR_TRAFFIC_CLASS_OFFSET),
        mayFragment:
          (this.view.getUint32(descriptor + DESCRIPTOR_TRAFFIC_CLASS_OFFSET, true) & MAY_FRAGMENT) !== 0,
        sequence: this.view.getBigUint64(descriptor + DESCRIPTOR_SEQUENCE_OFFSET, true),
        address,
      };
    });
  }

  #expectCanaries(from: number, to: number): void {
    const at = this.octets.subarray(from, to).findIndex((octet) => octet !== CANARY);
    if (at >= 0) throw new Error(`an octet was written ${at} octets into a place that is not the kernel's`);
  }
}

function descriptorAt(index: number): number {
  return REGION + WORKER_DESCRIPTORS_OFFSET + index * DESCRIPTOR_SIZE;
}

export const ANY_IPV4: SelectorSet = {
  local: [trafficSelector("0.0.0.0/0")],
  remote: [trafficSelector("0.0.0.0/0")],
};

export const ANY: SelectorSet = {
  local: [trafficSelector("0.0.0.0/0"), trafficSelector("::/0")],
  remote: [trafficSelector("0.0.0.0/0"), trafficSelector("::/0")],
};

export function protectBy(...children: readonly Child[]): ReferencePolicy[] {
  return children.map(({ outbound }) => ({ action: "protect", sa: outbound }));
}
