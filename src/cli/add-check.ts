import type { Command } from "commander";
import { configOption, examples, socketOption } from "./options.ts";
import type { Terminal } from "./terminal.ts";

export function addCheck(
  program: Command,
  { terminal, done }: { readonly terminal: Terminal; readonly done: (code: number) => void },
): void {
  program
    .command("check")
    .description(
      "look at everything that a tunnel or a gateway needs of this machine, and say what to do about it",
    )
    .addOption(configOption())
    .addOption(socketOption())
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      examples("sudo ikebana check", "sudo ikebana check --json | jq '.findings[].outcome'"),
    )
    .action(async ({ config, socket, json }: { config: string; socket: string; json?: boolean }) => {
      const { runCheck } = await import("./check.ts");
      done(await runCheck({ configFile: config, socket, json: json === true, terminal }));
    });
}
