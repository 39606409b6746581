import { type Command, Option } from "commander";
import { configOption, examples } from "./options.ts";
import type { Terminal } from "./terminal.ts";
import type { PasswordFlags, UsersFlags } from "./users.ts";

export function addUsers(
  program: Command,
  { terminal, done }: { readonly terminal: Terminal; readonly done: (code: number) => void },
): void {
  const users = program
    .command("users")
    .description("who may log in at the gateway; changes hold at once, also for a gateway that runs")
    .addHelpText("after", examples("sudo ikebana users add anna", "sudo ikebana users list"));

  const withPassword = (name: "add" | "passwd", description: string) =>
    users
      .command(name)
      .argument("<user>", "the name to log in with")
      .description(description)
      .option("--generate", "make a password and show it, once")
      .option("--password-stdin", "read the password from the standard input")
      .option("--json", "print JSON")
      .addOption(configOption())
      .addOption(fileOption())
      .addHelpText(
        "after",
        examples(`sudo ikebana users ${name} anna`, `sudo ikebana users ${name} anna --generate`),
      )
      .action(async (user: string, flags: PasswordFlags) => {
        const { runUsersPassword } = await import("./users.ts");
        done(await runUsersPassword({ user, isNew: name === "add", flags, terminal }));
      });
  withPassword("add", "let somebody log in; asks for the password");
  withPassword("passwd", "change somebody's password");

  const change = (name: "del" | "disable" | "enable", description: string) =>
    users
      .command(name)
      .argument("<user>", "the name that is logged in with")
      .description(description)
      .option("--json", "print JSON")
      .addOption(configOption())
      .addOption(fileOption())
      .addHelpText("after", examples(`sudo ikebana users ${name} anna`))
      .action(async (user: string, flags: UsersFlags) => {
        const { runUsersChange } = await import("./users.ts");
        done(runUsersChange({ user, change: name, flags, terminal }));
      });
  change("del", "remove somebody");
  change("disable", "keep somebody from logging in, without forgetting the password");
  change("enable", "let somebody log in again");

  users
    .command("list")
    .description("print who may log in")
    .option("--json", "print JSON")
    .addOption(configOption())
    .addOption(fileOption())
    .addHelpText("after", examples("sudo ikebana users list", "sudo ikebana users list --json"))
    .action(async (flags: UsersFlags) => {
      const { runUsersList } = await import("./users.ts");
      done(runUsersList({ flags, terminal }));
    });
}

function fileOption(): Option {
  return new Option("--file <file>", "the users file, instead of the one that the configuration names");
}
