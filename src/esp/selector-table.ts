import {
  SELECTOR_BASE,
  SELECTOR_COUNT,
  SELECTOR_FAMILY_OFFSET,
  SELECTOR_LOCAL_END_OFFSET,
  SELECTOR_LOCAL_PORT_END_OFFSET,
  SELECTOR_LOCAL_PORT_START_OFFSET,
  SELECTOR_LOCAL_START_OFFSET,
  SELECTOR_PROTOCOL_OFFSET,
  SELECTOR_REMOTE_END_OFFSET,
  SELECTOR_REMOTE_PORT_END_OFFSET,
  SELECTOR_REMOTE_PORT_START_OFFSET,
  SELECTOR_REMOTE_START_OFFSET,
  SELECTOR_SIZE,
} from "../../assembly/layout.ts";
import type { AddressRange } from "../bytes/ip-address.ts";
import { PolicyError } from "../errors/index.ts";
import { TrafficSelectorType } from "../iana/ikev2-parameters.ts";
import type { TrafficSelector } from "../wire/payloads/traffic-selector.ts";

/** Both sides of what may pass, seen from us. A packet has to be in one selector of each. */
export interface SelectorSet {
  readonly local: readonly TrafficSelector[];
  readonly remote: readonly TrafficSelector[];
}

/** A run of the table. */
export interface SelectorRun {
  readonly first: number;
  readonly count: number;
}

/** A selector of the table. */
export interface PlacedSelector {
  readonly address: number;
  readonly family: 4 | 6;
  readonly local: AddressRange;
  readonly remote: AddressRange;
}

interface Pair {
  readonly local: TrafficSelector;
  readonly remote: TrafficSelector;
  readonly protocol: number;
}

/**
 * The selector table of the shared memory: hands out runs. A run may have several users; the last one releases it when no worker can
 * read it any more. Places are halved and joined as buddies, so that neither takes longer when many runs are in use.
 */
export class SelectorTable {
  readonly #octets: Uint8Array;
  readonly #words: Uint32Array;
  /** Free blocks of 2^i selectors, by where they begin. */
  readonly #free: readonly Set<number>[];
  /** Runs in use, by where they begin. */
  readonly #runs = new Map<number, { readonly order: number; users: number }>();
  #inUse = 0;

  constructor(memory: WebAssembly.Memory) {
    this.#octets = new Uint8Array(memory.buffer);
    this.#words = new Uint32Array(memory.buffer);
    this.#free = Array.from(
      { length: LARGEST_ORDER + 1 },
      (_, order) => new Set(order === LARGEST_ORDER ? [0] : []),
    );
  }

  /** Writes every pair of a local and a remote selector that can hold together. Throws PolicyError when there is none, or no room. */
  allocate(selectors: SelectorSet): SelectorRun {
    const pairs = pairUp(selectors);
    const count = pairs.length;
    if (count === 0) {
      throw new PolicyError("no local and remote traffic selector go together", { code: "SELECTORS" });
    }
    const order = orderOf(count);
    const first = this.#take(order);
    if (first === undefined) {
      throw new PolicyError(`${count} selectors do not fit: ${this.inUse} of ${SELECTOR_COUNT} are in use`, {
        code: "SELECTOR_TABLE_FULL",
      });
    }
    pairs.forEach((pair, i) => {
      this.#write(SELECTOR_BASE + (first + i) * SELECTOR_SIZE, pair);
    });
    this.#runs.set(first, { order, users: 1 });
    this.#inUse += 1 << order;
    return { first, count };
  }

  /** What is at a place that is in use: its address in the shared memory, and the address ranges it holds. */
  at(place: number): PlacedSelector {
    const address = SELECTOR_BASE + place * SELECTOR_SIZE;
    const family = this.#words[(address + SELECTOR_FAMILY_OFFSET) >>> 2] === 4 ? 4 : 6;
    const length = family === 4 ? 4 : 16;
    const read = (offset: number): Uint8Array =>
      this.#octets.slice(address + offset, address + offset + length);
    return {
      address,
      family,
      local: { start: read(SELECTOR_LOCAL_START_OFFSET), end: read(SELECTOR_LOCAL_END_OFFSET) },
      remote: { start: read(SELECTOR_REMOTE_START_OFFSET), end: read(SELECTOR_REMOTE_END_OFFSET) },
    };
  }

  /** Adds a user to a run. */
  retain(run: SelectorRun): SelectorRun {
    this.#runs.get(run.first)!.users++;
    return run;
  }

  release({ first }: SelectorRun): void {
    const run = this.#runs.get(first)!;
    if (--run.users > 0) return;
    this.#runs.delete(first);
    this.#inUse -= 1 << run.order;
    this.#giveBack(first, run.order);
  }

  /** Places that are taken: a run takes the next power of two. */
  get inUse(): number {
    return this.#inUse;
  }

  #take(order: number): number | undefined {
    let from = order;
    while (from <= LARGEST_ORDER && this.#free[from]!.size === 0) from++;
    if (from > LARGEST_ORDER) return undefined;
    const [first] = this.#free[from]!;
    this.#free[from]!.delete(first!);
    while (from > order) this.#free[--from]!.add(first! + (1 << from));
    return first;
  }

  #giveBack(first: number, order: number): void {
    let [at, size] = [first, order];
    while (size < LARGEST_ORDER && this.#free[size]!.delete(at ^ (1 << size))) at &= ~(1 << size++);
    this.#free[size]!.add(at);
  }

  #write(address: number, { local, remote, protocol }: Pair): void {
    const set = (offset: number, value: number): void => {
      this.#words[(address + offset) >>> 2] = value;
    };
    this.#octets.fill(0, address, address + SELECTOR_SIZE);
    set(SELECTOR_FAMILY_OFFSET, local.type === TrafficSelectorType.TS_IPV4_ADDR_RANGE ? 4 : 6);
    set(SELECTOR_PROTOCOL_OFFSET, protocol);
    set(SELECTOR_LOCAL_PORT_START_OFFSET, local.startPort);
    set(SELECTOR_LOCAL_PORT_END_OFFSET, local.endPort);
    set(SELECTOR_REMOTE_PORT_START_OFFSET, remote.startPort);
    set(SELECTOR_REMOTE_PORT_END_OFFSET, remote.endPort);
    this.#octets.set(local.startAddress, address + SELECTOR_LOCAL_START_OFFSET);
    this.#octets.set(local.endAddress, address + SELECTOR_LOCAL_END_OFFSET);
    this.#octets.set(remote.startAddress, address + SELECTOR_REMOTE_START_OFFSET);
    this.#octets.set(remote.endAddress, address + SELECTOR_REMOTE_END_OFFSET);
  }
}

const LARGEST_ORDER = Math.log2(SELECTOR_COUNT);

/** So many selectors take a block of 2^order; more than there are at all take an order that no block has. */
function orderOf(count: number): number {
  return 32 - Math.clz32(count - 1);
}

/** RFC 7296 section 2.9: any local with any remote selector, where family and protocol agree. */
function pairUp({ local, remote }: SelectorSet): Pair[] {
  const pairs: Pair[] = [];
  for (const ours of local) {
    if (!isAddressRange(ours)) continue;
    for (const theirs of remote) {
      if (theirs.type !== ours.type || !isAddressRange(theirs)) continue;
      if (ours.protocol !== theirs.protocol && ours.protocol !== 0 && theirs.protocol !== 0) continue;
      pairs.push({ local: ours, remote: theirs, protocol: ours.protocol || theirs.protocol });
    }
  }
  return pairs;
}

function isAddressRange({ type, startAddress, endAddress }: TrafficSelector): boolean {
  const length =
    type === TrafficSelectorType.TS_IPV4_ADDR_RANGE
      ? 4
      : type === TrafficSelectorType.TS_IPV6_ADDR_RANGE
        ? 16
        : 0;
  return length > 0 && startAddress.length === length && endAddress.length === length;
}
