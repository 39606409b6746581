import * as v from "valibot";
import { PolicyError } from "../errors/index.ts";
import { nearest } from "../policy/nearest.ts";

/**
 * A mapping with exactly these keys. Everything wrong inside is collected. `later` are keys that DESIGN reserves: they are refused
 * as such, so that nobody looks for a misspelling.
 */
export function mapping<const Entries extends v.ObjectEntries>(
  entries: Entries,
  later: readonly string[] = [],
) {
  return v.pipe(
    v.custom<Readonly<Record<string, unknown>>>(
      isMapping,
      (issue) => `expected keys and values, found ${describe(issue.input)}`,
    ),
    v.looseObject(entries, (issue) => `the key ${issue.expected} is missing`),
    v.rawCheck(({ dataset, addIssue }) => {
      const input = dataset.value as Record<string, unknown>;
      const unknown = Object.keys(input).filter((key) => !Object.hasOwn(entries, key));
      for (const key of unknown.slice(0, MOST_UNKNOWN_KEYS)) {
        const message = later.includes(key)
          ? `"${key}" is not in this version`
          : unknownKey(key, [...Object.keys(entries), ...later]);
        addIssue({ message, path: [{ type: "object", origin: "key", input, key, value: input[key] }] });
      }
    }),
  );
}

/** A mapping whose keys are names that the user chose. */
export function named<Schema extends v.GenericSchema>(what: string, schema: Schema) {
  const name = v.pipe(
    v.string(),
    v.regex(
      NAME,
      `a ${what}'s name is letters, digits, ".", "_" and "-", at most 63 and a letter or digit first`,
    ),
  );
  return v.pipe(
    v.custom<Readonly<Record<string, unknown>>>(
      isMapping,
      (issue) => `expected ${what}s by name, found ${describe(issue.input)}`,
    ),
    v.record(name, schema),
    v.check((input) => Object.keys(input).length > 0, `there is no ${what} here`),
  );
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

/** One item or a list of them; a list must not be empty. */
export function oneOrMore<Schema extends v.GenericSchema>(schema: Schema) {
  const list = v.pipe(v.array(schema), v.minLength(1, "the list is empty"));
  const one = v.pipe(
    schema,
    v.transform((item): v.InferOutput<Schema>[] => [item]),
  );
  return v.lazy((input) => (Array.isArray(input) ? list : one));
}

/** Text that the function turns into a value; its PolicyError becomes the problem. */
export function text<Value>(parse: (text: string) => Value) {
  return v.pipe(plainText, transformed(parse));
}

function transformed<Input, Value>(parse: (input: Input) => Value) {
  return v.rawTransform<Input, Value>(({ dataset, addIssue, NEVER }) => {
    try {
      return parse(dataset.value);
    } catch (error) {
      if (!(error instanceof PolicyError)) throw error;
      addIssue({ message: error.message });
      return NEVER;
    }
  });
}

/** Enough to see that this is no configuration of ours. */
const MOST_UNKNOWN_KEYS = 20;

/** No value of ours is longer; what looks for near misses takes its time with long ones. */
const LONGEST_TEXT = 1024;

const plainText = v.pipe(
  v.string((issue) => `expected text, found ${describe(issue.input)}`),
  v.maxLength(LONGEST_TEXT, `a text here has at most ${LONGEST_TEXT} characters`),
);

/** Text, or a number that was meant as one: sizes and the like. */
export function textOrNumber<Value>(parse: (text: string) => Value) {
  return v.pipe(
    v.custom<string | number>(
      (input) => typeof input === "string" || typeof input === "number",
      (issue) => `expected a number or text, found ${describe(issue.input)}`,
    ),
    transformed((input: string | number) => parse(String(input))),
  );
}

export function integer(range: { readonly from: number; readonly to: number }) {
  const message = (issue: { readonly input: unknown }) =>
    `expected a whole number from ${range.from} to ${range.to}, found ${describe(issue.input)}`;
  return v.pipe(
    v.number(message),
    v.integer(message),
    v.minValue(range.from, message),
    v.maxValue(range.to, message),
  );
}

export function oneOf<const Options extends readonly string[]>(options: Options) {
  return v.picklist(options, (issue) => {
    const isText = typeof issue.input === "string";
    const found = isText ? `"${String(issue.input).slice(0, 64)}"` : describe(issue.input);
    const suggestion = isText ? nearest(String(issue.input).slice(0, LONGEST_TEXT), options) : undefined;
    const hint = suggestion === undefined ? "" : `; did you mean "${suggestion}"?`;
    return `expected ${options.slice(0, -1).join(", ")} or ${options.at(-1)}, found ${found}${hint}`;
  });
}

function unknownKey(key: string, known: readonly string[]): string {
  const suggestion = nearest(key.slice(0, LONGEST_TEXT), known);
  const hint = suggestion === undefined ? `known are ${known.join(", ")}` : `did you mean "${suggestion}"?`;
  return `unknown key "${key.slice(0, 64)}"; ${hint}`;
}

export function isMapping(input: unknown): boolean {
  return typeof input === "object" && input !== null && !Array.isArray(input);
}

/** What was found, without its content where that could be long or secret. */
function describe(input: unknown): string {
  if (input === null || input === undefined) return "nothing";
  if (Array.isArray(input)) return "a list";
  if (typeof input === "object") return "keys and values";
  if (typeof input === "string") return `text`;
  return String(input);
}

/** Never shows what it found. */
export const plainSecret = v.string(
  "expected text or { file: ... }; a key that looks like a number goes in quotes",
);

/** A secret as text, here or in a file. */
export const password = v.lazy((input) => (isMapping(input) ? mapping({ file: plainSecret }) : plainSecret));
