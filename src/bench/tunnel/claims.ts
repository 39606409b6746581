import { type Comparison, isMore } from "../comparison.ts";
import { compareContenders } from "./between.ts";
import { FIGURES, type FigureName } from "./figures.ts";
import type { ContenderRecord, TunnelRecord } from "./record.ts";

/** An IPsec contender against OpenVPN with the same cipher. */
export interface Claim {
  readonly ipsec: ContenderRecord;
  readonly openvpn: ContenderRecord;
  /** Its figure divided by OpenVPN's; a figure that one of them lacks is not there. */
  readonly comparisons: readonly { readonly figure: FigureName; readonly comparison: Comparison }[];
}

/** What is said of IPsec and OpenVPN: half of the latency, most of all under load and on slow machines, and more throughput there. */
export const CLAIM_FIGURES = [
  "pingIdleP50Us",
  "pingLoadedP50Us",
  "pingLoadedP99Us",
  "tcpMbps",
  "pressure1PingLoadedP50Us",
  "pressure2PingLoadedP50Us",
  "throttledPingIdleP50Us",
  "throttledPingLoadedP50Us",
  "throttledTcpMbps",
] as const satisfies readonly FigureName[];

/** Of these the ones that answer both claims in short. */
export const CORE_CLAIM_FIGURES = [
  "pingIdleP50Us",
  "pingLoadedP50Us",
  "throttledPingLoadedP50Us",
  "throttledTcpMbps",
] as const satisfies readonly (typeof CLAIM_FIGURES)[number][];

/** Names of IPsec contenders, and what each is compared with. */
const PAIRS: readonly (readonly [ipsec: RegExp, openvpn: string])[] = [
  [/^(?:ikebana|strongswan|kernel-ipsec)-aes256gcm16(?:-raw)?$/, "openvpn-aes256gcm"],
  [/^(?:ikebana|strongswan)-chacha20poly1305$/, "openvpn-chacha20poly1305"],
  [/^(?:ikebana|strongswan|kernel-ipsec)-aes128gcm16(?:-raw)?$/, "openvpn-aes128gcm"],
];

export function claimsOf({ contenders }: TunnelRecord): readonly Claim[] {
  return PAIRS.flatMap(([ipsecName, openvpnName]) => {
    const openvpn = contenders.find(({ name }) => name === openvpnName);
    if (openvpn === undefined) return [];
    return contenders
      .filter(({ name }) => ipsecName.test(name))
      .flatMap((ipsec) => {
        const comparisons = CLAIM_FIGURES.flatMap((figure) => {
          const comparison = compareContenders(ipsec, openvpn, { figure });
          return comparison === undefined ? [] : [{ figure, comparison }];
        });
        return comparisons.length === 0 ? [] : [{ ipsec, openvpn, comparisons }];
      });
  });
}

/** What a comparison says to the claims, in a word or two. Of what noise could explain it says nothing else. */
export function answerOf(figure: FigureName, comparison: Comparison): string {
  const { interval, isDifferent, scale } = comparison;
  if (interval === undefined) return "one round";
  if (!isDifferent) return "within the noise";
  if (isMore(comparison)) return "more";
  if (FIGURES[figure].better === "more" || scale === "difference") return "less";
  if (interval.high <= HALF) return "half or less";
  return interval.low > HALF ? "less, not half" : "less, about half";
}

/** What is claimed of latencies. */
const HALF = 0.5;
