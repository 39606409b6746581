// Builds dist/: the TypeScript sources as JavaScript, and the kernel as WebAssembly.
// With --if-stale it returns at once when nothing is newer than the last build.

import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const stamp = join(root, "dist", ".built");
const inputs = [
  "src",
  "assembly",
  "bench/micro",
  "test/guest/stream-process.ts",
  "test/support/crowd",
  "test/support/integrity/tcp-stream.ts",
  "test/support/relay",
  "test/support/remote-access/process.ts",
  "test/support/stream",
  "test/support/commands.ts",
  "test/support/faults.ts",
  "test/support/udp-drops.ts",
  "scripts/build.mjs",
  "tsconfig.json",
  "tsconfig.build.json",
  "package-lock.json",
];

if (process.argv.includes("--if-stale") && isFresh()) process.exit(0);

const require = createRequire(import.meta.url);
rmSync(join(root, "dist"), { recursive: true, force: true });
mkdirSync(join(root, "dist"), { recursive: true });
run("TypeScript", packageBin("typescript", "tsc"), ["--project", "tsconfig.build.json"]);
run("WebAssembly kernel", packageBin("assemblyscript", "asc"), [
  "assembly/index.ts",
  "--outFile",
  "dist/kernel.wasm",
  "-O3",
  "--noAssert",
  "--runtime",
  "stub",
  "--importMemory",
  "--sharedMemory",
  "--noExportMemory",
  "--initialMemory",
  "16",
  "--maximumMemory",
  "32768",
  // AS112 warns of v128 in any exported signature; only assembly/index.ts faces the host.
  "--disableWarning",
  "112",
  "--enable",
  "simd",
  "--enable",
  "threads",
]);
writeFileSync(stamp, "");

/** A build is fresh when its stamp is younger than every file that goes into it. */
function isFresh() {
  const built = statSync(stamp, { throwIfNoEntry: false })?.mtimeMs;
  return built !== undefined && inputs.every((input) => youngest(join(root, input)) <= built);
}

function youngest(path) {
  const status = statSync(path, { throwIfNoEntry: false });
  if (status === undefined) return 0;
  if (!status.isDirectory()) return status.mtimeMs;
  const below = readdirSync(path).map((name) => youngest(join(path, name)));
  return Math.max(status.mtimeMs, ...below);
}

function packageBin(name, bin) {
  const manifest = require.resolve(`${name}/package.json`);
  const declared = require(manifest).bin;
  return join(dirname(manifest), typeof declared === "string" ? declared : declared[bin]);
}

function run(what, script, args) {
  const { status } = spawnSync(process.execPath, [script, ...args], { cwd: root, stdio: "inherit" });
  if (status !== 0) {
    console.error(`build: ${what} failed`);
    process.exit(status ?? 1);
  }
}
