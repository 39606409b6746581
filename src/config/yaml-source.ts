import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  visit,
} from "yaml";
import { excerpt } from "./excerpt.ts";
import type { Problem } from "./problem.ts";

/** Names that an object of JavaScript has already; a key of that name would be lost on the way. */
const UNUSABLE_KEYS = ["__proto__", "constructor", "prototype"];

/** How often aliases may repeat an anchor's content in one file. */
const MAX_ALIAS_COUNT = 100;

export type ConfigPath = readonly (string | number)[];

/** The text of a configuration file as YAML 1.2, which can tell where each value stands. */
export class YamlSource {
  /** The file as plain values; undefined when it is not YAML. */
  readonly value: unknown;
  /** What keeps the text from being YAML. */
  readonly problems: readonly Problem[];
  readonly #lines: readonly string[];
  readonly #counter = new LineCounter();
  readonly #document: ReturnType<typeof parseDocument> | undefined;

  constructor(text: string) {
    this.#lines = text.split(/\r\n|\r|\n/);
    try {
      this.#document = parseDocument(text, {
        lineCounter: this.#counter,
        prettyErrors: false,
        schema: "core",
        stringKeys: true,
        uniqueKeys: true,
      });
      const problems = this.#syntaxProblems(this.#document);
      this.value =
        problems.length === 0 ? this.#document.toJS({ maxAliasCount: MAX_ALIAS_COUNT }) : undefined;
      this.problems = problems;
    } catch (cause) {
      // Nesting too deep for the stack, aliases that multiply.
      this.value = undefined;
      this.problems = [this.#problem(0, 0, reasonOf(cause))];
    }
  }

  /** A problem with the value at the path, or with its key. Where there is no such entry, with the nearest one that encloses it. */
  problemAt(
    path: ConfigPath,
    { at, message }: { readonly at: "key" | "value"; readonly message: string },
  ): Problem {
    const [start, end] = this.#range(path, at);
    return this.#problem(start, end, message);
  }

  #problem(start: number, end: number, message: string): Problem {
    const { line, col } = this.#counter.linePos(start);
    const place = { line: Math.max(1, line), column: Math.max(1, col) };
    return { ...place, message, excerpt: excerpt({ lines: this.#lines, ...place, length: end - start }) };
  }

  #syntaxProblems(document: ReturnType<typeof parseDocument>): Problem[] {
    const faults = [...document.errors, ...document.warnings].slice(0, 20);
    const problems = faults.map((fault) => this.#problem(fault.pos[0], fault.pos[1], syntaxMessage(fault)));
    if (problems.length > 0) return problems;
    visit(document, {
      Pair: (_, pair) => {
        const { key } = pair;
        if (!isScalar(key)) return;
        if (!UNUSABLE_KEYS.includes(String(key.value))) return;
        const [start, end] = rangeOf(key) ?? [0, 0];
        problems.push(this.#problem(start, end, `"${key.value}" cannot be a key`));
      },
      Alias: (_, alias) => {
        if (alias.resolve(document) !== undefined) return;
        const [start, end] = rangeOf(alias) ?? [0, 0];
        problems.push(
          this.#problem(
            start,
            end,
            "not YAML: this alias has no anchor; put text that begins with * in quotes",
          ),
        );
      },
    });
    return problems;
  }

  #range(path: ConfigPath, at: "key" | "value"): readonly [number, number] {
    let found: readonly [number, number] = [0, 0];
    let node: unknown = this.#document?.contents;
    for (const [depth, step] of path.entries()) {
      const entry = entryOf(this.#resolved(node), step);
      if (entry === undefined) return found;
      const wantsKey = at === "key" || depth < path.length - 1;
      found = (wantsKey ? entry.key : (entry.value ?? entry.key)) ?? entry.value ?? found;
      node = entry.node;
    }
    return found;
  }

  #resolved(node: unknown): unknown {
    return isAlias(node) && this.#document !== undefined ? node.resolve(this.#document) : node;
  }
}

interface Entry {
  readonly key: readonly [number, number] | undefined;
  readonly value: readonly [number, number] | undefined;
  readonly node: unknown;
}

function entryOf(node: unknown, step: string | number): Entry | undefined {
  if (isSeq(node)) {
    const item = node.items[Number(step)];
    return item === undefined ? undefined : { key: undefined, value: rangeOf(item), node: item };
  }
  if (!isMap(node)) return undefined;
  const pair = node.items.find(
    (candidate: Pair) => isScalar(candidate.key) && String(candidate.key.value) === String(step),
  );
  return pair === undefined
    ? undefined
    : { key: rangeOf(pair.key), value: rangeOf(pair.value), node: pair.value };
}

/** First and last offset of a node, or undefined for one that takes no room. */
function rangeOf(node: unknown): readonly [number, number] | undefined {
  const range = (node as Node | null)?.range;
  if (range === undefined || range === null || range[1] <= range[0]) return undefined;
  return [range[0], range[1]];
}

/** Our own words: the library's can repeat the text, which may be a secret. */
function syntaxMessage({ code, message }: { readonly code: string; readonly message: string }): string {
  switch (code) {
    case "DUPLICATE_KEY":
      return "this key is here twice";
    case "TAB_AS_INDENT":
      return "not YAML: indentation is a tab; use spaces";
    case "BAD_INDENT":
      return message.startsWith("Flow")
        ? "not YAML: a bracket is not closed, or what is in it is not indented enough"
        : "not YAML: the indentation does not fit the lines around it";
    case "MULTIPLE_DOCS":
      return "the file holds more than one document (---)";
    case "BAD_SCALAR_START":
      return "not YAML: a value cannot begin with this character; put it in quotes";
    case "MISSING_CHAR":
      return /quote/i.test(message)
        ? "not YAML: a quote is missing"
        : "not YAML: a bracket, comma, colon or space is missing here";
    case "NON_STRING_KEY":
      return "a key must be plain text";
    case "TAG_RESOLVE_FAILED":
      return "not YAML we know: put a value that begins with ! in quotes";
    case "BLOCK_AS_IMPLICIT_KEY":
    case "MULTILINE_IMPLICIT_KEY":
      return "not YAML: a key and its value must stand on one line; is a colon or an indentation missing?";
    case "RESOURCE_EXHAUSTION":
      return "nested too deeply";
    default:
      return `not YAML (${code.toLowerCase().replaceAll("_", " ")})`;
  }
}

function reasonOf(cause: unknown): string {
  if (cause instanceof RangeError) return "nested too deeply";
  if (cause instanceof ReferenceError) return "aliases repeat too much";
  return "not YAML";
}
