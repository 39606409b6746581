import { type Command, Option } from "commander";
import { DEFAULT_STATE_DIRECTORY } from "../config/defaults.ts";
import type { ConnectFlags } from "./connect.ts";
import type { StartEngine } from "./daemon.ts";
import { examples, socketOption } from "./options.ts";
import type { Terminal } from "./terminal.ts";

export function addConnect(
  program: Command,
  {
    startEngine,
    terminal,
    done,
  }: {
    readonly startEngine: StartEngine;
    readonly terminal: Terminal;
    readonly done: (code: number) => void;
  },
): void {
  program
    .command("connect")
    .argument("<host>", "a gateway's domain name")
    .description("log in at a gateway with name and password, in the foreground; no configuration file")
    .requiredOption("--user <name>", "who logs in")
    .option("--password-stdin", "read the password from the standard input instead of asking for it")
    .option("--ca <file>", "trust this CA (PEM) instead of those that the web trusts")
    .option("--network <prefix...>", "only these networks through the tunnel; left out: everything")
    .addOption(
      new Option("--state <folder>", "for what the next start must clean up").default(
        DEFAULT_STATE_DIRECTORY,
      ),
    )
    .addOption(socketOption("where to listen for commands: "))
    .addHelpText(
      "after",
      examples(
        "sudo ikebana connect vpn.example.org --user anna",
        "sudo ikebana connect vpn.example.org --user anna --network 10.1.0.0/16",
      ),
    )
    .action(async (host: string, flags: ConnectFlags) => {
      const { runConnect } = await import("./connect.ts");
      done(await runConnect({ host, flags, terminal, startEngine }));
    });
}
