import { type Command, Option } from "commander";
import { CLIENT_KINDS } from "../profile/client-kind.ts";
import { configOption, examples } from "./options.ts";
import type { ProfileFlags } from "./profile.ts";
import type { Terminal } from "./terminal.ts";

export function addProfile(
  program: Command,
  { terminal, done }: { readonly terminal: Terminal; readonly done: (code: number) => void },
): void {
  program
    .command("profile")
    .argument("<user>", "who logs in with it")
    .description("make the file that sets up a user's phone or PC, or a card that says what to type")
    .addOption(
      new Option(
        "--for <client>",
        "windows: PowerShell script; apple: .mobileconfig; android: .sswan for the strongSwan app; networkmanager: keyfile. Left out: the card",
      ).choices(CLIENT_KINDS),
    )
    .addOption(configOption())
    .option(
      "--domain <name>",
      "the gateway's domain name or address, where it is not the one of the configuration",
    )
    .option("--ca <file>", "certificate of the gateway's own CA, PEM, where it is not publicly trusted")
    .option("--qr", "show the settings as a QR code")
    .option("--with-password", "ask for the password and put it in")
    .option("--password-stdin", "put the password in, read from the standard input")
    .option("--on-demand", "apple: connect by itself whenever there is a network")
    .option("-o, --output <file>", "write to a file, or into a folder, instead of the output")
    .addHelpText(
      "after",
      examples(
        "sudo ikebana profile anna",
        "sudo ikebana profile anna --for apple -o anna.mobileconfig",
        "ikebana profile anna --domain vpn.example.org --qr",
      ),
    )
    .action(async (user: string, flags: ProfileFlags) => {
      const { runProfile } = await import("./profile.ts");
      done(await runProfile({ user, flags, terminal }));
    });
}
