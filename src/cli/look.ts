import type { ChildSaStatus, IkeSaStatus } from "../engine/status.ts";
import { formatCount } from "./quantities.ts";

export const GREEN = "\x1b[32m";
export const YELLOW = "\x1b[33m";
export const RED = "\x1b[31m";
export const BOLD = "\x1b[1m";
export const DIM = "\x1b[2m";
export const RESET = "\x1b[0m";

/** The text in a colour, where there are colours. */
export type Paint = (text: string, style: string) => string;

/** How a status is shown. */
export interface Look {
  readonly paint: Paint;
  /** Bits in a second of a child SA's directions, or undefined where that cannot be said. */
  readonly rates: (
    child: ChildSaStatus,
  ) => { readonly inbound: number; readonly outbound: number } | undefined;
}

/** What deserves a look, in red. */
export function weakText({ weak = [] }: Pick<IkeSaStatus, "weak">, paint: Paint): string {
  return weak.length === 0 ? "" : paint(` (weak: ${weak.join(", ")})`, RED);
}

/** "3 replayed, 12 integrityFailed": the counters' own names, so that they can be looked up. */
export function dropText(drops: Readonly<Record<string, number>>): string {
  return Object.entries(drops)
    .filter(([, count]) => count > 0)
    .map(([cause, count]) => `${formatCount(count)} ${cause}`)
    .join(", ");
}
