import {
  CONTROL_BASE,
  CONTROL_SPD_CHANGES_OFFSET,
  CONTROL_SPD_OFFSET,
  NO_SLOT,
  NODE_PAYLOAD_OFFSET,
  NODE_SIZE,
  POLICY_ACTION_OFFSET,
  POLICY_BASE,
  POLICY_COUNT,
  POLICY_DISCARD,
  POLICY_GENERATION_OFFSET,
  POLICY_NEXT_OFFSET,
  POLICY_PRECEDENCE_OFFSET,
  POLICY_PROTECT,
  POLICY_SA_OFFSET,
  POLICY_SELECTOR_OFFSET,
  POLICY_SIZE,
  POLICY_TRAP,
  ROOTS_IPV4_OFFSET,
  ROOTS_IPV6_OFFSET,
  SPD_NODE_BASE,
  SPD_NODE_COUNT,
} from "../../assembly/layout.ts";
import { PolicyError } from "../errors/index.ts";
import { type AddressPrefix, coveringPrefixes } from "./address-prefix.ts";
import { BlockPool } from "./block-pool.ts";
import { DummyList } from "./dummy-list.ts";
import { PrefixTree } from "./prefix-tree.ts";
import type { Quiescence } from "./quiescence.ts";
import { Retirement } from "./retirement.ts";
import type { Sad } from "./sad.ts";
import type { SelectorRun, SelectorSet, SelectorTable } from "./selector-table.ts";
import { u64At, writeU64 } from "./words.ts";

/** One row of the outbound SPD. */
export type DataPolicy =
  /** Packets within the selectors of an installed child SA go through it. */
  | {
      readonly action: "protect";
      readonly inboundSpi: number;
      /** Another SA that is newer carries what goes out: this one sends no dummy packets any more. */
      readonly isReplaced?: boolean;
    }
  /** Packets within these selectors have no SA: they are dropped, and counted as `noSa`. */
  | { readonly action: "discard"; readonly selectors: SelectorSet }
  /** Packets within these selectors call for an SA: `onTrap` is told the number, and a few of them wait for it. */
  | { readonly action: "trap"; readonly trap: number; readonly selectors: SelectorSet };

/** A policy as the kernel has it. */
interface PolicyRow {
  readonly selectors: SelectorRun;
  readonly action: number;
  readonly slot: number;
  readonly generation: number;
  readonly sendsDummies: boolean;
}

/** One record of a row in the tree. */
interface Entry {
  readonly policy: number;
  readonly root: number;
  readonly remote: AddressPrefix;
  readonly local: AddressPrefix;
}

interface InstalledRow {
  readonly slot: number;
  readonly sendsDummies: boolean;
  readonly selectors: SelectorRun;
  readonly entries: readonly Entry[];
}

interface Table {
  readonly roots: number;
  /** By precedence. */
  readonly rows: Map<number, InstalledRow>;
}

/**
 * The host's side of the outbound Security Policy Database. Policies have a precedence; of those that match a packet the lowest
 * decides. A policy is found by its addresses (assembly/spd.ts), so neither a packet nor a change takes longer when there are many.
 */
export class Spd {
  readonly #words: Uint32Array;
  readonly #sad: Sad;
  readonly #selectors: SelectorTable;
  readonly #nodes = new BlockPool({ base: SPD_NODE_BASE, size: NODE_SIZE, count: SPD_NODE_COUNT });
  readonly #policies: BlockPool;
  readonly #tree: PrefixTree;
  readonly #retired: Retirement;
  readonly #dummies: DummyList;
  #table: Table;

  constructor(facts: {
    readonly memory: WebAssembly.Memory;
    readonly sad: Sad;
    readonly selectors: SelectorTable;
    readonly quiescence: Quiescence;
    /** Records of policies, POLICY_COUNT at most and by default. */
    readonly policyCount?: number | undefined;
  }) {
    const { policyCount: count = POLICY_COUNT } = facts;
    this.#words = new Uint32Array(facts.memory.buffer);
    this.#policies = new BlockPool({ base: POLICY_BASE, size: POLICY_SIZE, count });
    this.#sad = facts.sad;
    this.#selectors = facts.selectors;
    this.#retired = new Retirement(facts.quiescence);
    this.#tree = new PrefixTree(this.#words, {
      take: () => takeFrom(this.#nodes, "prefixes"),
      retire: (node) => this.#retired.add(() => this.#nodes.giveBack(node)),
    });
    this.#dummies = new DummyList(facts.memory);
    this.#table = this.#createTable();
    this.#publishTable();
  }

  /** Records and nodes that are taken: those that a worker may still read among them. */
  get inUse(): { readonly policies: number; readonly prefixes: number } {
    return { policies: this.#policies.inUse, prefixes: this.#nodes.inUse };
  }

  /**
   * Replaces all policies at once; the first that matches a packet decides, its place in the list is its precedence. Throws PolicyError
   * when they do not fit beside the old ones, which stay then. A child SA that is not installed leaves its row out.
   */
  replace(policies: readonly DataPolicy[]): void {
    this.replaceAll(policies.map((policy, precedence) => [precedence, policy]));
  }

  /** The same with precedences, each a whole number of its own. */
  replaceAll(policies: Iterable<readonly [precedence: number, policy: DataPolicy]>): void {
    const next = this.#createTable();
    try {
      for (const [precedence, policy] of policies) this.#add(next, precedence, policy);
      this.#dummies.replace(dummySlotsOf(next));
    } catch (error) {
      this.#dispose(next);
      throw error;
    }
    const old = this.#table;
    this.#table = next;
    this.#publishTable();
    this.#dispose(old);
  }

  /** Adds a policy, or puts it in the place of the one with this precedence. Throws PolicyError when it does not fit, and changes nothing. */
  set(precedence: number, policy: DataPolicy): void {
    const old = this.#table.rows.get(precedence);
    this.#table.rows.delete(precedence);
    try {
      this.#add(this.#table, precedence, policy);
      this.#listDummies(old, this.#table.rows.get(precedence));
    } catch (error) {
      const added = this.#table.rows.get(precedence);
      if (added !== undefined) this.#takeOut(added);
      this.#table.rows.delete(precedence);
      if (old !== undefined) this.#table.rows.set(precedence, old);
      throw error;
    }
    if (old !== undefined) this.#takeOut(old);
    this.#noteChange();
  }

  /** Takes a policy out. Nothing happens for a precedence that none has. */
  remove(precedence: number): void {
    const row = this.#table.rows.get(precedence);
    if (row === undefined) return;
    this.#table.rows.delete(precedence);
    this.#listDummies(row);
    this.#takeOut(row);
    this.#noteChange();
  }

  #listDummies(...changed: readonly (InstalledRow | undefined)[]): void {
    if (changed.some((row) => row?.sendsDummies)) this.#dummies.replace(dummySlotsOf(this.#table));
  }

  #add(table: Table, precedence: number, policy: DataPolicy): void {
    if (!Number.isSafeInteger(precedence) || precedence < 0) {
      throw new RangeError(`a precedence of ${precedence} is not a whole number from 0 on`);
    }
    if (table.rows.has(precedence)) throw new RangeError(`two policies have the precedence ${precedence}`);
    const row = this.#compile(policy);
    if (row === undefined) return;
    const entries: Entry[] = [];
    try {
      for (let i = 0; i < row.selectors.count; i++) {
        const { family, address, remote, local } = this.#selectors.at(row.selectors.first + i);
        const root = table.roots + (family === 4 ? ROOTS_IPV4_OFFSET : ROOTS_IPV6_OFFSET);
        for (const remotePrefix of coveringPrefixes(remote.start, remote.end)) {
          for (const localPrefix of coveringPrefixes(local.start, local.end)) {
            const where = { root, remote: remotePrefix, local: localPrefix };
            const record = this.#record(precedence, row, address);
            entries.push({ ...where, policy: record });
            this.#hangIn(record, where);
          }
        }
      }
    } catch (error) {
      this.#takeOut({ ...row, entries });
      throw error;
    }
    table.rows.set(precedence, { ...row, entries });
  }

  /** A row uses its selectors for as long as a worker may read them, whatever becomes of the SA. */
  #compile(policy: DataPolicy): PolicyRow | undefined {
    if (policy.action === "protect") {
      const outbound = this.#sad.outboundOf(policy.inboundSpi);
      if (outbound === undefined) return undefined;
      return {
        ...outbound,
        selectors: this.#selectors.retain(outbound.selectors),
        action: POLICY_PROTECT,
        sendsDummies: outbound.sendsDummies && policy.isReplaced !== true,
      };
    }
    const common = {
      selectors: this.#selectors.allocate(policy.selectors),
      generation: 0,
      sendsDummies: false,
    };
    return policy.action === "trap"
      ? { ...common, action: POLICY_TRAP, slot: policy.trap }
      : { ...common, action: POLICY_DISCARD, slot: NO_SLOT };
  }

  #record(precedence: number, { action, slot, generation }: PolicyRow, selector: number): number {
    const record = takeFrom(this.#policies, "policies");
    const set = (offset: number, value: number): void => {
      this.#words[(record + offset) >>> 2] = value;
    };
    set(POLICY_NEXT_OFFSET, 0);
    set(POLICY_SELECTOR_OFFSET, selector);
    writeU64(this.#words, record + POLICY_PRECEDENCE_OFFSET, precedence);
    set(POLICY_ACTION_OFFSET, action);
    set(POLICY_SA_OFFSET, slot);
    set(POLICY_GENERATION_OFFSET, generation);
    return record;
  }

  #hangIn(record: number, { root, remote, local }: Omit<Entry, "policy">): void {
    const locals = this.#tree.insert(root, remote) + NODE_PAYLOAD_OFFSET;
    let link = this.#tree.insert(locals, local) + NODE_PAYLOAD_OFFSET;
    const precedence = this.#precedenceOf(record);
    for (let at = this.#load(link); at !== 0 && this.#precedenceOf(at) < precedence; at = this.#load(link)) {
      link = at + POLICY_NEXT_OFFSET;
    }
    this.#words[(record + POLICY_NEXT_OFFSET) >>> 2] = this.#load(link);
    Atomics.store(this.#words, link >>> 2, record);
  }

  /** Takes a row out, also one that did not come in as a whole. */
  #takeOut({ selectors, entries }: Pick<InstalledRow, "selectors" | "entries">): void {
    for (const { policy, root, remote, local } of entries) {
      const nodeOfRemote = this.#tree.find(root, remote);
      if (nodeOfRemote !== undefined) {
        const locals = nodeOfRemote + NODE_PAYLOAD_OFFSET;
        const nodeOfLocal = this.#tree.find(locals, local);
        if (nodeOfLocal !== undefined) this.#unlink(nodeOfLocal + NODE_PAYLOAD_OFFSET, policy);
        this.#tree.prune(locals, local);
        this.#tree.prune(root, remote);
      }
      this.#retired.add(() => this.#policies.giveBack(policy));
    }
    this.#retired.add(() => this.#selectors.release(selectors));
  }

  #unlink(link: number, policy: number): void {
    for (let at = this.#load(link); at !== 0; at = this.#load(link)) {
      if (at === policy) {
        Atomics.store(this.#words, link >>> 2, this.#load(at + POLICY_NEXT_OFFSET));
        return;
      }
      link = at + POLICY_NEXT_OFFSET;
    }
  }

  #createTable(): Table {
    const roots = takeFrom(this.#nodes, "prefixes");
    this.#words[(roots + ROOTS_IPV4_OFFSET) >>> 2] = 0;
    this.#words[(roots + ROOTS_IPV6_OFFSET) >>> 2] = 0;
    return { roots, rows: new Map() };
  }

  #publishTable(): void {
    Atomics.store(this.#words, (CONTROL_BASE + CONTROL_SPD_OFFSET) >>> 2, this.#table.roots);
    this.#noteChange();
  }

  #noteChange(): void {
    Atomics.add(this.#words, (CONTROL_BASE + CONTROL_SPD_CHANGES_OFFSET) >>> 2, 1);
  }

  /** Gives back all of a table that holds no more. */
  #dispose({ roots, rows }: Table): void {
    const nodes = [roots];
    for (const root of [roots + ROOTS_IPV4_OFFSET, roots + ROOTS_IPV6_OFFSET]) {
      this.#tree.walk(root, (node) => {
        this.#tree.walk(node + NODE_PAYLOAD_OFFSET, (local) => nodes.push(local));
        nodes.push(node);
      });
    }
    this.#retired.add(() => {
      for (const node of nodes) this.#nodes.giveBack(node);
      for (const { selectors, entries } of rows.values()) {
        this.#selectors.release(selectors);
        for (const { policy } of entries) this.#policies.giveBack(policy);
      }
    });
  }

  #precedenceOf(record: number): number {
    return u64At(this.#words, record + POLICY_PRECEDENCE_OFFSET);
  }

  #load(link: number): number {
    return Atomics.load(this.#words, link >>> 2);
  }
}

/** Slots of the SAs that send dummy packets. For a moment two rows may name one. */
function dummySlotsOf({ rows }: Table): number[] {
  const slots = new Set<number>();
  for (const { sendsDummies, slot } of rows.values()) if (sendsDummies) slots.add(slot);
  return [...slots];
}

function takeFrom(pool: BlockPool, what: string): number {
  const block = pool.take();
  if (block !== undefined) return block;
  throw new PolicyError(`the SPD has no room for more ${what}: ${pool.inUse} are in use`, {
    code: "SPD_FULL",
  });
}
