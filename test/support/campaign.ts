// The tests that have a long form: what CI runs in seconds they do for minutes, with the full numbers.

/** Whether the long forms run: `npm run campaign`. */
export const CAMPAIGN = process.env.IKEBANA_CAMPAIGN === "1";

/** Says how far a long run has come, and what it has measured. */
export function progress(text: string): void {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`);
}

/** A table of what was measured, at the end of a long run. */
export function printTable(rows: readonly Readonly<Record<string, string | number>>[]): void {
  const names = Object.keys(rows[0] ?? {});
  const cells = [names, ...rows.map((row) => names.map((name) => String(row[name])))];
  const widths = names.map((_, column) => Math.max(...cells.map((line) => line[column]!.length)));
  for (const line of cells) {
    process.stderr.write(
      `${line
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join("  ")
        .trimEnd()}\n`,
    );
  }
}
