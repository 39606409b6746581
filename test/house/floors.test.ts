import { readdirSync, readFileSync } from "node:fs";
import { dirname, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

/**
 * The house: a room imports from itself and from lower floors. Rooms of one floor meet only where that is said: on the
 * ground floor, and at the top, where the command line reads the configuration and the public door opens onto everything.
 */
const FLOORS: readonly { readonly rooms: readonly string[]; readonly mayMeet?: true }[] = [
  { rooms: ["errors", "iana", "bytes"], mayMeet: true },
  { rooms: ["wire"] },
  { rooms: ["crypto"] },
  { rooms: ["eap", "pki", "users"] },
  { rooms: ["auth", "platform", "policy", "pool", "radius"] },
  { rooms: ["ike", "esp"] },
  { rooms: ["engine"] },
  { rooms: ["bench"] },
  {
    rooms: [
      "config",
      "control",
      "log",
      "profile",
      "checks",
      "setup",
      "killswitch",
      "cli",
      "demo",
      "index.ts",
    ],
    mayMeet: true,
  },
];

/** What lies outside of src/ and may still be imported: the memory layout, which the kernel reads too. */
const OUTSIDE: readonly string[] = ["../assembly/layout.ts"];

test("no import in src/ climbs to a higher floor or to a neighbour", () => {
  const climbs: string[] = [];
  for (const file of sourceFiles()) {
    const imports = importsOf(readFileSync(resolve(SOURCE, file), "utf8"));
    for (const specifier of imports) {
      const imported = relative(SOURCE, resolve(SOURCE, dirname(file), specifier));
      if (!isAllowed(file, imported)) climbs.push(`${file} imports ${imported}`);
    }
  }
  expect(climbs).toEqual([]);
});

test("every file of src/ lives in a room of the house", () => {
  const homeless = sourceFiles().filter((file) => floorOf(file) === undefined);
  expect(sourceFiles().length).toBeGreaterThan(20);
  expect(homeless).toEqual([]);
});

test("climbing is noticed", () => {
  expect(isAllowed("wire/message.ts", "bytes/reader.ts")).toBe(true);
  expect(isAllowed("wire/message.ts", "wire/header.ts")).toBe(true);
  expect(isAllowed("bytes/reader.ts", "errors/index.ts")).toBe(true);
  expect(isAllowed("esp/kernel.ts", "../assembly/layout.ts")).toBe(true);
  expect(isAllowed("wire/message.ts", "crypto/jobs.ts")).toBe(false);
  expect(isAllowed("ike/io.ts", "esp/kernel.ts")).toBe(false);
  expect(isAllowed("auth/psk.ts", "platform/random.ts")).toBe(false);
  expect(isAllowed("pki/sign-auth.ts", "policy/identity.ts")).toBe(false);
  expect(isAllowed("cli/main.ts", "config/load.ts")).toBe(true);
  expect(isAllowed("engine/engine.ts", "config/load.ts")).toBe(false);
  expect(isAllowed("wire/message.ts", "../assembly/index.ts")).toBe(false);
  expect(isAllowed("wire/message.ts", "somewhere/else.ts")).toBe(false);
});

test("every form of import is seen", () => {
  const text = [
    'import { a } from "./a.ts";',
    "import type {\n  B,\n} from './b.ts';",
    'export * from "./c.ts";',
    'export { d, type D } from "./d.ts";',
    'import "./e.ts";',
    'const f = await import("./f.ts");',
    'const g = new URL("./g.ts", import.meta.url);',
    'type H = import("./h.ts").H;',
    'import fs from "node:fs";',
    'readFileSync(new URL("../../kernel.wasm", import.meta.url));',
  ].join("\n");
  expect(importsOf(text)).toEqual([
    "./a.ts",
    "./b.ts",
    "./c.ts",
    "./d.ts",
    "./e.ts",
    "./f.ts",
    "./g.ts",
    "./h.ts",
  ]);
});

function isAllowed(file: string, imported: string): boolean {
  if (imported.startsWith("..")) return OUTSIDE.includes(imported);
  if (roomOf(file) === roomOf(imported)) return true;
  const own = floorOf(file);
  const other = floorOf(imported);
  if (own === undefined || other === undefined) return false;
  return other < own || (other === own && FLOORS[own]?.mayMeet === true);
}

function floorOf(file: string): number | undefined {
  const floor = FLOORS.findIndex(({ rooms }) => rooms.includes(roomOf(file)));
  return floor < 0 ? undefined : floor;
}

function roomOf(file: string): string {
  return file.split("/", 1)[0]!;
}

/** Relative specifiers of static and dynamic imports, re-exports, and URLs that name a module beside this one. */
function importsOf(text: string): string[] {
  const pattern = /(?:\bfrom\s*|\bimport\s*\(?\s*|\bnew URL\(\s*)(["'])(\.{1,2}\/[^"']*)\1/g;
  const specifiers = Array.from(text.matchAll(pattern), (match) => match[2]!);
  return specifiers.filter((specifier) => /\.[jt]s$/.test(specifier));
}

function sourceFiles(): string[] {
  return readdirSync(SOURCE, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => file.replaceAll("\\", "/"))
    .sort();
}

const SOURCE = fileURLToPath(new URL("../../src/", import.meta.url)).replace(/\/$/, "");
