import { type Command, InvalidArgumentError, Option } from "commander";
import { GUEST_KINDS } from "../bench/guest/kinds.ts";
import { GROUPS } from "../bench/handshake/groups.ts";
import { MEASURES, type Measure } from "../bench/tunnel/figures.ts";
import { CORES } from "../bench/tunnel/ground.ts";
import { parseDuration } from "../config/units.ts";
import { PolicyError } from "../errors/index.ts";
import type { BenchTunnelFlags } from "./bench.ts";
import type { BenchHandshakeFlags } from "./bench-handshake.ts";
import { examples, parseCount } from "./options.ts";
import type { Terminal } from "./terminal.ts";

export function addBench(
  program: Command,
  {
    terminal,
    words,
    done,
  }: {
    readonly terminal: Terminal;
    readonly words: readonly string[];
    readonly done: (code: number) => void;
  },
): void {
  const bench = program.command("bench").description("measure on this machine");
  bench
    .command("tunnel")
    .description(
      "time Ikebana, OpenVPN, strongSwan and others on the same ground: two network namespaces and a veth",
    )
    .option(
      "--quick",
      "about three minutes: no tunnel, Ikebana, OpenVPN and the best IPsec there is; TCP and round trips",
    )
    .option("--all", "every contender and every measure")
    .option("--rounds <count>", "how often each contender runs (5, with --quick 3)", parseCount)
    .option("--seconds <count>", "length of each transfer (2, with --all 3)", parseCount)
    .addOption(
      new Option(
        "--limit <duration>",
        "after the first, begin no round that would not end by then (30m, with --quick 3m 30s, with --all none)",
      ).argParser(parseLimit),
    )
    .option(
      "--contenders <names>",
      "which ones, with commas between (an unknown name lists them all)",
      parseList,
    )
    .addOption(
      new Option("--measures <names>", `which ones: ${MEASURES.join(", ")}`).argParser(parseMeasures),
    )
    .option(
      "--wireguard-deb <file>",
      "a Debian package with another wireguard-go, for the contender wireguard-go-deb",
    )
    .addOption(
      new Option("--cores <how>", "split: each end has half of the cores to itself; any: both may use all")
        .choices(CORES)
        .default("split"),
    )
    .addOption(
      new Option(
        "--guest <kind>",
        "inside another Linux kernel, which has ESP, all contenders on that ground: uml, as a process (user-mode-linux); qemu, in a virtual machine",
      ).choices(GUEST_KINDS),
    )
    .option(
      "--guest-kernel <folder>",
      "for --guest qemu: where a Debian package of a kernel was unpacked (dpkg -x), instead of the installed one",
    )
    .option("--json <file>", "where everything that was measured is written", "report.json")
    .option("--html <file>", "where the report is written", "report.html")
    .option("--compare <file>", "an earlier record: say what changed beyond the noise")
    .addHelpText(
      "after",
      examples(
        "ikebana bench tunnel --quick",
        "ikebana bench tunnel --contenders bare,ikebana-aes256gcm16,openvpn-aes256gcm --measures tcp,ping",
        "ikebana bench tunnel --compare last-week.json",
        "ikebana bench tunnel --quick --guest uml",
      ),
    )
    .action(async (flags: BenchTunnelFlags) => {
      const { runBenchTunnel } = await import("./bench.ts");
      done(await runBenchTunnel({ flags, terminal, words }));
    });
  bench
    .command("handshake")
    .description(
      "set up IKE SAs as fast as they come, with Ikebana and strongSwan on either side: rate, time, processor time and memory",
    )
    .option("--rounds <count>", "how often each responder runs", parseCount, 3)
    .option("--seconds <count>", "length of each phase", parseCount, 3)
    .option("--peers <count>", "set-ups side by side", parseCount, 16)
    .option("--connected <count>", "others that are connected all the while", parseCount, 0)
    .option("--groups <names>", "key exchanges: x25519, ecp256, modp2048", parseList, GROUPS)
    .option("--initiators <names>", "who calls: ikebana, strongswan", parseList, ["ikebana", "strongswan"])
    .option("--responders <names>", "who answers: ikebana, strongswan", parseList, ["ikebana", "strongswan"])
    .option("--json <file>", "also write everything that was measured to a file")
    .addHelpText(
      "after",
      examples(
        "ikebana bench handshake",
        "ikebana bench handshake --initiators ikebana --responders ikebana --groups x25519",
      ),
    )
    .action(async (flags: BenchHandshakeFlags) => {
      const { runBenchHandshake } = await import("./bench-handshake.ts");
      done(await runBenchHandshake({ flags, terminal, words }));
    });
  bench
    .command("report")
    .argument("<file...>", "records that `ikebana bench tunnel --json` wrote on one machine")
    .description("make the report of records again, of several as if they were one run")
    .option("--html <file>", "where the report is written", "report.html")
    .option("--compare <file>", "an earlier record: say what changed beyond the noise")
    .addHelpText("after", examples("ikebana bench report tunnel-tcp.json tunnel-ping.json"))
    .action(async (files: readonly string[], flags: { readonly html: string; readonly compare?: string }) => {
      const { runBenchReport } = await import("./bench.ts");
      done(runBenchReport({ files, ...flags, terminal }));
    });
}

function parseLimit(text: string): number {
  try {
    const ms = parseDuration(text);
    if (ms >= 1000) return ms;
  } catch (error) {
    if (error instanceof PolicyError) throw new InvalidArgumentError(error.message);
    throw error;
  }
  throw new InvalidArgumentError("from 1s");
}

function parseList(text: string): readonly string[] {
  const names = text.split(",").map((name) => name.trim());
  if (names.includes("")) throw new InvalidArgumentError("names with commas between");
  return names;
}

function parseMeasures(text: string): readonly Measure[] {
  const names = parseList(text);
  const unknown = names.find((name) => !(MEASURES as readonly string[]).includes(name));
  if (unknown !== undefined)
    throw new InvalidArgumentError(`no measure ${unknown}; there are ${MEASURES.join(", ")}`);
  return names as readonly Measure[];
}
