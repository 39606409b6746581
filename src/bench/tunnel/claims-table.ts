import type { Comparison } from "../comparison.ts";
import { comparisonText, table } from "../markdown-table.ts";
import { answerOf, CLAIM_FIGURES, claimsOf } from "./claims.ts";
import { FIGURES, type FigureName } from "./figures.ts";
import type { TunnelRecord } from "./record.ts";

/**
 * The answers to what is said of IPsec and OpenVPN, as Markdown: a row for each pair, a column for each figure that some pair has, in each cell
 * IPsec's figure divided by OpenVPN's and what that says to the claim. Records of guests may come along: their rows say so. "" where nothing can be compared.
 */
export function claimsToMarkdown(
  records: readonly TunnelRecord[],
  wanted: readonly FigureName[] = CLAIM_FIGURES,
): string {
  const rows = records.flatMap((record) =>
    claimsOf(record).map(({ ipsec, openvpn, comparisons }) => ({
      title: `${ipsec.title} / ${openvpn.title}${groundOf(record)}`,
      comparisons: new Map<FigureName, Comparison>(
        comparisons.map(({ figure, comparison }) => [figure, comparison]),
      ),
    })),
  );
  const figures = wanted.filter((figure) => rows.some(({ comparisons }) => comparisons.has(figure)));
  if (figures.length === 0) return "";
  return table(
    ["", ...figures.map((figure) => FIGURES[figure].label)],
    rows.map(({ title, comparisons }) => [
      title,
      ...figures.map((figure) => cell(figure, comparisons.get(figure))),
    ]),
  );
}

function groundOf({ guest }: TunnelRecord): string {
  return guest === undefined ? "" : ` (in ${guest.kernel})`;
}

/** "0.13 (0.09 to 0.15): half or less". */
function cell(figure: FigureName, comparison: Comparison | undefined): string {
  if (comparison === undefined) return "–";
  return `${comparisonText(comparison)}: ${answerOf(figure, comparison)}`;
}
