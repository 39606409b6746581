const LONGEST_TEXT = 1000;
const LONGEST_LIST = 64;
const DEEPEST = 4;

/** Fields whose name says that nobody should read them in a log, whatever a caller put there. */
const SECRET_NAME = /^(sk[A-Z]\w{0,2}|.*(psk|password|secret|preshared|keymat|privatekey).*)$/;
const SECRET_NAME_ANY_CASE = /psk|password|secret|preshared|keymat|privatekey/i;

/**
 * Makes a value fit to be shown: octets become "[32 octets]", what is called a secret becomes "[hidden]", text loses its control
 * characters (a peer chooses its own identity), and nothing is endless.
 */
export function presentable(value: unknown): unknown {
  return present(value, 0);
}

/** Text with control, format and line separator characters spelt out, and cut at 1000 characters. */
export function printable(text: string): string {
  const cut =
    text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}... (${text.length} characters)` : text;
  return cut.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, spellOut);
}

function present(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case "string":
      return printable(value);
    case "number":
    case "boolean":
      return value;
    case "bigint":
      return value.toString();
    case "object":
      return value === null ? null : presentObject(value, depth);
    default:
      return undefined;
  }
}

function presentObject(value: object, depth: number): unknown {
  if (ArrayBuffer.isView(value)) return octets(value.byteLength);
  if (value instanceof ArrayBuffer || value instanceof SharedArrayBuffer) return octets(value.byteLength);
  if (value instanceof Error) return printable(value.message);
  if (depth >= DEEPEST) return "[...]";
  if (Array.isArray(value)) return presentList(value, depth);
  return Object.fromEntries(
    Object.entries(value)
      .slice(0, LONGEST_LIST)
      .map(([name, inner]) => [printable(name), isSecretName(name) ? "[hidden]" : present(inner, depth + 1)]),
  );
}

function presentList(list: readonly unknown[], depth: number): unknown[] {
  const shown = list.slice(0, LONGEST_LIST).map((inner) => present(inner, depth + 1) ?? null);
  return list.length > LONGEST_LIST ? [...shown, `... (${list.length} in all)`] : shown;
}

function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name) || SECRET_NAME_ANY_CASE.test(name);
}

function octets(length: number): string {
  return `[${length} octets]`;
}

function spellOut(character: string): string {
  return `\\u{${character.codePointAt(0)?.toString(16)}}`;
}
