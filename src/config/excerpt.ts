const SECRET_KEY = /(?:^|[\s{,"'])(?:psk|password|secret|hex|base64)["']?\s*:\s*/i;
/** A line that begins with a key, behind nothing but spaces. */
const ANY_KEY = /^ *["']?[A-Za-z][\w.-]*["']?\s*:(\s|$)/;
const LONGEST_LINE = 160;

/**
 * The line of a problem with a mark below it:
 *
 *       7 |     chidlren:
 *         |     ^^^^^^^^
 *
 * Secrets do not show: what follows the key of one is masked, and a line that may go on with it is left out.
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

/**
 * Whether the line may go on with the secret of a line above: a block of text, a broken quote. It does not where another key has
 * begun since, no deeper than the secret's.
 */
function liesBelowSecret(lines: readonly string[], line: number): boolean {
  let shallowestKey = Number.POSITIVE_INFINITY;
  for (let index = line - 1; index >= 0; index -= 1) {
    const text = lines[index] ?? "";
    if (index < line - 1 && SECRET_KEY.test(text)) return shallowestKey > indentOf(text);
    if (ANY_KEY.test(text)) shallowestKey = Math.min(shallowestKey, indentOf(text));
  }
  return false;
}

function indentOf(text: string): number {
  return text.length - text.trimStart().length;
}

function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, " ");
}
