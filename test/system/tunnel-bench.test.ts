import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { allContenders } from "../../src/bench/tunnel/catalogue.ts";
import type { Contender } from "../../src/bench/tunnel/contender.ts";
import { bare } from "../../src/bench/tunnel/contenders/bare.ts";
import type { Measure } from "../../src/bench/tunnel/figures.ts";
import type { TunnelRecord } from "../../src/bench/tunnel/record.ts";
import { type Progress, runTunnelBench } from "../../src/bench/tunnel/run.ts";
import { PlatformError } from "../../src/errors/index.ts";
import { requireRoot } from "../support/namespace.ts";
import { descendantsOf, type SeenProcess, survivorsOf } from "../support/process-tree.ts";
import { requireStrongswan } from "../support/strongswan.ts";
import { until } from "../support/waiting.ts";

const MAIN = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));
const PEERS = "the tunnel bench needs iperf3, ping and its contenders";

const AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"];
const nobodyMay = [
  ["unshare", "-Ur", "-n", "true"],
  ["test", "-r", MAIN],
].every((command) => spawnSync(AS_NOBODY[0]!, [...AS_NOBODY.slice(1), ...command]).status === 0);

const ours = chosen("ikebana-aes256gcm16");

describe.skipIf(!requireRoot("the tunnel bench") || !requireStrongswan(PEERS))("the tunnel bench", () => {
  test("times the bare path and a tunnel, and shows that the tunnel encrypts", async () => {
    const record = await run([bare, ours], { measures: ["tcp", "ping"] });
    const [path, tunnel] = record.contenders;
    expect(record).toMatchObject({ bench: "tunnel", isComplete: true });
    expect(path).toMatchObject({ facts: { cipher: "none", mtu: 1400, proof: { plaintextFrames: 40 } } });
    expect(tunnel).toMatchObject({
      facts: { cipher: "aes256gcm16", mtu: 1400, proof: { plaintextFrames: 0 } },
    });
    for (const contender of record.contenders) {
      expect(contender.problem).toBeUndefined();
      const [{ round, figures } = { round: 0, figures: {} }] = contender.samples;
      expect(round).toBe(1);
      for (const figure of ["tcpMbps", "cpuSecondsPerGb", "pingIdleP50Us", "pingLoadedP99Us"] as const) {
        expect(figures[figure], figure).toBeGreaterThan(0);
      }
      const { pingIdleP50Us, pingIdleP90Us, pingIdleP99Us } = figures;
      expect(pingIdleP90Us).toBeGreaterThanOrEqual(pingIdleP50Us!);
      expect(pingIdleP99Us).toBeGreaterThanOrEqual(pingIdleP90Us!);
    }
    // Two whole Node processes.
    expect(tunnel!.samples[0]!.figures.residentMiB).toBeGreaterThan(20);
  });

  test("each other contender comes up, uses the cipher it stands for and encrypts", async () => {
    const ciphers: Readonly<Record<string, string>> = {
      "ikebana-aes256-sha1-nooffload": "aes256-sha1",
      "openvpn-aes256gcm": "AES-256-GCM",
      "strongswan-aes256-sha1": "AES_CBC-256/HMAC_SHA1_96",
      "wireguard-go": "ChaCha20-Poly1305",
    };
    const { contenders } = await run(Object.keys(ciphers).map(chosen), { measures: [] });
    for (const { name, problem, facts } of contenders) {
      if (isMissing(problem)) continue;
      expect(problem, name).toBeUndefined();
      expect(facts, name).toMatchObject({ cipher: ciphers[name], mtu: 1400, proof: { plaintextFrames: 0 } });
    }
  });

  test("refuses one that does not encrypt, and one that uses another cipher than it says", async () => {
    const liar: Contender = { ...bare, name: "liar", encrypts: true };
    const changer: Contender = { ...ours, name: "changer", cipher: "chacha20poly1305" };
    const record = await run([liar, changer]);
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
      start: async (ground) => {
        const tunnel = await bare.start(ground);
        // Both inner addresses on one host: the pings are answered without leaving it.
        await ground.client.run(["ip", "address", "add", `${ground.gateway.plan.inner}/32`, "dev", "lo"]);
        return tunnel;
      },
    };
    const { contenders } = await run([recluse]);
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
    const record = await run([broken, bare], { rounds: 2 });
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
      start: (ground) => {
        attempts++;
        if (attempts === 2) throw new PlatformError("not this time");
        return bare.start(ground);
      },
    };
    const { contenders } = await run([shaky], { rounds: 3 });
    expect(contenders[0]).toMatchObject({ problem: "not this time", samples: [{ round: 1 }, { round: 3 }] });
  });

  test("goes round by round, A B A B", async () => {
    const order: string[] = [];
    const other: Contender = { ...bare, title: "again" };
    await run([bare, other], {
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
      start: async (ground) => {
        await ours.start(ground);
        look();
        throw new PlatformError("after all its daemons are up");
      },
    };
    const { contenders } = await run([ours, failing], { onProgress: look });
    expect(contenders.map(({ problem }) => problem)).toEqual([undefined, "after all its daemons are up"]);
    // Both hosts and both daemons of each.
    const daemons = seen.filter(({ name }) => name === "sleep" || name === "node");
    expect(new Set(daemons.map(({ id }) => id)).size).toBeGreaterThanOrEqual(8);
    await nothingIsLeft(seen);
  });

  test("broken off, it returns what was measured, and leaves nothing behind", async () => {
    const seen: SeenProcess[] = [];
    const controller = new AbortController();
    const record = await run([bare, ours], {
      rounds: 5,
      signal: controller.signal,
      onProgress: ({ contender, what }) => {
        seen.push(...descendantsOf(process.pid));
        if (contender === ours.title && what === "tcp") setTimeout(() => controller.abort(), 300);
      },
    });
    expect(record.isComplete).toBe(false);
    expect(record.contenders[0]?.samples).toHaveLength(1);
    expect(record.contenders[1]).toMatchObject({ samples: [] });
    expect(record.contenders[1]).not.toHaveProperty("problem");
    await nothingIsLeft(seen);
  });
});

describe.skipIf(!requireRoot("ikebana bench tunnel") || !requireStrongswan(PEERS))(
  "ikebana bench tunnel",
  () => {
    const directory = mkdtempSync(join(tmpdir(), "bench-cli-"));
    afterAll(() => rmSync(directory, { recursive: true }));

    test("Ctrl-C leaves a report and a record of what was measured, and nothing else", async () => {
      const file = join(directory, "broken-off.json");
      const words = ["--contenders", "bare,ikebana-aes256gcm16", "--measures", "tcp", "--seconds", "1"];
      const bench = startCli([...words, "--json", file]);
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
      await nothingIsLeft(seen);
    });

    test("killed, it takes its daemons and namespaces along", async () => {
      const bench = startCli(["--contenders", "ikebana-aes256gcm16", "--measures", "tcp"]);
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
      ];
      const bench = startCli(words, AS_NOBODY);
      expect(await bench.ended, bench.error()).toBe(0);
      expect(bench.out()).toMatch(/\| Ikebana, AES-256-GCM +\| +[\d,]+ \|/);
    });

    test("a contender that nobody knows is wrong use, and all are listed", async () => {
      const bench = startCli(["--contenders", "bare,nobody"]);
      expect(await bench.ended).toBe(1);
      expect(bench.error()).toMatch(/no contender nobody; there are bare, .*openvpn-aes256gcm/);
    });
  },
);

function run(
  contenders: readonly Contender[],
  {
    measures = ["tcp"],
    rounds = 1,
    signal = new AbortController().signal,
    onProgress = () => {},
  }: {
    readonly measures?: readonly Measure[];
    readonly rounds?: number;
    readonly signal?: AbortSignal;
    readonly onProgress?: (progress: Progress) => void;
  } = {},
): Promise<TunnelRecord> {
  return runTunnelBench({
    contenders,
    measures,
    rounds,
    seconds: 1,
    cores: "split",
    command: "test",
    signal,
    onProgress,
  });
}

function chosen(name: string): Contender {
  const all = allContenders({ ikebanaCommand: [process.execPath, MAIN] });
  return all.find((each) => each.name === name)!;
}

/** What is not installed cannot be tried, except where nothing may be skipped. */
function isMissing(problem: string | undefined): boolean {
  if (process.env.IKEBANA_REQUIRE_INTEROP === "1" || problem?.includes("not found: apt-get") !== true)
    return false;
  console.log(`skipped: ${problem}`);
  return true;
}

/** No process and no namespace; the files of a run live in the mounts of one of them. */
function nothingIsLeft(seen: readonly SeenProcess[]): Promise<void> {
  return until("everything has ended", () => survivorsOf(seen).length === 0, {
    describe: () => JSON.stringify(survivorsOf(seen)),
  });
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
