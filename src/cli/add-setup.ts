import { type Command, Option } from "commander";
import { configOption, examples, socketOption, unitsOption } from "./options.ts";
import type { SetupFlags } from "./setup.ts";
import type { Terminal } from "./terminal.ts";

export function addSetup(
  program: Command,
  { terminal, done }: { readonly terminal: Terminal; readonly done: (code: number) => void },
): void {
  program
    .command("setup")
    .description(
      "make a gateway for phones and PCs of this machine: certificates, configuration, the first user",
    )
    .option("--domain <name>", "what users will type: a domain name, or this machine's IP address")
    .option("--user <name>", "the first user")
    .option("--password-stdin", "read the user's password from the standard input instead of making one")
    .option("--self-signed", "make a CA for this gateway alone, which each device has to be given")
    .option("--certificate <file>", "PEM, with the chain; left out: certbot's, if there is one")
    .option("--key <file>", "PEM, the certificate's key")
    .addOption(
      new Option("--letsencrypt <folder>", "where certbot keeps its things").default("/etc/letsencrypt"),
    )
    .option(
      "--systemd",
      "make a service of it, with a user of its own and few rights, that starts with the machine",
    )
    .addOption(unitsOption())
    .option("--force", "replace a configuration that is there")
    .addOption(configOption())
    .addOption(socketOption())
    .addHelpText(
      "after",
      examples("sudo ikebana setup", "sudo ikebana setup --domain vpn.example.org --user anna --self-signed"),
    )
    .action(async (flags: SetupFlags) => {
      const { runSetup } = await import("./setup.ts");
      done(await runSetup({ flags, terminal }));
    });
}
