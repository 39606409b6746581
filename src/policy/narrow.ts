import type { TrafficSelector } from "../wire/payloads/traffic-selector.ts";
import { type Box, contains, intersect, subtract, toBox, toSelector } from "./traffic-selector-box.ts";
import { formatTrafficSelectors } from "./traffic-selectors.ts";

/** The payload counts its selectors in one octet (RFC 7296 section 3.13). */
export const MAXIMUM_SELECTORS = 255;

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
  let rest: readonly Box[] = [box];
  for (const taken of cover) {
    rest = rest.flatMap((piece) => subtract(piece, taken));
    if (rest.length === 0) return true;
  }
  return false;
}
