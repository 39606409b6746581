import type { ContenderRecord } from "../record.ts";

/**
 * How charts draw a contender: the same colour for one program, and another stroke for each of its ciphers and settings. There are STROKE_COUNT of
 * them, and then they come again: a chart shows no more of one program.
 */
export interface Look {
  /** A CSS class that sets `--c`. */
  readonly family: string;
  readonly dash: string;
  readonly opacity: number;
}

/** The beginning of a contender's name. */
const FAMILIES = [
  "bare",
  "ikebana",
  "openvpn",
  "strongswan",
  "wireguard",
  "kernel-ipsec",
  "kernel-wireguard",
];

const STROKES: readonly Pick<Look, "dash" | "opacity">[] = [
  { dash: "", opacity: 1 },
  { dash: "8 4", opacity: 0.75 },
  { dash: "2 4", opacity: 0.55 },
  { dash: "10 4 2 4", opacity: 0.42 },
];
export const STROKE_COUNT = STROKES.length;

export function looksOf(contenders: readonly ContenderRecord[]): ReadonlyMap<ContenderRecord, Look> {
  const counts = new Map<string, number>();
  const looks = new Map<ContenderRecord, Look>();
  for (const contender of contenders.filter(({ samples }) => samples.length > 0)) {
    const family = FAMILIES.find((each) => contender.name.startsWith(each)) ?? "other";
    const index = counts.get(family) ?? 0;
    counts.set(family, index + 1);
    looks.set(contender, { family: `f-${family}`, ...STROKES[index % STROKE_COUNT]! });
  }
  return looks;
}
