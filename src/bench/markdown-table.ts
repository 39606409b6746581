import type { Comparison } from "./comparison.ts";

/** Three significant digits; more are more than the machine can repeat. Two where there are many zeros before them. */
export function digits(value: number): string {
  if (value < 0) return `-${digits(-value)}`;
  if (value > 0 && value < 0.01) return String(Number(value.toPrecision(2)));
  const rounded = Number(value.toPrecision(3));
  if (rounded >= 1000) return String(rounded).replace(/\B(?=(\d{3})+$)/g, ",");
  return rounded.toFixed(rounded >= 100 ? 0 : rounded >= 10 ? 1 : 2);
}

/** "0.13 (0.09 to 0.15)"; differences have a sign. */
export function comparisonText({ value, interval, scale }: Comparison): string {
  const sign = scale === "difference" && value > 0 ? "+" : "";
  const range = interval === undefined ? "" : ` (${digits(interval.low)} to ${digits(interval.high)})`;
  return `${sign}${digits(value)}${range}`;
}

/** A Markdown table, padded, so that it can be read on a terminal as it is: the first column to the left, figures to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((_, column) => Math.max(3, ...[head, ...rows].map((row) => row[column]!.length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((text, column) => (column === 0 ? text.padEnd(widths[0]!) : text.padStart(widths[column]!))).join(" | ")} |`;
  const rule = `| ${widths.map((width, column) => (column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`)).join(" | ")} |`;
  return [line(head), rule, ...rows.map(line)].join("\n");
}
