import { writeSync } from "node:fs";
import { createLinuxSystemCalls } from "../../../src/platform/system-calls/linux-system-calls.ts";
import { Commands, STDIN } from "../commands.ts";
import type { Faults } from "../faults.ts";
import { type Line, Relay } from "./relay.ts";

// The relay as a process of its own, so that nothing that a test does holds packets up. It runs in the network of the left leg.
// Its one argument is JSON; commands are lines of JSON on standard input, and each is answered by a line.

export interface RelayArgument {
  readonly lines: readonly Line[];
  /** A process in the network of the right leg. */
  readonly rightLeg: number;
}

export type RelayCommand =
  | { readonly kind: "impair"; readonly seed: number; readonly there: Faults; readonly back: Faults }
  | { readonly kind: "rebind" }
  | { readonly kind: "counts" };

const argument: RelayArgument = JSON.parse(process.argv[2]!);
const relay = new Relay({ ...argument, descriptors: [STDIN] });
const commands = new Commands(createLinuxSystemCalls());
writeSync(1, "ready\n");
while (!commands.isOver) {
  relay.round();
  for (let line = commands.next(); line !== undefined; line = commands.next()) {
    const command: RelayCommand = JSON.parse(line);
    if (command.kind === "impair") relay.impair(command.seed, command);
    if (command.kind === "rebind") relay.rebind();
    writeSync(1, `${JSON.stringify(relay.counts())}\n`);
  }
}
