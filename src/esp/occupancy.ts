import {
  NODE_SIZE,
  POLICY_COUNT,
  POLICY_SIZE,
  SA_SLOT_COUNT,
  SA_SLOT_SIZE,
  SELECTOR_COUNT,
  SELECTOR_SIZE,
  SPD_NODE_COUNT,
  TABLE_OWNER_SIZE,
  TABLES_COUNT,
  TABLES_SIZE,
  WORKER_BASE,
  WORKER_SIZE,
  WORKER_TABLE_OWNERS_OFFSET,
} from "../../assembly/layout.ts";

/** What SAs and policies take of the shared memory. Limits are fixed: nothing grows beyond them, whatever peers do. */
export interface Occupancy {
  /** Directions of child SAs: two for each. */
  readonly sas: Share;
  /** Places of keys that carry much, of all workers. */
  readonly keyTables: Share;
  readonly selectors: Share;
  readonly policies: Share;
  readonly prefixes: Share;
  /** All of them together. */
  readonly octets: number;
}

export interface Share {
  readonly inUse: number;
  readonly limit: number;
}

export function occupancyOf(facts: {
  readonly words: Uint32Array;
  readonly workers: readonly number[];
  readonly sas: number;
  readonly selectors: number;
  readonly policies: number;
  readonly prefixes: number;
}): Occupancy {
  let keyTables = 0;
  for (const worker of facts.workers) {
    const owners = (WORKER_BASE + worker * WORKER_SIZE + WORKER_TABLE_OWNERS_OFFSET) >>> 2;
    for (let place = 0; place < TABLES_COUNT; place++) {
      if (facts.words[owners + (place * TABLE_OWNER_SIZE) / 4] !== 0) keyTables++;
    }
  }
  const { sas, selectors, policies, prefixes } = facts;
  return {
    sas: { inUse: sas, limit: SA_SLOT_COUNT },
    keyTables: { inUse: keyTables, limit: facts.workers.length * TABLES_COUNT },
    selectors: { inUse: selectors, limit: SELECTOR_COUNT },
    policies: { inUse: policies, limit: POLICY_COUNT },
    prefixes: { inUse: prefixes, limit: SPD_NODE_COUNT },
    octets:
      sas * SA_SLOT_SIZE +
      keyTables * TABLES_SIZE +
      selectors * SELECTOR_SIZE +
      policies * POLICY_SIZE +
      prefixes * NODE_SIZE,
  };
}
