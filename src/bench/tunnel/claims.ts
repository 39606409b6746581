import type { Comparison } from "../comparison.ts";
import { compareContenders } from "./between.ts";
import type { FigureName } from "./figures.ts";
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
  "pressure2PingLoadedP50Us",
  "throttledPingIdleP50Us",
  "throttledPingLoadedP50Us",
  "throttledTcpMbps",
] as const satisfies readonly FigureName[];

/** Names of IPsec contenders, and what each is compared with. */
const PAIRS: readonly (readonly [ipsec: RegExp, openvpn: string])[] = [
  [/^(?:ikebana|strongswan|kernel-ipsec)-aes256gcm16(?:-raw)?$/, "openvpn-aes256gcm"],
  [/^(?:ikebana|strongswan)-chacha20poly1305$/, "openvpn-chacha20poly1305"],
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
