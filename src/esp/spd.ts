import {
  CONTROL_BASE,
  CONTROL_SPD_OFFSET,
  NO_SLOT,
  POLICY_ACTION_OFFSET,
  POLICY_DISCARD,
  POLICY_GENERATION_OFFSET,
  POLICY_PROTECT,
  POLICY_SA_OFFSET,
  POLICY_SELECTOR_COUNT_OFFSET,
  POLICY_SELECTOR_FIRST_OFFSET,
  POLICY_SIZE,
  POLICY_TRAP,
  SPD_BASE,
  SPD_COUNT_OFFSET,
  SPD_POLICIES_OFFSET,
  SPD_POLICY_COUNT,
  SPD_SNAPSHOT_SIZE,
} from "../../assembly/layout.ts";
import { PolicyError } from "../errors/index.ts";
import { DummyList } from "./dummy-list.ts";
import { DoubleBuffer, type Quiescence } from "./quiescence.ts";
import type { Sad } from "./sad.ts";
import type { SelectorRun, SelectorSet, SelectorTable } from "./selector-table.ts";

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

interface PolicyRow {
  readonly selectors: SelectorRun;
  readonly action: number;
  readonly slot: number;
  readonly generation: number;
  readonly sendsDummies: boolean;
}

/** The host's side of the outbound Security Policy Database: whole snapshots, of which the workers always see one entirely. */
export class Spd {
  readonly #words: Uint32Array;
  readonly #sad: Sad;
  readonly #selectors: SelectorTable;
  readonly #snapshots: DoubleBuffer<readonly PolicyRow[]>;
  readonly #quiescence: Quiescence;
  readonly #dummies: DummyList;
  #newest: readonly PolicyRow[] = [];
  #published: readonly PolicyRow[] = this.#newest;

  constructor(facts: {
    readonly memory: WebAssembly.Memory;
    readonly sad: Sad;
    readonly selectors: SelectorTable;
    readonly quiescence: Quiescence;
  }) {
    this.#words = new Uint32Array(facts.memory.buffer);
    this.#sad = facts.sad;
    this.#selectors = facts.selectors;
    this.#quiescence = facts.quiescence;
    this.#dummies = new DummyList(facts.memory);
    this.#snapshots = new DoubleBuffer(facts.quiescence, (rows) => this.#publish(rows));
  }

  /**
   * Replaces all policies; the first that matches a packet decides. Throws PolicyError when they do not fit, and the old ones
   * stay. A child SA that is not installed leaves its row out.
   */
  replace(policies: readonly DataPolicy[]): void {
    if (policies.length > SPD_POLICY_COUNT) {
      throw new PolicyError(
        `${policies.length} policies do not fit, the data plane holds ${SPD_POLICY_COUNT}`,
        {
          code: "SPD_FULL",
        },
      );
    }
    const rows = this.#compile(policies);
    // One that still waited for its turn never comes to be read.
    if (this.#newest !== this.#published) this.#release(this.#newest);
    this.#dummies.replace(rows.filter(({ sendsDummies }) => sendsDummies).map(({ slot }) => slot));
    this.#newest = rows;
    this.#snapshots.write(rows);
  }

  /** Rows use their selectors for as long as a worker may read them, whatever becomes of the SA. */
  #compile(policies: readonly DataPolicy[]): readonly PolicyRow[] {
    const rows: PolicyRow[] = [];
    try {
      for (const policy of policies) {
        if (policy.action === "discard") {
          const selectors = this.#selectors.allocate(policy.selectors);
          rows.push({ selectors, action: POLICY_DISCARD, slot: NO_SLOT, generation: 0, sendsDummies: false });
        } else if (policy.action === "trap") {
          const selectors = this.#selectors.allocate(policy.selectors);
          rows.push({
            selectors,
            action: POLICY_TRAP,
            slot: policy.trap,
            generation: 0,
            sendsDummies: false,
          });
        } else {
          const outbound = this.#sad.outboundOf(policy.inboundSpi);
          if (outbound === undefined) continue;
          rows.push({
            ...outbound,
            selectors: this.#selectors.retain(outbound.selectors),
            action: POLICY_PROTECT,
            sendsDummies: outbound.sendsDummies && policy.isReplaced !== true,
          });
        }
      }
    } catch (error) {
      this.#release(rows);
      throw error;
    }
    return rows;
  }

  #publish(rows: readonly PolicyRow[]): void {
    const flag = (CONTROL_BASE + CONTROL_SPD_OFFSET) >>> 2;
    const idle = Atomics.load(this.#words, flag) ^ 1;
    const base = SPD_BASE + idle * SPD_SNAPSHOT_SIZE;
    const set = (address: number, value: number): void => {
      this.#words[address >>> 2] = value;
    };
    set(base + SPD_COUNT_OFFSET, rows.length);
    rows.forEach((row, i) => {
      const at = base + SPD_POLICIES_OFFSET + i * POLICY_SIZE;
      set(at + POLICY_SELECTOR_FIRST_OFFSET, row.selectors.first);
      set(at + POLICY_SELECTOR_COUNT_OFFSET, row.selectors.count);
      set(at + POLICY_ACTION_OFFSET, row.action);
      set(at + POLICY_SA_OFFSET, row.slot);
      set(at + POLICY_GENERATION_OFFSET, row.generation);
    });
    Atomics.store(this.#words, flag, idle);
    const previous = this.#published;
    this.#published = rows;
    void this.#quiescence.settle().then(() => this.#release(previous));
  }

  #release(rows: readonly PolicyRow[]): void {
    for (const row of rows) this.#selectors.release(row.selectors);
  }
}
