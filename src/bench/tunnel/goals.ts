import { FIGURES, type FigureName } from "./figures.ts";
import { type ContenderRecord, pairsOf, summaryOf, type TunnelRecord } from "./record.ts";

/** What we want to be true of two contenders of one run: ours divided by theirs. */
export interface Goal {
  readonly figure: FigureName;
  readonly ours: string;
  readonly theirs: string;
  readonly bound: "at least" | "at most";
  readonly ratio: number;
}

const AES = "ikebana-aes256gcm16";
const CHACHA = "ikebana-chacha20poly1305";
const CBC = "ikebana-aes256-sha1";
const OPENVPN_AES = "openvpn-aes256gcm";
const OPENVPN_CHACHA = "openvpn-chacha20poly1305";

const GOALS: readonly Goal[] = [
  { figure: "tcpMbps", ours: AES, theirs: OPENVPN_AES, bound: "at least", ratio: 2.5 },
  { figure: "tcpMbps", ours: AES, theirs: "strongswan-aes256gcm16", bound: "at least", ratio: 3.5 },
  { figure: "tcpMbps", ours: CHACHA, theirs: OPENVPN_CHACHA, bound: "at least", ratio: 4 },
  { figure: "tcpMbps", ours: CHACHA, theirs: "wireguard-go-deb", bound: "at least", ratio: 1 },
  { figure: "tcpMbps", ours: CBC, theirs: "strongswan-aes256-sha1", bound: "at least", ratio: 2 },
  { figure: "tcpMbps", ours: `${AES}-10000idle`, theirs: AES, bound: "at least", ratio: 0.95 },
  { figure: "udp200PacketsPerSecond", ours: AES, theirs: OPENVPN_AES, bound: "at least", ratio: 3 },
  { figure: "cpuSecondsPerGb", ours: AES, theirs: OPENVPN_AES, bound: "at most", ratio: 0.45 },
  { figure: "cpuSecondsPerGb", ours: CHACHA, theirs: OPENVPN_CHACHA, bound: "at most", ratio: 0.25 },
  { figure: "pingIdleP50Us", ours: AES, theirs: OPENVPN_AES, bound: "at most", ratio: 0.9 },
  { figure: "pingLoadedP50Us", ours: AES, theirs: OPENVPN_AES, bound: "at most", ratio: 0.25 },
];

export interface Verdict {
  readonly goal: Goal;
  /** Ratio of the medians, and the lowest and highest of the rounds in which both ran. Undefined when one of the two is missing. */
  readonly measured?: { readonly ratio: number; readonly min: number; readonly max: number };
  readonly isMet?: boolean;
}

/** Judges the goals whose contenders and measures were chosen for the run. */
export function judge(
  { contenders, settings }: TunnelRecord,
  goals: readonly Goal[] = GOALS,
): readonly Verdict[] {
  const named = (name: string): ContenderRecord | undefined => contenders.find((each) => each.name === name);
  return goals.flatMap((goal) => {
    const ours = named(goal.ours);
    const theirs = named(goal.theirs);
    if (!settings.measures.includes(FIGURES[goal.figure].measure)) return [];
    return ours === undefined || theirs === undefined ? [] : [verdictOn(goal, ours, theirs)];
  });
}

/** "yes" and "no" where all rounds agree; what only their median says is told as such. */
export function wordsFor({ goal, measured, isMet }: Verdict): string {
  if (measured === undefined) return "not measured";
  const isGood = (ratio: number): boolean =>
    goal.bound === "at least" ? ratio >= goal.ratio : ratio <= goal.ratio;
  const agree = [measured.min, measured.max].every((ratio) => isGood(ratio) === isMet);
  if (isMet === true) return agree ? "yes" : "yes, not in each round";
  return agree ? "no" : "no, in some rounds";
}

function verdictOn(goal: Goal, ours: ContenderRecord, theirs: ContenderRecord): Verdict {
  const own = summaryOf(ours, goal.figure);
  const other = summaryOf(theirs, goal.figure);
  if (own === undefined || other === undefined) return { goal };
  const ratio = own.median / other.median;
  const rounds = ratiosByRound(ours, theirs, goal.figure);
  const extremes = { min: Math.min(ratio, ...rounds), max: Math.max(ratio, ...rounds) };
  const isMet = goal.bound === "at least" ? ratio >= goal.ratio : ratio <= goal.ratio;
  return { goal, measured: { ratio, ...extremes }, isMet };
}

/** Both ran within a minute of each other in a round, so that its ratio holds whatever the machine did in between. */
function ratiosByRound(
  ours: ContenderRecord,
  theirs: ContenderRecord,
  figure: FigureName,
): readonly number[] {
  return pairsOf(ours, theirs, figure).map(([own, other]) => own / other);
}
