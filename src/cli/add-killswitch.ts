import { type Command, InvalidArgumentError } from "commander";
import { parseHost } from "../config/values.ts";
import { PolicyError } from "../errors/index.ts";
import type { KillSwitchFlags, KillSwitchOnFlags } from "./killswitch.ts";
import { configOption, examples, unitsOption } from "./options.ts";
import type { Terminal } from "./terminal.ts";

export function addKillSwitch(
  program: Command,
  { terminal, done }: { readonly terminal: Terminal; readonly done: (code: number) => void },
): void {
  const killSwitch = program
    .command("killswitch")
    .description("let nothing leave this machine but through the tunnel, whether ikebana runs or not");
  killSwitch
    .command("on")
    .description("switch it on, and have it loaded when the machine starts; goes back unless it is confirmed")
    .option("--lan", "open the local network too, but for DNS")
    .option(
      "--gateway <host>",
      "a gateway to let through, in place of those of the configuration; may be said again",
      parseGateway,
    )
    .option("--yes", "do not ask whether it shall stay")
    .option("--within <seconds>", "how long to wait for the answer", parseSeconds, 30)
    .option("--json", "print the outcome as JSON")
    .addOption(configOption())
    .addOption(unitsOption())
    .addHelpText(
      "after",
      examples("sudo ikebana killswitch on --lan", "sudo ikebana killswitch on --gateway vpn.example.org"),
    )
    .action(async (flags: KillSwitchOnFlags) => {
      const { runKillSwitchOn } = await import("./killswitch.ts");
      done(await runKillSwitchOn(flags, terminal));
    });
  killSwitch
    .command("off")
    .description("switch it off, now and when the machine starts")
    .option("--json", "print the outcome as JSON")
    .addOption(configOption())
    .addOption(unitsOption())
    .addHelpText("after", examples("sudo ikebana killswitch off"))
    .action(async (flags: KillSwitchFlags) => {
      const { runKillSwitchOff } = await import("./killswitch.ts");
      done(await runKillSwitchOff(flags, terminal));
    });
  killSwitch
    .command("status")
    .description("say whether it holds, what it lets through and how much it has dropped")
    .option("--json", "print JSON")
    .addOption(configOption())
    .addOption(unitsOption())
    .addHelpText("after", examples("sudo ikebana killswitch status --json | jq .state"))
    .action(async (flags: KillSwitchFlags) => {
      const { runKillSwitchStatus } = await import("./killswitch.ts");
      done(await runKillSwitchStatus(flags, terminal));
    });
}

function parseGateway(text: string, before: readonly string[] = []): readonly string[] {
  try {
    return [...before, parseHost(text)];
  } catch (error) {
    if (error instanceof PolicyError) throw new InvalidArgumentError(error.message);
    throw error;
  }
}

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (!/^\d+$/.test(text) || seconds < 1 || seconds > 3600)
    throw new InvalidArgumentError("a whole number from 1 to 3600");
  return seconds;
}
