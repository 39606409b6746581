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

interface Pair {
  readonly local: TrafficSelector;
  readonly remote: TrafficSelector;
  readonly protocol: number;
}

/** The selector table of the shared memory: hands out runs, first fit. A run may have several users; the last one releases it when no worker can read it any more. */
export class SelectorTable {
  readonly #octets: Uint8Array;
  readonly #words: Uint32Array;
  /** Free runs in order of place, never adjacent. */
  #free: SelectorRun[] = [{ first: 0, count: SELECTOR_COUNT }];
  /** Users of each run, by where it begins. */
  readonly #users = new Map<number, number>();

  constructor(memory: WebAssembly.Memory) {
    this.#octets = new Uint8Array(memory.buffer);
    this.#words = new Uint32Array(memory.buffer);
  }

  /** Writes every pair of a local and a remote selector that can hold together. Throws PolicyError when there is none, or no room. */
  allocate(selectors: SelectorSet): SelectorRun {
    const pairs = pairUp(selectors);
    if (pairs.length === 0) {
      throw new PolicyError("no local and remote traffic selector go together", { code: "SELECTORS" });
    }
    const index = this.#free.findIndex((free) => free.count >= pairs.length);
    const free = this.#free[index];
    if (free === undefined) {
      throw new PolicyError(
        `${pairs.length} selectors do not fit: ${this.inUse} of ${SELECTOR_COUNT} are in use`,
        { code: "SELECTOR_TABLE_FULL" },
      );
    }
    const rest = { first: free.first + pairs.length, count: free.count - pairs.length };
    this.#free.splice(index, 1, ...(rest.count > 0 ? [rest] : []));
    pairs.forEach((pair, i) => {
      this.#write(SELECTOR_BASE + (free.first + i) * SELECTOR_SIZE, pair);
    });
    this.#users.set(free.first, 1);
    return { first: free.first, count: pairs.length };
  }

  /** Adds a user to a run. */
  retain(run: SelectorRun): SelectorRun {
    this.#users.set(run.first, this.#users.get(run.first)! + 1);
    return run;
  }

  release(run: SelectorRun): void {
    const users = this.#users.get(run.first)! - 1;
    if (users > 0) {
      this.#users.set(run.first, users);
      return;
    }
    this.#users.delete(run.first);
    const runs = [...this.#free, run].sort((a, b) => a.first - b.first);
    this.#free = [];
    for (const next of runs) {
      const last = this.#free.at(-1);
      if (last !== undefined && last.first + last.count === next.first) {
        this.#free[this.#free.length - 1] = { first: last.first, count: last.count + next.count };
      } else {
        this.#free.push(next);
      }
    }
  }

  get inUse(): number {
    return SELECTOR_COUNT - this.#free.reduce((sum, run) => sum + run.count, 0);
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
