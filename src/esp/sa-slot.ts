import {
  PATH_CONTROL_LENGTH_OFFSET,
  PATH_CONTROL_OFFSET,
  PATH_PEER_LENGTH_OFFSET,
  PATH_PEER_OFFSET,
  PATH_SIZE,
  PATH_SOCKET_OFFSET,
  SA_ALGORITHM_OFFSET,
  SA_BASE,
  SA_CIPHER_OFFSET,
  SA_COUNTERS_OFFSET,
  SA_DUMMIES_OFFSET,
  SA_DUMMY_EVERY_OFFSET,
  SA_DUMMY_LENGTH_OFFSET,
  SA_EVENTS_OFFSET,
  SA_FLAG_CLAMP_MSS,
  SA_FLAG_COPY_DF,
  SA_FLAG_COPY_DSCP,
  SA_FLAG_ESN,
  SA_FLAG_FRAGMENT_OUTSIDE,
  SA_FLAG_IMPLICIT_IV,
  SA_FLAG_INBOUND,
  SA_FLAG_TRANSPORT,
  SA_FLAGS_OFFSET,
  SA_GENERATION_OFFSET,
  SA_HASH_OFFSET,
  SA_HEADER_LENGTH_OFFSET,
  SA_HEADER_OFFSET,
  SA_ICV_LENGTH_OFFSET,
  SA_INNER_MTU_OFFSET,
  SA_IV_LENGTH_OFFSET,
  SA_LAST_USED_OFFSET,
  SA_OCTET_LIMIT_OFFSET,
  SA_OCTETS_OFFSET,
  SA_PACKET_LIMIT_OFFSET,
  SA_PACKETS_OFFSET,
  SA_PAD_TO_OFFSET,
  SA_PATH_OFFSET,
  SA_PATHS_OFFSET,
  SA_PEER_OFFSET,
  SA_REPLAY_WINDOW_OFFSET,
  SA_SALT_OFFSET,
  SA_SELECTOR_COUNT_OFFSET,
  SA_SELECTOR_FIRST_OFFSET,
  SA_SEQUENCE_OFFSET,
  SA_SLOT_SIZE,
  SA_SPI_OFFSET,
  SA_STATE_OFFSET,
  SA_UNIT_OFFSET,
  SA_WORKER_OFFSET,
} from "../../assembly/layout.ts";
import type { DontFragment } from "../policy/connection.ts";
import type { SelectorRun } from "./selector-table.ts";
import { type Drops, dropsAt, eventsAt, type SaEvents } from "./status.ts";
import type { EspSuite } from "./suites.ts";
import { u64At, writeU64 } from "./words.ts";

/** Where an SA's datagrams go and leave from, as system calls take it. */
export interface PathRecord {
  /** Which socket of the worker sends. */
  readonly socket: number;
  /** sockaddr_in or sockaddr_in6. */
  readonly peer: Uint8Array;
  /** cmsghdr with packet info, or empty. */
  readonly control: Uint8Array;
  /** A number for where the peer's datagrams come from (`socketAddressNumber`); left out where nobody wants to know. */
  readonly number?: number;
}

/** What the host writes into a slot, except the key. */
export interface SaRecord {
  readonly spi: number;
  readonly isInbound: boolean;
  /** The data worker that alone seals with it, or opens. */
  readonly worker: number;
  readonly hasEsn: boolean;
  readonly suite: EspSuite;
  /** 4 octets, or none where the cipher has no salt. */
  readonly salt: Uint8Array;
  readonly selectors: SelectorRun;
  readonly replayWindowPackets: number;
  readonly copiesDscp: boolean;
  readonly clampsMss: boolean;
  readonly df: DontFragment;
  /** `Infinity` is none. */
  readonly packetLimit: number;
  readonly octetLimit: number;
  readonly cover: TrafficCover;
  /** In transport mode: the IP header of what arrives, without lengths, protocol, traffic class and checksum. */
  readonly transportHeader: Uint8Array | undefined;
}

/** What hides how much an outbound SA has to say (RFC 4303 sections 2.6 and 2.7). 0 is none. */
export interface TrafficCover {
  /** Octets that inner packets are padded to. */
  readonly padTo: number;
  /** Silence after which a dummy packet is sent, and its octets. */
  readonly dummyEveryMs: number;
  readonly dummyLength: number;
}

/** Inner packets and their octets, sealed or delivered. */
export interface SaVolume {
  readonly packets: number;
  readonly octets: number;
}

/** What an SA carried in one direction. */
export interface SaTraffic extends SaVolume {
  /** Dummy packets sent. */
  readonly dummies: number;
  readonly drops: Drops;
  readonly events: SaEvents;
  /** Moment of the last packet, in milliseconds of the system's monotonic clock; 0 before the first. */
  readonly lastUsedMs: number;
  /** Outbound the last number sent, inbound the highest that was authentic. */
  readonly sequence: number;
}

const ESP_HEADER_LENGTH = 8;
/** Pad Length and Next Header. */
const ESP_TRAILER_LENGTH = 2;

/** One slot of the SAD in the shared memory, as the host sees it. */
export class SaSlot {
  readonly number: number;
  readonly #address: number;
  readonly #octets: Uint8Array;
  readonly #words: Uint32Array;

  /** `octets` and `words` are the shared memory. */
  constructor(number: number, octets: Uint8Array, words: Uint32Array) {
    this.number = number;
    this.#address = SA_BASE + number * SA_SLOT_SIZE;
    this.#octets = octets;
    this.#words = words;
  }

  get state(): number {
    return Atomics.load(this.#words, (this.#address + SA_STATE_OFFSET) >>> 2);
  }

  /** Publishes: what was written before is seen by whoever sees the state. */
  set state(state: number) {
    Atomics.store(this.#words, (this.#address + SA_STATE_OFFSET) >>> 2, state);
  }

  get generation(): number {
    return this.#words[(this.#address + SA_GENERATION_OFFSET) >>> 2]!;
  }

  raiseGeneration(): void {
    this.#words[(this.#address + SA_GENERATION_OFFSET) >>> 2]!++;
  }

  /** The longest inner packet for the SA's path, or 0 when that is not known. */
  get innerMtu(): number {
    return Atomics.load(this.#words, (this.#address + SA_INNER_MTU_OFFSET) >>> 2);
  }

  set innerMtu(mtu: number) {
    Atomics.store(this.#words, (this.#address + SA_INNER_MTU_OFFSET) >>> 2, mtu);
  }

  /** The longest inner packet in an ESP packet of `espLength` octets: what header, IV, trailer and ICV leave, in whole units. */
  innerLengthIn(espLength: number): number {
    const of = (offset: number): number => this.#octets[this.#address + offset]!;
    const unit = of(SA_UNIT_OFFSET);
    const room = espLength - ESP_HEADER_LENGTH - of(SA_IV_LENGTH_OFFSET) - of(SA_ICV_LENGTH_OFFSET);
    return Math.max(0, room - (room % unit) - ESP_TRAILER_LENGTH);
  }

  /** Names the SPI of a reserved slot, which has no keys yet. */
  announce(spi: number): void {
    Atomics.store(this.#words, (this.#address + SA_SPI_OFFSET) >>> 2, spi);
  }

  /** Fills a slot that no worker looks at. */
  write(sa: SaRecord): void {
    const set = (offset: number, value: number): void => {
      this.#words[(this.#address + offset) >>> 2] = value;
    };
    set(SA_SPI_OFFSET, sa.spi);
    set(
      SA_FLAGS_OFFSET,
      (sa.isInbound ? SA_FLAG_INBOUND : 0) |
        (sa.hasEsn ? SA_FLAG_ESN : 0) |
        (sa.suite.hasImplicitIv ? SA_FLAG_IMPLICIT_IV : 0) |
        (sa.copiesDscp ? SA_FLAG_COPY_DSCP : 0) |
        (sa.clampsMss ? SA_FLAG_CLAMP_MSS : 0) |
        (sa.transportHeader === undefined ? 0 : SA_FLAG_TRANSPORT) |
        (sa.df === "clear" ? SA_FLAG_FRAGMENT_OUTSIDE : 0) |
        (sa.df === "copy" ? SA_FLAG_COPY_DF : 0),
    );
    set(SA_ALGORITHM_OFFSET, sa.suite.algorithm);
    this.#octets[this.#address + SA_CIPHER_OFFSET] = sa.suite.cipher;
    this.#octets[this.#address + SA_HASH_OFFSET] = sa.suite.hash;
    this.#octets[this.#address + SA_WORKER_OFFSET] = sa.worker;
    set(SA_SELECTOR_FIRST_OFFSET, sa.selectors.first);
    set(SA_SELECTOR_COUNT_OFFSET, sa.selectors.count);
    set(SA_REPLAY_WINDOW_OFFSET, sa.replayWindowPackets);
    set(SA_PAD_TO_OFFSET, sa.cover.padTo);
    set(SA_DUMMY_LENGTH_OFFSET, sa.cover.dummyLength);
    set(SA_DUMMY_EVERY_OFFSET, sa.cover.dummyEveryMs);
    if (sa.isInbound && sa.transportHeader !== undefined) {
      set(SA_HEADER_LENGTH_OFFSET, sa.transportHeader.length);
      this.#octets.set(sa.transportHeader, this.#address + SA_HEADER_OFFSET);
    }
    this.#octets.set(sa.salt, this.#address + SA_SALT_OFFSET);
    writeU64(this.#words, this.#address + SA_PACKET_LIMIT_OFFSET, sa.packetLimit);
    writeU64(this.#words, this.#address + SA_OCTET_LIMIT_OFFSET, sa.octetLimit);
  }

  /** Where what it opens comes from, as far as is known. */
  set peer(number: number) {
    Atomics.store(this.#words, (this.#address + SA_PEER_OFFSET) >>> 2, number);
  }

  /** Fills the idle path and makes it the one that holds. */
  writePath({ socket, peer, control }: PathRecord): void {
    const flag = (this.#address + SA_PATH_OFFSET) >>> 2;
    const idle = Atomics.load(this.#words, flag) ^ 1;
    const path = this.#address + SA_PATHS_OFFSET + idle * PATH_SIZE;
    this.#words[(path + PATH_SOCKET_OFFSET) >>> 2] = socket;
    this.#words[(path + PATH_PEER_LENGTH_OFFSET) >>> 2] = peer.length;
    this.#words[(path + PATH_CONTROL_LENGTH_OFFSET) >>> 2] = control.length;
    this.#octets.set(peer, path + PATH_PEER_OFFSET);
    this.#octets.set(control, path + PATH_CONTROL_OFFSET);
    Atomics.store(this.#words, flag, idle);
  }

  get volume(): SaVolume {
    return {
      packets: u64At(this.#words, this.#address + SA_PACKETS_OFFSET),
      octets: u64At(this.#words, this.#address + SA_OCTETS_OFFSET),
    };
  }

  get traffic(): SaTraffic {
    const at = this.#address;
    return {
      packets: u64At(this.#words, at + SA_PACKETS_OFFSET),
      octets: u64At(this.#words, at + SA_OCTETS_OFFSET),
      dummies: u64At(this.#words, at + SA_DUMMIES_OFFSET),
      drops: dropsAt(this.#words, at + SA_COUNTERS_OFFSET),
      events: eventsAt(this.#words, at + SA_EVENTS_OFFSET),
      lastUsedMs: new DataView(this.#words.buffer).getFloat64(at + SA_LAST_USED_OFFSET, true),
      sequence: u64At(this.#words, at + SA_SEQUENCE_OFFSET),
    };
  }
}
