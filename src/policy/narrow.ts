import type { TrafficSelector } from "../wire/payloads/traffic-selector.ts";
import { type Box, contains, intersect, subtract, toBox, toSelector } from "./traffic-selector-box.ts";
import { formatTrafficSelectors } from "./traffic-selectors.ts";

/** The payload counts its selectors in one octet (RFC 7296 section 3.13). */
export const MAXIMUM_SELECTORS = 255;
/** What a greedy peer takes with all its child SAs leaves room for the others, and time for packets. */
const MAXIMUM_PAIRS = 256;

/**
 * What the offered and the allowed selectors have in common, RFC 7296 section 2.9: the largest set that is a subset of both,
 * as selectors none of which lies within another. It includes the packet that the initiator may have put first, when policy
 * allows that at all. Selectors of other types and reversed ranges count as empty. Empty means TS_UNACCEPTABLE.
 */
export function narrow(input: {
  readonly offered: readonly TrafficSelector[];
  readonly allowed: readonly TrafficSelector[];
}): TrafficSelector[] {
  const allowed = toBoxes(input.allowed);
  const common: Box[] = [];
  for (const offer of toBoxes(input.offered)) {
    for (const permit of allowed) {
      const box = intersect(offer, permit);
      if (box === undefined || common.some((other) => contains(other, box))) continue;
      removeWithin(common, box);
      common.push(box);
      if (common.length === MAXIMUM_SELECTORS) return common.map(toSelector);
    }
  }
  return common.map(toSelector);
}

/** Selectors of both sides, seen from us. */
export interface SelectorSides {
  readonly local: readonly TrafficSelector[];
  readonly remote: readonly TrafficSelector[];
}

/**
 * The same for both sides of a child SA. Any local selector goes with any remote one, and each pair takes a place in the data plane and
 * some time of every packet: a peer that cuts a policy into more pairs than `MAXIMUM_PAIRS`, or than the policy itself has, gets the first
 * of them only.
 */
export function narrowBoth(input: {
  readonly offered: SelectorSides;
  readonly allowed: SelectorSides;
}): SelectorSides {
  const { offered, allowed } = input;
  const local = narrow({ offered: offered.local, allowed: allowed.local });
  const remote = narrow({ offered: offered.remote, allowed: allowed.remote });
  const most = Math.max(MAXIMUM_PAIRS, allowed.local.length * allowed.remote.length);
  if (local.length * remote.length <= most) return { local, remote };
  // What the shorter side leaves over is for the longer one.
  const share = Math.floor(Math.sqrt(most));
  const shareBeside = (other: readonly TrafficSelector[]): number =>
    Math.max(share, Math.floor(most / other.length));
  return { local: local.slice(0, shareBeside(remote)), remote: remote.slice(0, shareBeside(local)) };
}

/** Whether every packet that `inner` matches is matched by `outer`, also where it takes several selectors to cover one. Selectors that mean nothing match no packet. */
export function isSubset(inner: readonly TrafficSelector[], outer: readonly TrafficSelector[]): boolean {
  const cover = toBoxes(outer);
  return toBoxes(inner).every((box) => isCovered(box, cover));
}

/** "TSi 10.0.0.0/8 is outside policy 10.1.0.0/16" */
export function explainUnacceptable(input: {
  /** "TSi" or "TSr". */
  readonly name: string;
  readonly offered: readonly TrafficSelector[];
  readonly allowed: readonly TrafficSelector[];
}): string {
  const { name, offered, allowed } = input;
  return `${name} ${formatTrafficSelectors(offered)} is outside policy ${formatTrafficSelectors(allowed)}`;
}

function toBoxes(selectors: readonly TrafficSelector[]): readonly Box[] {
  return selectors.map(toBox).filter((box) => box !== undefined);
}

function removeWithin(boxes: Box[], outer: Box): void {
  for (let i = boxes.length - 1; i >= 0; i--) if (contains(outer, boxes[i]!)) boxes.splice(i, 1);
}

/** Takes each cover out of what is left; nothing may remain. */
function isCovered(box: Box, cover: readonly Box[]): boolean {
  if (cover.some((each) => contains(each, box))) return true;
  let rest: readonly Box[] = [box];
  for (const taken of cover) {
    rest = rest.flatMap((piece) => subtract(piece, taken));
    if (rest.length === 0) return true;
  }
  return false;
}
