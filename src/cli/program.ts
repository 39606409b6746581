import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { DEFAULT_CONFIG_FILE } from "../config/defaults.ts";
import { ConfigError } from "../config/problem.ts";
import { parseDuration } from "../config/units.ts";
import { ControlClient } from "../control/client.ts";
import { DEMO_MODES, type DemoMode } from "../demo/story.ts";
import { version } from "../engine/version.ts";
import { PlatformError, PolicyError } from "../errors/index.ts";
import { addBench } from "./add-bench.ts";
import { addCheck } from "./add-check.ts";
import { addConnect } from "./add-connect.ts";
import { addKillSwitch } from "./add-killswitch.ts";
import { addProfile } from "./add-profile.ts";
import { addService } from "./add-service.ts";
import { addSetup } from "./add-setup.ts";
import { addUsers } from "./add-users.ts";
import {
  runConnectionDown,
  runConnectionUp,
  runDisconnect,
  runRedirect,
  runRekey,
  runReload,
  runStop,
} from "./commands.ts";
import type { StartEngine } from "./daemon.ts";
import { ExitCode, exitCodeOfError } from "./exit-code.ts";
import { runLogs } from "./logs.ts";
import { configOption, examples, parseCount, socketOption } from "./options.ts";
import { runPing } from "./ping.ts";
import { runStatus } from "./status.ts";
import type { Terminal } from "./terminal.ts";
import type { UpOptions } from "./up.ts";

export interface ProgramOptions {
  readonly terminal: Terminal;
  /** Behind `up`; without it there is no such command. */
  readonly startEngine?: StartEngine;
  /** What `up` does before it starts the engine. */
  readonly shedPrivileges?: UpOptions["shedPrivileges"];
  /** Behind `demo`, likewise. */
  readonly runDemo?: RunDemo;
}

// What reads the configuration is imported where it is needed: the thin commands start in two thirds of the time without it.

export type RunDemo = (options: { readonly json: boolean; readonly mode?: DemoMode }) => Promise<number>;

/** Runs one command line (without node and script) and returns the exit code. Never throws. */
export async function runProgram(words: readonly string[], options: ProgramOptions): Promise<number> {
  const { terminal } = options;
  let code: number = ExitCode.DONE;
  const program = createProgram(options, words, (result) => {
    code = result;
  });
  try {
    await program.parseAsync([...words], { from: "user" });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.DONE : ExitCode.WRONG_USE;
    terminal.error(`${describe(error)}\n`);
    return exitCodeOfError(error);
  }
}

/** Our own errors speak for themselves; anything else is a fault of ours and keeps its stack. */
function describe(error: unknown): string {
  // These two begin with a place and with our name already.
  if (error instanceof ConfigError) return error.message;
  if (error instanceof PlatformError && error.code === "NOT_RUNNING") return error.message;
  if (error instanceof PolicyError || error instanceof PlatformError) return `ikebana: ${error.message}`;
  return `ikebana: internal error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}

function createProgram(
  { terminal, startEngine, shedPrivileges, runDemo }: ProgramOptions,
  words: readonly string[],
  done: Done,
): Command {
  const program = new Command("ikebana")
    .description("IKEv2/IPsec in user space: no kernel IPsec, no compiler.")
    .version(version(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand("help [command]", "print the help of a command")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.out(text),
      writeErr: (text) => terminal.error(text),
      outputError: (text, write) => write(text.replace(/^error: /, "ikebana: ")),
    })
    .showHelpAfterError("(ikebana --help lists the commands)")
    .showSuggestionAfterError()
    .addHelpText("after", PROGRAM_EXAMPLES);

  if (runDemo !== undefined) addDemo(program, { runDemo, done });
  if (startEngine !== undefined) {
    addUp(program, { startEngine, shedPrivileges, terminal, done });
    addConnect(program, { startEngine, terminal, done });
  }
  addBench(program, { terminal, done, words });
  addProfile(program, { terminal, done });
  addCheck(program, { terminal, done });
  addUsers(program, { terminal, done });
  addSetup(program, { terminal, done });
  addService(program, { terminal, done });
  addKillSwitch(program, { terminal, done });
  program
    .command("status")
    .description("show connections, their SAs and counters")
    .option("--json", "print JSON")
    .addOption(
      new Option("--watch [interval]", 'show again and again, every second or every "5s"')
        .argParser(parseInterval)
        .preset("1s"),
    )
    .addOption(socketOption())
    .addHelpText(
      "after",
      examples(
        "ikebana status",
        "ikebana status --watch 5s",
        "ikebana status --json | jq '.connections[].state'",
      ),
    )
    .action(async ({ json, watch, socket }: StatusFlags) => {
      done(
        await runStatus({ client: new ControlClient(socket), json: json === true, watchMs: watch, terminal }),
      );
    });

  program
    .command("down")
    .argument("[name]", "a connection; without it, ikebana itself stops")
    .description("take a connection down, or stop ikebana")
    .option("--json", "print the outcome as JSON")
    .addOption(socketOption())
    .addHelpText("after", examples("ikebana down office", "ikebana down"))
    .action(async (name: string | undefined, { socket, json }: ClientFlags) => {
      const client = new ControlClient(socket);
      if (name === undefined) return done(await runStop({ client, json: json === true, terminal }));
      done(await runConnectionDown({ client, name, json: json === true, terminal }));
    });

  program
    .command("rekey")
    .argument("<name>", "a connection that is established")
    .description("replace the keys of a connection's child SAs, or of its IKE SA, now")
    .option("--ike", "the IKE SA instead of the child SAs")
    .option("--json", "print the outcome as JSON")
    .addOption(socketOption())
    .addHelpText("after", examples("ikebana rekey office", "ikebana rekey office --ike"))
    .action(async (name: string, { socket, ike, json }: RekeyFlags) => {
      const client = new ControlClient(socket);
      const what = ike === true ? "ike" : "children";
      done(await runRekey({ client, name, what, json: json === true, terminal }));
    });

  program
    .command("ping")
    .argument("<name>", "a connection that is established")
    .description("ask the peer for a sign of life over the IKE SA, and time the answer")
    .option("-n, --count <count>", "how many times", parseCount, 4)
    .addOption(
      new Option("-i, --interval <interval>", "time between two")
        .argParser(parseInterval)
        .default(1000, "1s"),
    )
    .option("--json", "print JSON")
    .addOption(socketOption())
    .addHelpText("after", examples("ikebana ping office", "ikebana ping office -n 1 --json"))
    .action(async (name: string, { socket, count, interval, json }: PingFlags) => {
      const client = new ControlClient(socket);
      done(await runPing({ client, name, count, intervalMs: interval, json: json === true, terminal }));
    });

  program
    .command("disconnect")
    .argument("<user>", "somebody who is connected to the gateway")
    .description("end what somebody has with the gateway; to keep them away: ikebana users disable")
    .option("--json", "print the outcome as JSON")
    .addOption(socketOption())
    .addHelpText("after", examples("ikebana disconnect anna"))
    .action(async (user: string, { socket, json }: ClientFlags) => {
      const client = new ControlClient(socket);
      done(await runDisconnect({ client, user, json: json === true, terminal }));
    });

  program
    .command("redirect")
    .argument("<name>", "a connection, or somebody who is connected to the gateway")
    .argument("<host>", "the gateway to go to: an IP address or a domain name")
    .description("tell clients to go to another gateway, such as before maintenance (RFC 5685)")
    .option("--json", "print the outcome as JSON")
    .addOption(socketOption())
    .addHelpText(
      "after",
      examples("ikebana redirect gateway vpn2.example.org", "ikebana redirect anna 192.0.2.2"),
    )
    .action(async (name: string, host: string, { socket, json }: ClientFlags) => {
      const client = new ControlClient(socket);
      done(await runRedirect({ client, name, host, json: json === true, terminal }));
    });

  program
    .command("reload")
    .description("read the configuration file again; a bad one changes nothing")
    .option("--json", "print the outcome as JSON")
    .addOption(socketOption())
    .addHelpText("after", examples("ikebana config check && ikebana reload"))
    .action(async ({ socket, json }: ClientFlags) => {
      done(await runReload({ client: new ControlClient(socket), json: json === true, terminal }));
    });

  program
    .command("logs")
    .description("print the last lines of the log")
    .option("-f, --follow", "go on printing new lines")
    .option("-n, --lines <count>", "how many of the last lines (at most 1000)", parseCount, 1000)
    .option("--json", "print JSON, one object a line")
    .addOption(socketOption())
    .addHelpText("after", examples("ikebana logs --follow", "ikebana logs -n 20 --json"))
    .action(async ({ socket, follow, lines, json }: LogsFlags) => {
      const client = new ControlClient(socket);
      done(
        await runLogs({ client, follow: follow === true, lineCount: lines, json: json === true, terminal }),
      );
    });

  const config = program.command("config").description("work on the configuration file");
  config
    .command("check")
    .description("read the configuration file and say what is wrong with it")
    .addOption(configOption())
    .option("--json", "print JSON")
    .addHelpText("after", examples("ikebana config check", "ikebana config check -c office.yaml --json"))
    .action(async ({ config: configFile, json }: { config: string; json?: boolean }) => {
      const { runConfigCheck } = await import("./config-check.ts");
      done(runConfigCheck({ configFile, json: json === true, terminal }));
    });

  return program;
}

function addDemo(
  program: Command,
  { runDemo, done }: Pick<Required<ProgramOptions>, "runDemo"> & { readonly done: Done },
): void {
  program
    .command("demo")
    .description("join two network namespaces of this machine with a tunnel and send real packets through it")
    .option("--json", "print one JSON object instead of the show")
    .addOption(
      new Option(
        "--mode <mode>",
        "root: network namespaces; user: the same in a user namespace; memory: one process. Left out: the first that works",
      ).choices(DEMO_MODES),
    )
    .addHelpText("after", examples("ikebana demo", "ikebana demo --json | jq"))
    .action(async ({ json, mode }: { json?: boolean; mode?: DemoMode }) =>
      done(await runDemo({ json: json === true, ...(mode !== undefined && { mode }) })),
    );
}

function addUp(
  program: Command,
  {
    startEngine,
    shedPrivileges,
    terminal,
    done,
  }: Pick<Required<ProgramOptions>, "startEngine" | "terminal"> & {
    readonly shedPrivileges: UpOptions["shedPrivileges"];
    readonly done: Done;
  },
): void {
  program
    .command("up")
    .argument(
      "[name]",
      "a connection that the running ikebana shall bring up; without it, ikebana itself starts",
    )
    .description("run the connections of the configuration, in the foreground")
    .addOption(configOption())
    .addOption(socketOption("with a name: "))
    .option("--json", "with a name: print the outcome as JSON")
    .addHelpText("after", examples("ikebana up", "ikebana up -c office.yaml", "ikebana up office"))
    .action(async (name: string | undefined, { config, socket, json }: UpFlags) => {
      if (name === undefined) {
        const { runUp } = await import("./up.ts");
        return done(await runUp({ configFile: config, terminal, startEngine, shedPrivileges }));
      }
      done(await runConnectionUp({ client: new ControlClient(socket), name, json: json === true, terminal }));
    });
}

type Done = (code: number) => void;

interface ClientFlags {
  readonly socket: string;
  readonly json?: boolean;
}

interface UpFlags extends ClientFlags {
  readonly config: string;
}

interface StatusFlags extends ClientFlags {
  readonly watch?: number;
}

interface RekeyFlags extends ClientFlags {
  readonly ike?: boolean;
}

interface PingFlags extends ClientFlags {
  readonly count: number;
  readonly interval: number;
}

interface LogsFlags extends ClientFlags {
  readonly follow?: boolean;
  readonly lines: number;
}

function parseInterval(text: string): number {
  try {
    const ms = parseDuration(text);
    if (ms >= 100 && ms <= 86_400_000) return ms;
  } catch (error) {
    if (error instanceof PolicyError) throw new InvalidArgumentError(error.message);
    throw error;
  }
  throw new InvalidArgumentError("from 100ms to 1d");
}

const PROGRAM_EXAMPLES = `
Examples:
  $ ikebana demo                    a tunnel on this machine, nothing to configure
  $ ikebana config check            is ${DEFAULT_CONFIG_FILE} right?
  $ ikebana up                      run it; stop with Ctrl-C or "ikebana down"
  $ ikebana status --watch

Exit codes: 0 done, 1 wrong use, 2 configuration, 3 not running, 4 authentication failed,
            5 no proposal chosen, 6 timeout, 7 certificate, 8 permission`;
