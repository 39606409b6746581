import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { Contender } from "../../src/bench/tunnel/contender.ts";
import { bare } from "../../src/bench/tunnel/contenders/bare.ts";
import { readTunnelRecord, type TunnelRecord } from "../../src/bench/tunnel/record.ts";
import { PlatformError } from "../../src/errors/index.ts";
import { requireRoot } from "../support/namespace.ts";
import { descendantsOf, type SeenProcess, survivorsOf } from "../support/process-tree.ts";
import { requireStrongswan } from "../support/strongswan.ts";
import { chosen, leftGroups, MAIN, PEERS, runBench } from "../support/tunnel-bench.ts";
import { until } from "../support/waiting.ts";

// What the bench does, and what it leaves: whether other tests run beside is all the same to that. Its figures are in a file of their own.

const AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"];
const nobodyMay = [
  ["unshare", "-Ur", "-n", "true"],
  ["test", "-r", MAIN],
].every((command) => spawnSync(AS_NOBODY[0]!, [...AS_NOBODY.slice(1), ...command]).status === 0);

const ours = chosen("ikebana-aes256gcm16");

describe.skipIf(!requireRoot("the tunnel bench") || !requireStrongswan(PEERS))("the tunnel bench", () => {
  test("each other contender comes up, uses the cipher it stands for and encrypts", async () => {
    const ciphers: Readonly<Record<string, string>> = {
      "ikebana-aes256-sha1-nooffload": "aes256-sha1",
      "openvpn-aes256gcm": "AES-256-GCM",
      "strongswan-aes256-sha1": "AES_CBC-256/HMAC_SHA1_96",
      "wireguard-go": "ChaCha20-Poly1305",
    };
    // These need a kernel that has them, and say so where it has not.
    const ofTheKernel: Readonly<Record<string, RegExp>> = {
      "openvpn-dco-aes256gcm": /^no data channel offload: .*ovpn-dco/,
      "kernel-ipsec-aes256gcm16": /^the kernel has no ESP for us: /,
      "kernel-ipsec-aes256gcm16-raw": /^the kernel has no ESP for us: /,
      "kernel-wireguard": /^the kernel has no WireGuard for us: |wireguard-tools/,
    };
    const { contenders } = await runBench(
      [...Object.keys(ciphers), ...Object.keys(ofTheKernel)].map(chosen),
      {
        measures: [],
      },
    );
    for (const { name, problem, facts } of contenders) {
      if (isMissing(problem)) continue;
      if (ofTheKernel[name] !== undefined) {
        if (problem === undefined)
          expect(facts, name).toMatchObject({ mtu: 1400, proof: { plaintextFrames: 0 } });
        else expect(problem, name).toMatch(ofTheKernel[name]);
        continue;
      }
      expect(problem, name).toBeUndefined();
      expect(facts, name).toMatchObject({ cipher: ciphers[name], mtu: 1400, proof: { plaintextFrames: 0 } });
    }
  });

  test("refuses one that does not encrypt, and one that uses another cipher than it says", async () => {
    const liar: Contender = { ...bare, name: "liar", encrypts: true };
    const changer: Contender = { ...ours, name: "changer", cipher: "chacha20poly1305" };
    const record = await runBench([liar, changer]);
    expect(record.contenders[0]).toMatchObject({
      samples: [],
      problem: expect.stringMatching(/^refused: it does not encrypt/),
    });
    expect(record.contenders[1]).toMatchObject({
      samples: [],
      problem: "refused: it uses aes256gcm16 instead of chacha20poly1305",
    });
    expect(record.contenders[0]).not.toHaveProperty("facts");
  });

  test("refuses one whose packets do not pass the cable", async () => {
    const recluse: Contender = {
      ...bare,
      start: async (ground, firstPacket) => {
        const tunnel = await bare.start(ground, firstPacket);
        // Both inner addresses on one host: the pings are answered without leaving it.
        await ground.client.run(["ip", "address", "add", `${ground.gateway.plan.inner}/32`, "dev", "lo"]);
        return tunnel;
      },
    };
    const { contenders } = await runBench([recluse]);
    expect(contenders[0]?.problem).toMatch(/^refused: the cable saw \d+ octets while pings were answered/);
  });

  test("one that does not start is a row with its reason, is tried once, and stops nobody", async () => {
    let attempts = 0;
    const broken: Contender = {
      ...ours,
      name: "broken",
      start: async () => {
        attempts++;
        throw new PlatformError("broken-daemon not found: apt-get install broken");
      },
    };
    const record = await runBench([broken, bare], { measures: [], rounds: 2 });
    expect(record.contenders[0]).toEqual({
      name: "broken",
      title: ours.title,
      problem: "broken-daemon not found: apt-get install broken",
      samples: [],
    });
    expect(attempts).toBe(1);
    expect(record.contenders[1]?.samples.map(({ round }) => round)).toEqual([1, 2]);
  });

  test("one that fails in a later round keeps what it has, and gets another chance", async () => {
    let attempts = 0;
    const shaky: Contender = {
      ...bare,
      start: (ground, firstPacket) => {
        attempts++;
        if (attempts === 2) throw new PlatformError("not this time");
        return bare.start(ground, firstPacket);
      },
    };
    const { contenders } = await runBench([shaky], { measures: [], rounds: 3 });
    expect(contenders[0]).toMatchObject({ problem: "not this time", samples: [{ round: 1 }, { round: 3 }] });
  });

  test("begins no round for which there is no time, but for the first", async () => {
    const other: Contender = { ...bare, name: "other" };
    const { contenders, settings, isComplete } = await runBench([bare, other], {
      measures: [],
      rounds: 100,
      limitMs: 1,
    });
    expect(settings.rounds).toBe(1);
    expect(isComplete).toBe(true);
    expect(contenders.map(({ samples }) => samples.length)).toEqual([1, 1]);
  });

  test("who stands in for somebody is left out where that one runs", async () => {
    const standIn: Contender = { ...bare, name: "stand-in" };
    const { contenders } = await runBench([bare, standIn], {
      measures: [],
      substitutes: { "stand-in": "bare" },
    });
    expect(contenders[1]).toMatchObject({ samples: [], problem: "left out: no tunnel runs here" });
    const failing: Contender = {
      ...bare,
      name: "failing",
      start: () => Promise.reject(new PlatformError("no")),
    };
    const again = await runBench([failing, standIn], {
      measures: [],
      substitutes: { "stand-in": "failing" },
    });
    expect(again.contenders[1]?.samples).toHaveLength(1);
  });

  test("goes round by round, A B A B", async () => {
    const order: string[] = [];
    const other: Contender = { ...bare, title: "again" };
    await runBench([bare, other], {
      measures: [],
      rounds: 2,
      onProgress: ({ contender, what }) => what === "start" && order.push(contender),
    });
    expect(order).toEqual(["no tunnel", "again", "no tunnel", "again"]);
  });

  test("leaves nothing behind, whether it succeeds or fails", async () => {
    const seen: SeenProcess[] = [];
    const look = (): void => void seen.push(...descendantsOf(process.pid));
    const failing: Contender = {
      ...ours,
      start: async (ground, firstPacket) => {
        await ours.start(ground, firstPacket);
        look();
        throw new PlatformError("after all its daemons are up");
      },
    };
    const rulesBefore = rules();
    const { contenders } = await runBench([ours, failing], { onProgress: look });
    expect(contenders.map(({ problem }) => problem)).toEqual([undefined, "after all its daemons are up"]);
    // Both hosts and both daemons of each.
    const daemons = seen.filter(({ name }) => name === "sleep" || name === "node");
    expect(new Set(daemons.map(({ id }) => id)).size).toBeGreaterThanOrEqual(8);
    await nothingIsLeft(seen);
    expect(rules()).toEqual(rulesBefore);
  });

  test("broken off, it returns what was measured, and leaves nothing behind", async () => {
    const seen: SeenProcess[] = [];
    const controller = new AbortController();
    const rulesBefore = rules();
    const record = await runBench([bare, ours], {
      measures: ["tcp", "throttled"],
      rounds: 5,
      signal: controller.signal,
      onProgress: ({ contender, what }) => {
        seen.push(...descendantsOf(process.pid));
        // In the middle of a transfer, with a control group around it where that can be had.
        if (contender === ours.title && what === "throttled") setTimeout(() => controller.abort(), 800);
      },
    });
    expect(record.isComplete).toBe(false);
    expect(record.contenders[0]?.samples).toHaveLength(1);
    // What was measured before it was broken off is kept.
    expect(record.contenders[1]?.samples).toMatchObject([
      { round: 1, figures: { tcpMbps: expect.any(Number) } },
    ]);
    expect(record.contenders[1]?.samples[0]?.figures).not.toHaveProperty("throttledTcpMbps");
    expect(record.contenders[1]).not.toHaveProperty("problem");
    await nothingIsLeft(seen);
    expect(rules()).toEqual(rulesBefore);
  });
});

describe.skipIf(!requireRoot("ikebana bench tunnel") || !requireStrongswan(PEERS))(
  "ikebana bench tunnel",
  () => {
    const directory = mkdtempSync(join(tmpdir(), "bench-cli-"));
    const theirs = join(directory, "theirs");
    afterAll(() => rmSync(directory, { recursive: true }));

    test("Ctrl-C leaves a report and a record of what was measured, and nothing else", async () => {
      const file = join(directory, "broken-off.json");
      const html = join(directory, "broken-off.html");
      const words = ["--contenders", "bare,ikebana-aes256gcm16", "--measures", "tcp", "--seconds", "1"];
      const rulesBefore = rules();
      const bench = startCli([...words, "--json", file, "--html", html]);
      await until("the second contender runs", () => bench.error().includes("round 1 of 5: Ikebana"), {
        describe: bench.error,
      });
      await until("its tunnel carries packets", () =>
        descendantsOf(bench.pid).some(({ name }) => name === "iperf3"),
      );
      const seen = descendantsOf(bench.pid);
      expect(seen.length).toBeGreaterThan(4);
      process.kill(-bench.pid, "SIGINT");
      expect(await bench.ended).toBe(130);
      expect(bench.out()).toContain("Broken off");
      expect(bench.out()).toMatch(/\| no tunnel +\| +[\d,]+ \|/);
      const record: TunnelRecord = JSON.parse(readFileSync(file, "utf8"));
      expect(record.isComplete).toBe(false);
      expect(record.contenders[0]?.samples).toHaveLength(1);
      expect(readTunnelRecord(html)).toEqual(readTunnelRecord(file));
      await nothingIsLeft(seen);
      expect(rules()).toEqual(rulesBefore);
    });

    test("killed, it takes its daemons and namespaces along", async () => {
      const bench = startCli([
        "--contenders",
        "ikebana-aes256gcm16",
        "--measures",
        "tcp",
        ...reportIn(directory),
      ]);
      await until("a tunnel carries packets", () =>
        descendantsOf(bench.pid).some(({ name }) => name === "iperf3"),
      );
      const seen = descendantsOf(bench.pid);
      process.kill(bench.pid, "SIGKILL");
      await bench.ended;
      await nothingIsLeft(seen);
    });

    test.skipIf(!nobodyMay)("an unprivileged user may run it too, in a user namespace", async () => {
      const words = [
        "--contenders",
        "bare,ikebana-aes256gcm16",
        "--measures",
        "tcp",
        "--rounds",
        "1",
        "--seconds",
        "1",
        ...reportIn(theirs),
      ];
      chmodSync(directory, 0o755);
      mkdirSync(theirs);
      chownSync(theirs, 65534, 65534);
      const bench = startCli(words, AS_NOBODY);
      expect(await bench.ended, bench.error()).toBe(0);
      expect(bench.out()).toMatch(/\| Ikebana, AES-256-GCM +\| +[\d,]+ \|/);
    });

    test("a contender that nobody knows is wrong use, and all are listed", async () => {
      const bench = startCli(["--contenders", "bare,nobody"]);
      expect(await bench.ended).toBe(1);
      expect(bench.error()).toMatch(/no contender nobody; there are bare, .*openvpn-aes256gcm/);
    });

    test("a report that could not be written is refused before anything is measured", async () => {
      const bench = startCli(["--quick", "--json", join(directory, "no", "such", "folder.json")]);
      expect(await bench.ended).not.toBe(0);
      expect(bench.error()).toContain("cannot be written");
    });
  },
);

/** What is not installed cannot be tried, except where nothing may be skipped. */
function isMissing(problem: string | undefined): boolean {
  if (process.env.IKEBANA_REQUIRE_INTEROP === "1" || problem?.includes("not found: apt-get") !== true)
    return false;
  console.log(`skipped: ${problem}`);
  return true;
}

/** No process, no namespace, no control group; the files of a run live in the mounts of one of the namespaces. */
async function nothingIsLeft(seen: readonly SeenProcess[]): Promise<void> {
  await until("everything has ended", () => survivorsOf(seen).length === 0, {
    describe: () => JSON.stringify(survivorsOf(seen)),
  });
  await until("control groups are removed", () => leftGroups().length === 0);
}

/** Packet filter, rules and links of our own network; nobody's counters. */
function rules(): string {
  const commands = [
    ["nft", "--stateless", "list", "ruleset"],
    ["ip", "rule"],
    ["ip", "-brief", "link"],
  ] as const;
  return commands
    .map(([program, ...args]) => spawnSync(program, args, { encoding: "utf8" }).stdout)
    .join("\n");
}

function reportIn(folder: string): readonly string[] {
  return ["--json", join(folder, "report.json"), "--html", join(folder, "report.html")];
}

/** In a process group of its own, as a shell would put it. */
function startCli(words: readonly string[], as: readonly string[] = []) {
  const [program, ...args] = [...as, process.execPath, MAIN, "bench", "tunnel", ...words];
  const child: ChildProcess = spawn(program!, args, {
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  let out = "";
  let error = "";
  child.stdout!.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  child.stderr!.setEncoding("utf8").on("data", (text: string) => {
    error += text;
  });
  return {
    pid: child.pid!,
    out: () => out,
    error: () => error,
    ended: once(child, "close").then(([code]) => code as number | null),
  };
}
