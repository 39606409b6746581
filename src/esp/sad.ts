import {
  CONTROL_BASE,
  CONTROL_WIPE_OFFSET,
  SA_ACTIVE,
  SA_FREE,
  SA_REMOVED,
  SA_RESERVED,
  SA_SLOT_COUNT,
  SPI_SLOT_BITS,
  SPI_WORKER_BITS,
  WORKER_BASE,
  WORKER_TUN_SLAB_OFFSET,
} from "../../assembly/layout.ts";
import { wipe } from "../bytes/wipe.ts";
import type { Random } from "../platform/random.ts";
import type { CopyDscp, DontFragment } from "../policy/connection.ts";
import type { Transform } from "../wire/payloads/transform.ts";
import type { Kernel } from "./kernel.ts";
import type { Lane } from "./lanes.ts";
import { DoubleBuffer, type Quiescence } from "./quiescence.ts";
import {
  type PathRecord,
  type SaRecord,
  SaSlot,
  type SaTraffic,
  type SaVolume,
  type TrafficCover,
} from "./sa-slot.ts";
import type { SelectorRun, SelectorSet, SelectorTable } from "./selector-table.ts";
import { type EspSuite, espSuite } from "./suites.ts";
import { transportHeader } from "./transport-header.ts";

/** Both directions of a child SA with their keys. */
export interface ChildSaRecord {
  readonly inboundSpi: number;
  /** The peer's choice, 256 and up. */
  readonly outboundSpi: number;
  readonly encryption: Transform;
  /** For a cipher that does not protect integrity itself. */
  readonly integrity?: Transform | undefined;
  readonly esn: boolean;
  /** As KEYMAT gives them: key, salt of 4 octets where the cipher has one, integrity key where there is one. */
  readonly inboundKey: Uint8Array;
  readonly outboundKey: Uint8Array;
  readonly selectors: SelectorSet;
  readonly path: PathRecord;
  /** 64 to 8192, or 0 for no check, which ESN does not allow (RFC 4303 section 3.4.3). */
  readonly replayWindowPackets: number;
  readonly copyDscp: CopyDscp;
  readonly clampsMss: boolean;
  readonly df: DontFragment;
  /** Hard limits of each direction; `Infinity` is none. */
  readonly packetLimit: number;
  readonly octetLimit: number;
  /** Of what we send. */
  readonly cover?: TrafficCover | undefined;
  /** Transport mode: the selectors name one address of one family at either end. Default tunnel mode. */
  readonly isTransport?: boolean | undefined;
}

export interface ChildSaTraffic {
  /** The longest inner packet for the path and the TUN device; 0 before anybody has looked. */
  readonly innerMtu: number;
  readonly inbound: SaTraffic;
  readonly outbound: SaTraffic;
}

/** Inner packets and their octets. */
export interface ChildSaVolume {
  readonly inbound: SaVolume;
  readonly outbound: SaVolume;
}

interface ChildSaSlots {
  readonly inboundSpi: number;
  readonly lane: number;
  readonly inbound: SaSlot;
  readonly outbound: SaSlot;
  installed:
    | {
        readonly selectors: SelectorRun;
        readonly path: DoubleBuffer<PathRecord>;
        readonly sendsDummies: boolean;
      }
    | undefined;
}

interface OutboundSa {
  readonly slot: number;
  readonly generation: number;
  readonly selectors: SelectorRun;
  readonly sendsDummies: boolean;
}

const NO_COVER: TrafficCover = { padTo: 0, dummyEveryMs: 0, dummyLength: 0 };
const SMALLEST_WINDOW = 64;
const LARGEST_WINDOW = 8192;

/** Of an inbound SPI: the bits that say where its SA is, and the rest. */
const FIXED_BITS = SPI_SLOT_BITS + SPI_WORKER_BITS;
const STEP_MASK = 2 ** (32 - FIXED_BITS) - 1;

/**
 * The host's side of the Security Association Database. A child SA takes two slots, both reserved when its inbound SPI is
 * chosen, so that a finished negotiation always finds its place. Keys exist in the slots only.
 */
export class Sad {
  readonly #memory: WebAssembly.Memory;
  readonly #kernel: Kernel;
  readonly #lanes: readonly Lane[];
  /** How many child SAs each has. */
  readonly #loads: number[];
  readonly #random: Random;
  readonly #selectors: SelectorTable;
  readonly #quiescence: Quiescence;
  readonly #octets: Uint8Array;
  readonly #words: Uint32Array;
  /** The last comes next: a slot that was in use has its pages already, and the others stay untouched. */
  readonly #free: SaSlot[] = [];
  /**
   * Where the slots begin that are taken into use. Each process has another place, or the SPIs of a daemon that is started again would
   * differ in few bits: a peer that still sends to a former SPI of ours should not meet a new SA.
   */
  readonly #first: number;
  /** How far apart two SPIs of a slot are in their first part: odd. */
  readonly #step: number;
  /** How many slots from there on have ever been used. */
  #usedCount = 0;
  /** The last SPI of each slot. */
  readonly #previousSpis = new Uint32Array(SA_SLOT_COUNT);
  readonly #children = new Map<number, ChildSaSlots>();

  /** `kernel` is the host's instance; child SAs are shared out among `lanes`. */
  constructor(facts: {
    readonly memory: WebAssembly.Memory;
    readonly kernel: Kernel;
    readonly lanes: readonly Lane[];
    readonly random: Random;
    readonly selectors: SelectorTable;
    readonly quiescence: Quiescence;
  }) {
    this.#memory = facts.memory;
    this.#kernel = facts.kernel;
    this.#lanes = facts.lanes;
    this.#loads = facts.lanes.map(() => 0);
    this.#random = facts.random;
    this.#selectors = facts.selectors;
    this.#quiescence = facts.quiescence;
    this.#octets = new Uint8Array(facts.memory.buffer);
    this.#words = new Uint32Array(facts.memory.buffer);
    const octets = facts.random.bytes(2);
    this.#first = ((octets[0]! << 8) | octets[1]!) & (SA_SLOT_COUNT - 1);
    this.#step = this.#randomStep() | 1;
  }

  /** Slots that are taken, those that wait to be wiped among them. */
  get inUse(): number {
    return this.#usedCount - this.#free.length;
  }

  /** Reserves room for a child SA and returns its inbound SPI, or undefined when all slots are in use. */
  allocateSpi(): number | undefined {
    if (this.#free.length + SA_SLOT_COUNT - this.#usedCount < 2) return undefined;
    const inbound = this.#reserve();
    const outbound = this.#reserve();
    const lane = this.#loads.indexOf(Math.min(...this.#loads));
    this.#loads[lane]!++;
    const inboundSpi = this.#chooseSpi(inbound.number, this.#lanes[lane]!.receiver);
    this.#previousSpis[inbound.number] = inboundSpi;
    // From now on the data worker holds what comes for it (the kernel opens nothing before the slot is active).
    inbound.announce(inboundSpi);
    this.#children.set(inboundSpi, { inboundSpi, lane, inbound, outbound, installed: undefined });
    return inboundSpi;
  }

  /** Gives an SPI back that was never installed. Others are left alone. */
  releaseSpi(inboundSpi: number): void {
    const child = this.#children.get(inboundSpi);
    if (child === undefined || child.installed !== undefined) return;
    this.#children.delete(inboundSpi);
    this.#reclaim(child);
  }

  /**
   * Writes both SAs and publishes them, inbound first. The keys are overwritten, whatever happens. Throws PolicyError when the
   * selectors do not fit, RangeError for what no negotiation should yield (unknown SPI, cipher, key length, window).
   */
  install(record: ChildSaRecord): void {
    let selectors: SelectorRun | undefined;
    try {
      const child = this.#reservedChild(record.inboundSpi);
      const suite = checkRecord(record);
      selectors = this.#selectors.allocate(record.selectors);
      const { receiver, sender } = this.#lanes[child.lane]!;
      this.#prepare(child.inbound, record, { suite, isInbound: true, worker: receiver, selectors });
      this.#prepare(child.outbound, record, { suite, isInbound: false, worker: sender, selectors });
      const path = new DoubleBuffer<PathRecord>(this.#quiescence, (next) => child.outbound.writePath(next));
      child.outbound.writePath(record.path);
      child.inbound.peer = record.path.number ?? 0;
      child.installed = { selectors, path, sendsDummies: (record.cover?.dummyEveryMs ?? 0) > 0 };
      child.inbound.state = SA_ACTIVE;
      child.outbound.state = SA_ACTIVE;
    } catch (error) {
      if (selectors !== undefined) this.#selectors.release(selectors);
      throw error;
    } finally {
      wipe(record.inboundKey, record.outboundKey);
      this.#wipeStaging();
    }
  }

  /** Sends ESP along another path from now on. Nothing happens for an SPI that is not installed. */
  move(inboundSpi: number, path: PathRecord): void {
    const child = this.#children.get(inboundSpi);
    if (child?.installed === undefined) return;
    child.installed.path.write(path);
    child.inbound.peer = path.number ?? 0;
  }

  /**
   * Says that the path has room for `espLength` octets of ESP, so that inner packets may be as long as fits in, and at most
   * `longest`. Nothing happens for an SPI that is not installed.
   */
  fit(inboundSpi: number, room: { readonly espLength: number; readonly longest: number }): void {
    const child = this.#children.get(inboundSpi);
    if (child?.installed === undefined) return;
    const mtu = Math.min(room.longest, child.outbound.innerLengthIn(room.espLength));
    child.outbound.innerMtu = mtu;
    child.inbound.innerMtu = mtu;
  }

  /**
   * Stops both SAs at once; settles when their keys are zeroed and the slots are free again, with all that the SAs have carried. Nothing
   * happens for an SPI that is not ours.
   */
  async remove(inboundSpi: number): Promise<ChildSaVolume | undefined> {
    const child = this.#children.get(inboundSpi);
    if (child === undefined) return undefined;
    this.#children.delete(inboundSpi);
    child.outbound.state = SA_REMOVED;
    child.inbound.state = SA_REMOVED;
    child.installed?.path.close();
    Atomics.add(new Int32Array(this.#memory.buffer), (CONTROL_BASE + CONTROL_WIPE_OFFSET) >>> 2, 1);
    await this.#quiescence.settle();
    // No worker counts any more.
    const carried = child.installed && { inbound: child.inbound.volume, outbound: child.outbound.volume };
    if (child.installed !== undefined) this.#selectors.release(child.installed.selectors);
    this.#reclaim(child);
    return carried;
  }

  /** Removes every SA and gives back every SPI. */
  async removeAll(): Promise<void> {
    await Promise.all([...this.#children.keys()].map((inboundSpi) => this.remove(inboundSpi)));
  }

  traffic(inboundSpi: number): ChildSaTraffic | undefined {
    const child = this.#children.get(inboundSpi);
    if (child?.installed === undefined) return undefined;
    return {
      innerMtu: child.outbound.innerMtu,
      inbound: child.inbound.traffic,
      outbound: child.outbound.traffic,
    };
  }

  carried(inboundSpi: number): ChildSaVolume | undefined {
    const child = this.#children.get(inboundSpi);
    if (child?.installed === undefined) return undefined;
    return { inbound: child.inbound.volume, outbound: child.outbound.volume };
  }

  /** What a policy needs to name the outbound SA: undefined when it is not installed. */
  outboundOf(inboundSpi: number): OutboundSa | undefined {
    const child = this.#children.get(inboundSpi);
    if (child?.installed === undefined) return undefined;
    const { outbound, installed } = child;
    const { selectors, sendsDummies } = installed;
    return { slot: outbound.number, generation: outbound.generation, selectors, sendsDummies };
  }

  #reserve(): SaSlot {
    const slot = this.#free.pop() ?? this.#takeIntoUse();
    slot.raiseGeneration();
    slot.state = SA_RESERVED;
    return slot;
  }

  #takeIntoUse(): SaSlot {
    const number = (this.#first + this.#usedCount++) & (SA_SLOT_COUNT - 1);
    return new SaSlot(number, this.#octets, this.#words);
  }

  /**
   * random | worker | slot. The first part is never zero, which keeps clear of the reserved values 0 to 255 (RFC 4303 section 2.1). For the
   * first SA of a slot it is random, and from there on it takes steps that nobody else knows, all of the same odd width: so it comes back
   * only when it has been everywhere, and what is on its way to a former SA does not meet a new one.
   */
  #chooseSpi(slot: number, worker: number): number {
    const fixed = ((worker << SPI_SLOT_BITS) | slot) >>> 0;
    const previous = this.#previousSpis[slot]!;
    const start = previous === 0 ? this.#randomStep() : previous >>> FIXED_BITS;
    let value = (start + this.#step) & STEP_MASK;
    if (value === 0) value = this.#step;
    return ((value << FIXED_BITS) | fixed) >>> 0;
  }

  #randomStep(): number {
    const octets = this.#random.bytes(2);
    return ((octets[0]! << 8) | octets[1]!) & STEP_MASK;
  }

  #reservedChild(inboundSpi: number): ChildSaSlots {
    const child = this.#children.get(inboundSpi);
    if (child === undefined) throw new RangeError(`SPI ${hexSpi(inboundSpi)} was not allocated here`);
    if (child.installed !== undefined) throw new RangeError(`SPI ${hexSpi(inboundSpi)} is installed already`);
    return child;
  }

  #prepare(
    slot: SaSlot,
    record: ChildSaRecord,
    facts: Pick<SaRecord, "suite" | "isInbound" | "worker" | "selectors">,
  ): void {
    const keymat = facts.isInbound ? record.inboundKey : record.outboundKey;
    const { keyLength, saltLength, ivKeyLength } = facts.suite;
    const keyEnd = keyLength + saltLength;
    slot.write({
      suite: facts.suite,
      isInbound: facts.isInbound,
      worker: facts.worker,
      selectors: facts.selectors,
      spi: facts.isInbound ? record.inboundSpi : record.outboundSpi,
      hasEsn: record.esn,
      salt: keymat.subarray(keyLength, keyEnd),
      replayWindowPackets: record.replayWindowPackets,
      clampsMss: record.clampsMss,
      df: record.df,
      copiesDscp: record.copyDscp === "yes" || record.copyDscp === (facts.isInbound ? "in" : "out"),
      packetLimit: record.packetLimit,
      octetLimit: record.octetLimit,
      transportHeader: record.isTransport === true ? transportHeader(record.selectors) : undefined,
      cover: facts.isInbound ? NO_COVER : (record.cover ?? NO_COVER),
    });
    this.#octets.set(keymat.subarray(0, keyLength), STAGING);
    this.#octets.set(keymat.subarray(keyEnd), STAGING + keyLength);
    if (!facts.isInbound && ivKeyLength > 0) {
      const ivKey = this.#random.bytes(ivKeyLength);
      this.#octets.set(ivKey, STAGING + keymat.length - saltLength);
      wipe(ivKey);
    }
    if (this.#kernel.espPrepareSa(slot.number, STAGING, keyLength) === 0) {
      throw new RangeError(`a key of ${keyLength} octets does not fit the cipher`);
    }
  }

  #reclaim({ lane, inbound, outbound }: ChildSaSlots): void {
    this.#loads[lane]!--;
    for (const slot of [outbound, inbound]) {
      this.#kernel.espWipeSa(slot.number);
      slot.state = SA_FREE;
      this.#free.push(slot);
    }
  }

  #wipeStaging(): void {
    this.#octets.fill(0, STAGING, STAGING + STAGING_SIZE);
  }
}

/** Keys pass through a place of the host's own region on their way into a slot; the host has no TUN device there. */
const STAGING = WORKER_BASE + WORKER_TUN_SLAB_OFFSET;
const STAGING_SIZE = 128;

function checkRecord(record: ChildSaRecord): EspSuite {
  const { replayWindowPackets: window } = record;
  const suite = espSuite(record);
  const { keyLength, saltLength, integrityKeyLength } = suite;
  for (const keymat of [record.inboundKey, record.outboundKey]) {
    if (keymat.length === keyLength + saltLength + integrityKeyLength) continue;
    const parts = `${keyLength}, ${saltLength} of salt and ${integrityKeyLength} for integrity`;
    throw new RangeError(`${keymat.length} octets of key, the suite takes ${parts}`);
  }
  if (!Number.isInteger(record.outboundSpi) || record.outboundSpi < 256 || record.outboundSpi > 0xffff_ffff) {
    throw new RangeError(`SPI ${hexSpi(record.outboundSpi)} is reserved (RFC 4303 section 2.1)`);
  }
  if (window !== 0 && !(window >= SMALLEST_WINDOW && window <= LARGEST_WINDOW)) {
    throw new RangeError(
      `a replay window of ${window} packets is not within ${SMALLEST_WINDOW} to ${LARGEST_WINDOW}`,
    );
  }
  if (window === 0 && record.esn) throw new RangeError("ESN needs a replay window (RFC 4303 section 3.4.3)");
  return suite;
}

function hexSpi(spi: number): string {
  return spi.toString(16).padStart(8, "0");
}
