import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GUEST_DIRECTORY, type GuestOutcome, type GuestRun } from "../bench/guest/console.ts";
import type { GuestKind } from "../bench/guest/kinds.ts";
import { runInQemu } from "../bench/guest/qemu.ts";
import { runInUml } from "../bench/guest/uml.ts";
import { describeMachine } from "../bench/machine.ts";
import { readTunnelRecord, type TunnelRecord } from "../bench/tunnel/record.ts";
import { PlatformError } from "../errors/index.ts";
import { commandOf, thisProgram } from "./measuring.ts";

/** Options that are about what becomes of the record, which is our affair and not the guest's. */
const OURS: readonly string[] = ["--guest", "--guest-kernel", "--json", "--html", "--compare"];
const RECORD = "record.json";

const GUESTS: Readonly<Record<GuestKind, (run: GuestRun) => Promise<GuestOutcome>>> = {
  uml: runInUml,
  qemu: runInQemu,
};

/**
 * Runs the same command line inside a guest with a kernel of its own, and names the ground in the record. `signal` breaks it off: what was measured
 * until then is in the record. Throws PlatformError when the guest does not boot, or leaves no record.
 */
export async function benchInGuest({
  kind,
  kernelFolder,
  words,
  signal,
  onLine,
}: {
  readonly kind: GuestKind;
  /** Of a kernel that is unpacked and not installed. */
  readonly kernelFolder?: string | undefined;
  /** The command line. */
  readonly words: readonly string[];
  readonly signal: AbortSignal;
  /** Called with each line of progress. */
  readonly onLine: (line: string) => void;
}): Promise<TunnelRecord> {
  const host = describeMachine();
  const directory = mkdtempSync(join(tmpdir(), "ikebana-guest-"));
  try {
    const results = [RECORD, "report.html"].map((name) => `${GUEST_DIRECTORY}/${name}`);
    const command = [...thisProgram(), ...wordsInside(words), "--json", results[0]!, "--html", results[1]!];
    const { code, kernel, distorts } = await GUESTS[kind]({
      command,
      directory,
      ...(kernelFolder !== undefined && { kernelFolder }),
      // Where the guest has left them concerns nobody.
      onLine: (line) => {
        if (!line.startsWith(GUEST_DIRECTORY)) onLine(line);
      },
      signal,
    });
    const file = join(directory, RECORD);
    if (!existsSync(file))
      throw new PlatformError(`the run in the guest ended with ${code} and left no record`);
    return { ...readTunnelRecord(file), command: commandOf(words), guest: { kernel, host, distorts } };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function wordsInside(words: readonly string[]): readonly string[] {
  return words.filter(
    (word, index) => !OURS.includes(word.split("=", 1)[0]!) && !OURS.includes(words[index - 1] ?? ""),
  );
}
