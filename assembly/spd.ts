// The outbound Security Policy Database: the first policy that matches decides.

import {
  CONTROL_BASE,
  CONTROL_SPD_OFFSET,
  POLICY_SIZE,
  SPD_BASE,
  SPD_COUNT_OFFSET,
  SPD_POLICIES_OFFSET,
  SPD_POLICY_COUNT,
  SPD_SNAPSHOT_SIZE,
} from "./layout";
import { Policy } from "./records";
import { matchesSelectors } from "./selector";

/** The snapshot that holds now. A batch asks once, so that all its packets see the same policies. */
export function activeSnapshot(): usize {
  return SPD_BASE + (atomic.load<u32>(CONTROL_BASE + CONTROL_SPD_OFFSET) & 1) * SPD_SNAPSHOT_SIZE;
}

/** The first policy of `snapshot` that the packet parsed last matches, or null. */
export function findPolicy(snapshot: usize): Policy | null {
  const count = min<u32>(load<u32>(snapshot, SPD_COUNT_OFFSET), SPD_POLICY_COUNT);
  let at = snapshot + SPD_POLICIES_OFFSET;
  for (let i: u32 = 0; i < count; i++, at += POLICY_SIZE) {
    const policy = changetype<Policy>(at);
    if (matchesSelectors(policy.selectorFirst, policy.selectorCount, false)) return policy;
  }
  return null;
}
