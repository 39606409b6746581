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
    .description(
      "log in at a gateway with name and password or with a certificate, in the foreground; no configuration file",
    )
    .option("--user <name>", "who logs in; left out with --certificate: whom that is of")
    .option(
      "--certificate <file>",
      "log in with this certificate (PEM, with its chain) instead of a password",
    )
    .option("--key <file>", "PEM, the certificate's key")
    .option("--passphrase <file>", "whose first line opens the key, where it is encrypted")
    .option("--eap-only", "with --certificate: let the login alone show who the gateway is (RFC 5998)")
    .option("--password-stdin", "read the password from the standard input instead of asking for it")
    .option("--ca <file>", "trust this CA (PEM) instead of those that the web trusts")
    .option("--network <prefix...>", "only these networks through the tunnel; left out: everything")
    .option("--no-keep-ssh", "let the tunnel cut the SSH session that this is typed in")
    .option("--yes", "do not ask before cutting it")
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
        "sudo ikebana connect vpn.example.org --certificate anna.pem --key anna.key",
      ),
    )
    .action(async (host: string, flags: ConnectFlags) => {
      const { runConnect } = await import("./connect.ts");
      done(await runConnect({ host, flags, terminal, startEngine }));
    });
}
