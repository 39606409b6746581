import type { Command } from "commander";
import { configOption, examples, unitsOption } from "./options.ts";
import type { ServiceFlags } from "./service.ts";
import type { Terminal } from "./terminal.ts";

export function addService(
  program: Command,
  { terminal, done }: { readonly terminal: Terminal; readonly done: (code: number) => void },
): void {
  const service = program
    .command("service")
    .description("have systemd run the daemon, as a user of its own with few rights");
  service
    .command("install")
    .description("make a service of a configuration that is there, and have it start with the machine")
    .addOption(configOption())
    .addOption(unitsOption())
    .addHelpText("after", examples("sudo ikebana service install"))
    .action(async (flags: ServiceFlags) => {
      const { runServiceInstall } = await import("./service.ts");
      done(await runServiceInstall(flags, terminal));
    });
  service
    .command("remove")
    .description("stop it, and have it start no more")
    .addOption(unitsOption())
    .addHelpText("after", examples("sudo ikebana service remove"))
    .action(async (flags: ServiceFlags) => {
      const { runServiceRemove } = await import("./service.ts");
      done(runServiceRemove(flags, terminal));
    });
}
