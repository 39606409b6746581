import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { PlatformError } from "../errors/index.ts";
import { writeWhole } from "./files.ts";

/** Only where systemd runs. */
const RUNTIME_FOLDER = "/run/systemd/system";
const UNIT_MODE = 0o644;

/** A unit that starts with a target. */
export interface Unit {
  readonly folder: string;
  /** "ikebana.service" */
  readonly name: string;
  /** "multi-user.target" */
  readonly wantedBy: string;
}

/** One word of a command line in a unit: systemd.syntax(7) takes `%` and `$` for its own. */
export function systemdWord(word: string): string {
  const escaped = word
    .replaceAll("\\", "\\\\")
    .replaceAll('"', '\\"')
    .replaceAll("%", "%%")
    .replaceAll("$", () => "$$");
  return /^[\w@+=:,./-]+$/.test(word) ? escaped : `"${escaped}"`;
}

/** Writes the unit and enables it, as `systemctl enable` does. Throws PlatformError. */
export function installUnit(unit: Unit, text: string): void {
  writeWhole(fileOf(unit), text, UNIT_MODE);
  const link = linkOf(unit);
  try {
    mkdirSync(join(link, ".."), { recursive: true, mode: 0o755 });
    rmSync(link, { force: true });
    symlinkSync(join("..", unit.name), link);
  } catch (cause) {
    throw refusal(`cannot make ${link}`, cause);
  }
  tellSystemd("daemon-reload");
}

/** False where there was none. Throws PlatformError. */
export function removeUnit(unit: Unit): boolean {
  const wasThere = existsSync(fileOf(unit));
  for (const path of [linkOf(unit), fileOf(unit)]) removeFile(path);
  return wasThere;
}

/** Whether the target brings it up. */
export function isEnabled(unit: Unit): boolean {
  return existsSync(linkOf(unit));
}

/** Runs systemctl where systemd runs; elsewhere it finds the files when it starts. False when it did not do what it was told. */
export function tellSystemd(...words: readonly string[]): boolean {
  if (!existsSync(RUNTIME_FOLDER)) return false;
  try {
    execFileSync("systemctl", words, { stdio: "ignore", timeout: 10_000 });
    return true;
  } catch {
    return false;
  }
}

/** Throws PlatformError. */
export function removeFile(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch (cause) {
    throw refusal(`cannot remove ${path}`, cause);
  }
}

function fileOf({ folder, name }: Unit): string {
  return join(folder, name);
}

function linkOf({ folder, name, wantedBy }: Unit): string {
  return join(folder, `${wantedBy}.wants`, name);
}

function refusal(what: string, cause: unknown): PlatformError {
  const { code = "EIO", message } = cause as NodeJS.ErrnoException;
  return new PlatformError(`${what}: ${message}`, { code, cause });
}
