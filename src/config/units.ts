import { PolicyError } from "../errors/index.ts";
import { nearest } from "../policy/nearest.ts";

const DURATION_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

const SIZE_UNITS: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1000,
  KB: 1000,
  MB: 1_000_000,
  GB: 1_000_000_000,
  TB: 1_000_000_000_000,
  KiB: 1024,
  MiB: 1_048_576,
  GiB: 1_073_741_824,
  TiB: 1_099_511_627_776,
};

const LONGEST_QUANTITY = 40;
/** Numbers with units; the last may stand alone. */
const QUANTITY = /^(?:\d+(?:\.\d+)?\s*[A-Za-z]+\s*)*(?:\d+(?:\.\d+)?)?$/;

/** Reads "1h", "90s", "1h30m", "250ms" as milliseconds. A number without a unit is refused, except 0. Throws PolicyError. */
export function parseDuration(text: string): number {
  return parseQuantity(text, {
    what: "duration",
    example: "90s or 1h30m",
    units: DURATION_UNITS,
    bare: undefined,
  });
}

/** Reads "10GB", "64KiB", "1400" as octets. Throws PolicyError. */
export function parseSize(text: string): number {
  return parseQuantity(text, { what: "size", example: "10GB or 64KiB", units: SIZE_UNITS, bare: "B" });
}

interface Quantity {
  readonly what: string;
  readonly example: string;
  readonly units: Readonly<Record<string, number>>;
  /** The unit of a number that has none, or undefined when it must have one. */
  readonly bare: string | undefined;
}

function parseQuantity(text: string, quantity: Quantity): number {
  const compact = text.trim().replaceAll("_", "");
  if (compact === "0") return 0;
  if (compact === "") throw notA(text, quantity);
  if (compact.length > LONGEST_QUANTITY || !QUANTITY.test(compact)) throw notA(text, quantity);
  const parts = [...compact.matchAll(/(\d+(?:\.\d+)?)\s*([A-Za-z]*)/g)];
  const total = parts.reduce(
    (sum, [, number, unit]) => sum + Number(number) * factorOf(unit ?? "", text, quantity),
    0,
  );
  if (!Number.isSafeInteger(total)) throw notA(text, quantity);
  return total;
}

function factorOf(unit: string, text: string, { what, example, units, bare }: Quantity): number {
  const name = unit === "" ? bare : unit;
  if (name === undefined) throw new PolicyError(`${what} "${text}" has no unit; write it like ${example}`);
  if (Object.hasOwn(units, name)) return units[name]!;
  const suggestion = nearest(name, Object.keys(units));
  const hint =
    suggestion === undefined ? `units are ${Object.keys(units).join(", ")}` : `did you mean "${suggestion}"?`;
  throw new PolicyError(`unknown unit "${name}" in ${what} "${text}"; ${hint}`);
}

function notA(text: string, { what, example }: Quantity): PolicyError {
  return new PolicyError(`"${text}" is not a ${what}; write it like ${example}`);
}
