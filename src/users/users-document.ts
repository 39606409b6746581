import { isAlias, isMap, isScalar, LineCounter, type Pair, parseDocument, type YAMLMap } from "yaml";
import { fromHex, toHex } from "../bytes/hex.ts";
import { PolicyError } from "../errors/index.ts";
import { endOfDay, faultOfName, foldName, type User } from "./user.ts";

/**
 * The users file, YAML 1.2:
 *
 *   users:
 *     anna:
 *       nthash: 44ebba8d5312b8d611474411f56989ae
 *       disabled: true          # optional, as the others below
 *       devices: 3
 *       expires: 2027-01-31
 *
 * Values are read as text, whatever they look like: a hash may consist of digits. Comments survive changes.
 */
export class UsersDocument {
  readonly #document: ReturnType<typeof parseDocument>;

  /** Throws UsersError with all that is wrong. `file` names the text in it. */
  constructor(text: string, file: string) {
    const counter = new LineCounter();
    const document = parse(text, file, counter);
    const reader = new UserReader(counter);
    reader.read(document);
    if (reader.problems.length > 0) throw new UsersError(file, reader.problems);
    this.#document = document;
    this.users = reader.users;
  }

  /** As they stood when the text was read, in the order of the file. */
  readonly users: readonly User[];

  toString(): string {
    return this.#document.toString({ lineWidth: 0 });
  }

  /** Writes the user down, in place of whoever has the same name. */
  put(user: User): void {
    const users = this.#usersMap();
    const entry = this.#entryOf(user.name);
    const map = isMap(entry?.value) ? entry.value : (this.#document.createNode({}) as YAMLMap);
    map.flow = false;
    setOrDelete(map, "nthash", toHex(user.ntHash));
    setOrDelete(map, "disabled", user.isDisabled ? "true" : undefined);
    setOrDelete(map, "devices", user.devices?.toString());
    setOrDelete(map, "expires", user.expires);
    if (entry === undefined) users.set(user.name, map);
  }

  remove(name: string): void {
    const entry = this.#entryOf(name);
    if (entry !== undefined) this.#usersMap().delete(entry.key);
  }

  #entryOf(name: string): Pair | undefined {
    return this.#usersMap().items.find(({ key }) => foldName(textOf(key) ?? "") === foldName(name));
  }

  #usersMap(): YAMLMap {
    const found = this.#document.get("users");
    if (isMap(found)) {
      if (found.items.length === 0) found.flow = false;
      return found;
    }
    const users = this.#document.createNode({}) as YAMLMap;
    this.#document.set("users", users);
    return users;
  }
}

/** A users file that we refuse to go by. The message lists every problem, and shows no hash. */
export class UsersError extends PolicyError {
  readonly problems: readonly UsersProblem[];

  constructor(file: string, problems: readonly UsersProblem[]) {
    const lines = problems.map(({ line, column, message }) => `${file}:${line}:${column}: ${message}`);
    super(lines.join("\n"), { code: "USERS" });
    this.name = "UsersError";
    this.problems = problems;
  }
}

interface UsersProblem {
  /** Counted from 1. */
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

/** Nobody mends more at a time. */
const MOST_PROBLEMS = 50;
const MOST_DEVICES = 1000;
const KEYS = ["nthash", "disabled", "devices", "expires"];

function parse(text: string, file: string, counter: LineCounter): ReturnType<typeof parseDocument> {
  try {
    const document = parseDocument(text, {
      lineCounter: counter,
      prettyErrors: false,
      schema: "failsafe",
      stringKeys: true,
      uniqueKeys: true,
    });
    const faults = [...document.errors, ...document.warnings].slice(0, MOST_PROBLEMS);
    if (faults.length === 0) return document;
    // The library's own words may repeat the text, which holds hashes.
    const problems = faults.map(({ code, pos }) => ({
      ...placeOf(counter, pos[0]),
      message:
        code === "DUPLICATE_KEY"
          ? "this key is here twice"
          : `not YAML (${code.toLowerCase().replaceAll("_", " ")})`,
    }));
    throw new UsersError(file, problems);
  } catch (cause) {
    if (cause instanceof UsersError) throw cause;
    // Nesting too deep for the stack.
    throw new UsersError(file, [{ line: 1, column: 1, message: "not YAML" }]);
  }
}

function placeOf(counter: LineCounter, offset: number): { readonly line: number; readonly column: number } {
  const { line, col } = counter.linePos(offset);
  return { line: Math.max(1, line), column: Math.max(1, col) };
}

/** From nodes to users; what does not fit becomes a problem with a place. */
class UserReader {
  readonly users: User[] = [];
  readonly problems: UsersProblem[] = [];
  readonly #counter: LineCounter;
  readonly #names = new Set<string>();

  constructor(counter: LineCounter) {
    this.#counter = counter;
  }

  read(document: ReturnType<typeof parseDocument>): void {
    const root = document.contents;
    if (root === null || isEmpty(root)) return;
    if (!isMap(root)) {
      this.#problem(root, 'the file begins with "users:"');
      return;
    }
    for (const { key, value } of root.items) {
      if (textOf(key) !== "users") this.#problem(key, `unknown key ${shown(key)}; here stands "users"`);
      else if (isMap(value)) for (const user of value.items) this.#readUser(user);
      else if (!isEmpty(value)) this.#problem(value, "users are entries with a name each");
    }
  }

  #readUser({ key, value }: Pair): void {
    const name = textOf(key) ?? "";
    const fault = this.#faultOf(name);
    if (fault !== undefined) {
      this.#problem(key, fault);
      return;
    }
    this.#names.add(foldName(name));
    if (!isMap(value)) {
      this.#problem(isAlias(value) ? value : key, `${shown(key)} needs an nthash`);
      return;
    }

    const before = this.problems.length;
    const fields = new Map<string, unknown>();
    for (const field of value.items) {
      const fieldName = textOf(field.key) ?? "";
      if (KEYS.includes(fieldName)) fields.set(fieldName, field.value);
      else this.#problem(field.key, unknownField(fieldName));
    }
    const ntHash = this.#hash(fields.get("nthash"), key);
    const isDisabled = this.#flag(fields.get("disabled"));
    const devices = this.#devices(fields.get("devices"));
    const expires = this.#date(fields.get("expires"));
    if (ntHash === undefined || this.problems.length > before) return;
    this.users.push({ name, ntHash, isDisabled, devices, expires });
  }

  #faultOf(name: string): string | undefined {
    const isKnown = this.#names.has(foldName(name));
    return isKnown ? `${JSON.stringify(name)} is here twice: case does not matter` : faultOfName(name);
  }

  #hash(node: unknown, key: unknown): Uint8Array | undefined {
    if (node === undefined) this.#problem(key, `${shown(key)} needs an nthash`);
    else if (/^[0-9a-fA-F]{32}$/.test(textOf(node) ?? "")) return fromHex(textOf(node)!);
    else this.#problem(node, "an nthash is 32 hex digits; ikebana users passwd writes it");
    return undefined;
  }

  #flag(node: unknown): boolean {
    const text = node === undefined ? "false" : textOf(node);
    if (text !== "true" && text !== "false") this.#problem(node, "disabled is true or false");
    return text === "true";
  }

  #devices(node: unknown): number | undefined {
    if (node === undefined) return undefined;
    const text = textOf(node) ?? "";
    if (/^[1-9]\d{0,3}$/.test(text) && Number(text) <= MOST_DEVICES) return Number(text);
    this.#problem(node, `devices is a number from 1 to ${MOST_DEVICES}`);
    return undefined;
  }

  #date(node: unknown): string | undefined {
    if (node === undefined) return undefined;
    const text = textOf(node) ?? "";
    if (endOfDay(text) !== undefined) return text;
    this.#problem(node, "expires is a day such as 2027-01-31");
    return undefined;
  }

  #problem(node: unknown, message: string): void {
    if (this.problems.length >= MOST_PROBLEMS) return;
    const offset = (node as { range?: readonly number[] | null } | null)?.range?.[0] ?? 0;
    const told = isAlias(node) ? "aliases are not read here" : message;
    this.problems.push({ ...placeOf(this.#counter, offset), message: told });
  }
}

function unknownField(name: string): string {
  if (/^pass(word|wd|phrase)?$|^secret$/i.test(name)) {
    return "clear passwords are not kept here; ikebana users passwd writes their hash";
  }
  return `unknown key ${JSON.stringify(name.slice(0, 40))}; a user has ${KEYS.join(", ")}`;
}

function setOrDelete(map: YAMLMap, key: string, value: string | undefined): void {
  if (value === undefined) map.delete(key);
  else if (textOf(map.get(key, true)) !== value) map.set(key, value);
}

function isEmpty(node: unknown): boolean {
  return node === null || (isScalar(node) && (node.value === null || node.value === ""));
}

function textOf(node: unknown): string | undefined {
  const value = isScalar(node) ? node.value : node;
  return typeof value === "string" ? value : undefined;
}

function shown(node: unknown): string {
  return JSON.stringify((textOf(node) ?? "").slice(0, 40));
}
