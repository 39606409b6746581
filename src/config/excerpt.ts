const SECRET_KEY = /(?:^|[\s{,"'])(?:psk|password|secret|hex|base64)["']?\s*:\s*/i;
const LONGEST_LINE = 160;

/**
 * The line of a problem with a mark below it:
 *
 *       7 |     chidlren:
 *         |     ^^^^^^^^
 *
 * Secrets do not show: what follows the key of one is masked, and a line that lies below such a key is left out.
 */
export function excerpt({ lines, line, column, length }: ExcerptPlace): string {
  const text = lines[line - 1] ?? "";
  if (text.trim() === "" || text.length > LONGEST_LINE || liesBelowSecret(lines, line)) return "";
  const shown = maskSecret(text);
  const number = String(line).padStart(5);
  const gutter = " ".repeat(number.length);
  if (column > shown.length) return `${number} | ${printable(shown)}`;
  const mark = "^".repeat(Math.max(1, Math.min(length, shown.length - column + 1)));
  return `${number} | ${printable(shown)}\n${gutter} | ${" ".repeat(column - 1)}${mark}`;
}

export interface ExcerptPlace {
  readonly lines: readonly string[];
  /** Counted from 1. */
  readonly line: number;
  readonly column: number;
  /** How many characters to mark. */
  readonly length: number;
}

/** Everything behind the key, unless it only names a file. */
function maskSecret(text: string): string {
  const found = SECRET_KEY.exec(text);
  if (found === null) return text;
  const end = found.index + found[0].length;
  const value = text.slice(end).trim();
  if (value === "" || /^\{\s*file\s*:[^,{}]*\}[\s}]*$/.test(value)) return text;
  return `${text.slice(0, end)}[hidden]`;
}

/** Whether an enclosing line (one that is indented less) is the key of a secret, as for a block of text. */
function liesBelowSecret(lines: readonly string[], line: number): boolean {
  let indent = indentOf(lines[line - 1] ?? "");
  for (let above = line - 2; above >= 0 && indent > 0; above -= 1) {
    const text = lines[above] ?? "";
    if (text.trim() === "" || indentOf(text) >= indent) continue;
    if (SECRET_KEY.test(text)) return true;
    indent = indentOf(text);
  }
  return false;
}

function indentOf(text: string): number {
  return text.length - text.trimStart().length;
}

function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, " ");
}
