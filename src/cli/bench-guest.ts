import { existsSync } from "node:fs";
import { join } from "node:path";
import { GUEST_DIRECTORY, makeGuestPlace, runInUml, UML_DISTORTS } from "../bench/guest/uml.ts";
import { describeMachine } from "../bench/machine.ts";
import { readTunnelRecord, type TunnelRecord } from "../bench/tunnel/record.ts";
import { PlatformError } from "../errors/index.ts";
import { commandOf, thisProgram } from "./bench.ts";

/** Options that are about what becomes of the record, which is our affair and not the guest's. */
const OURS: readonly string[] = ["--guest", "--json", "--html", "--compare"];
const RECORD = "record.json";

/**
 * Runs the same command line inside a guest with a kernel of its own, and names the ground in the record. `signal` breaks it off: what was measured
 * until then is in the record. Throws PlatformError when the guest does not boot, or leaves no record.
 */
export async function benchInGuest({
  words,
  signal,
  onLine,
}: {
  /** The command line. */
  readonly words: readonly string[];
  readonly signal: AbortSignal;
  /** Called with each line of progress. */
  readonly onLine: (line: string) => void;
}): Promise<TunnelRecord> {
  const host = describeMachine();
  const place = makeGuestPlace();
  try {
    const results = [RECORD, "report.html"].map((name) => `${GUEST_DIRECTORY}/${name}`);
    const command = [...thisProgram(), ...wordsInside(words), "--json", results[0]!, "--html", results[1]!];
    const code = await runInUml({ command, place, onLine, signal });
    const file = join(place.directory, RECORD);
    if (!existsSync(file))
      throw new PlatformError(`the run in the guest ended with ${code} and left no record`);
    const guest = { kernel: "a user-mode Linux", host, distorts: UML_DISTORTS };
    return { ...readTunnelRecord(file), command: commandOf(words), guest };
  } finally {
    place.remove();
  }
}

function wordsInside(words: readonly string[]): readonly string[] {
  return words.filter(
    (word, index) => !OURS.includes(word.split("=", 1)[0]!) && !OURS.includes(words[index - 1] ?? ""),
  );
}
