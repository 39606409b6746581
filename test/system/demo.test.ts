import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import type { DemoMode, DemoReport } from "../../src/demo/story.ts";

// The demo as a user starts it: the built command. What it leaves behind is found by a mark in the environment of all its
// processes, and by the network namespaces that they were seen in.

const MAIN = resolve("dist/src/cli/main.js");
const AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"];
const NAMESPACES = ["unshare", "-n", "--", "test", "-w", "/dev/net/tun"];
const IN_USER_NAMESPACE = ["unshare", "-Ur", "-n", "--", "test", "-w", "/dev/net/tun"];

const runs: DemoProcess[] = [];

afterEach(async () => {
  for (const run of runs.splice(0)) await run.kill();
});

for (const { mode, title, isAllowed } of [
  { mode: "root", title: "as root, between network namespaces", isAllowed: works(NAMESPACES) },
  { mode: "user", title: "inside a user namespace", isAllowed: works(IN_USER_NAMESPACE) },
] as const) {
  const mayRun = allows(`the demo ${title}`, isAllowed);

  describe.skipIf(!mayRun)(`the demo ${title}`, () => {
    test("sees ESP and no plaintext on the wire, loses no ping and no octet, and leaves nothing", async () => {
      const run = start(["--json", "--mode", mode]);
      const { code, out, error } = await run.end();
      const report = readReport({ code, out, error });
      expectGood(report, mode);
      expect(report.transfer!.protocol).toBe("tcp");
      expect(report.wire!.neighbors).toBeGreaterThan(0);
      expect(error).toBe("");
      await run.expectNothingLeft();
    });

    for (const signal of ["SIGINT", "SIGTERM", "SIGKILL"] as const) {
      test(`leaves nothing behind when ${signal} ends it during the transfer`, async () => {
        const run = start(["--mode", mode]);
        await run.said("A TCP transfer");
        expect(run.namespaces().length).toBeGreaterThanOrEqual(2);
        run.child.kill(signal);
        const { code, out } = await run.end();
        expect(code).toBe({ SIGINT: 130, SIGTERM: 143, SIGKILL: null }[signal]);
        expect(out).not.toContain("Everything as it should be");
        await run.expectNothingLeft();
      });
    }
  });
}

const nobodyMay = allows(
  "the demo as an unprivileged user",
  works([...AS_NOBODY, ...IN_USER_NAMESPACE]) && works([...AS_NOBODY, "test", "-r", MAIN]),
);

describe.skipIf(!nobodyMay)("the demo as an unprivileged user", () => {
  test("finds out by itself that it needs a user namespace", async () => {
    const run = start(["--json"], AS_NOBODY);
    const ended = await run.end();
    expectGood(readReport(ended), "user");
    await run.expectNothingLeft();
  });
});

// Root of a user namespace that forbids itself more network namespaces: neither kind of namespace can be had.
const WITHOUT_NAMESPACES = [
  ...["unshare", "-Ur", "sh", "-c"],
  'echo 0 > /proc/sys/user/max_net_namespaces && exec "$@"',
  "sh",
];
const mayForbid = allows("the demo where namespaces are forbidden", works([...WITHOUT_NAMESPACES, "true"]));

describe.skipIf(!mayForbid)("the demo where namespaces are forbidden", () => {
  test("says so and runs in one process", async () => {
    const ended = await start(["--json"], WITHOUT_NAMESPACES).end();
    const report = readReport(ended);
    expectGood(report, "memory");
    expect(report.modeReason).toContain("neither network nor user namespaces");
  });

  test("fails with a reason when it is told to use them", async () => {
    const run = start(["--json", "--mode", "user"], WITHOUT_NAMESPACES);
    const { code, out } = await run.end();
    expect(code).toBe(1);
    const report: DemoReport = JSON.parse(out);
    expect(report.isGood).toBe(false);
    expect(report.problems).toEqual([expect.stringMatching(/^cannot run the demo in mode user: .*unshare/)]);
    await run.expectNothingLeft();
  });
});

describe("the demo in one process", () => {
  test("does the same over devices in memory, with datagrams in place of TCP", async () => {
    const run = start(["--json", "--mode", "memory"]);
    const ended = await run.end();
    const report = readReport(ended);
    expectGood(report, "memory");
    expect(report.transfer!.protocol).toBe("datagrams");
    await run.expectNothingLeft();
  });

  test("is left at once by SIGINT", async () => {
    const run = start(["--mode", "memory"]);
    await run.said("Numbered datagrams");
    run.child.kill("SIGINT");
    const { code, out } = await run.end();
    expect(code).toBe(130);
    expect(out).not.toContain("Everything as it should be");
    await run.expectNothingLeft();
  });
});

test("without colours and without a progress bar where nobody looks, in 80 columns", async () => {
  const { code, out, error } = await start(["--mode", "memory"]).end();
  expect([code, error]).toEqual([0, ""]);
  expect(out).toContain("Everything as it should be");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the characters that must not be there
  expect(out).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/);
  expect(out.split("\n").filter((line) => line.length > 80)).toEqual([]);
});

function expectGood(report: DemoReport, mode: DemoMode): void {
  expect(report).toMatchObject({ mode, isGood: true, problems: [] });
  const { negotiation, pings, transfer, counters, farewell, wire } = report;
  expect(negotiation!.ikeMessages).toBeGreaterThanOrEqual(4);
  expect(negotiation!.encapsulationPort).toBe(4500);
  expect(pings!.map(({ family, sent, lost }) => [family, sent, lost])).toEqual([
    [4, 20, 0],
    [6, 20, 0],
  ]);
  expect(transfer!.sentOctets).toBeGreaterThan(100_000);
  expect(transfer!.receivedOctets).toBe(transfer!.sentOctets);
  expect(transfer!.receivedHash).toMatch(/^[0-9a-f]{64}$/);
  expect(transfer!.receivedHash).toBe(transfer!.sentHash);
  expect(counters!.client.outbound.packets).toBe(counters!.gateway.inbound.packets);
  expect(counters!.gateway.outbound.packets).toBe(counters!.client.inbound.packets);
  expect(counters!.client.outbound.octets).toBeGreaterThan(transfer!.sentOctets);
  expect(farewell).toMatchObject({ clientSas: 0, gatewaySas: 0, pingsAfterwards: { sent: 3, answered: 0 } });
  expect(wire).toMatchObject({ plaintext: 0, other: 0, provenByDecoy: true });
  expect(wire!.espInUdp).toBeGreaterThan(0);
  expect(wire!.espInUdp + wire!.missed).toBeGreaterThanOrEqual(
    counters!.client.outbound.packets + counters!.gateway.outbound.packets,
  );
}

/** Standard output holds one JSON object and nothing else. */
function readReport({ code, out, error }: Ended): DemoReport {
  expect(code, `${out}${error}`).toBe(0);
  return JSON.parse(out);
}

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly error: string;
}

class DemoProcess {
  readonly child: ChildProcess;
  readonly #mark = randomUUID();
  readonly #seenNamespaces = new Set<string>();
  readonly #closed: Promise<unknown>;
  #out = "";
  #error = "";

  constructor(command: readonly string[]) {
    this.child = spawn(command[0]!, command.slice(1), {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, IKEBANA_DEMO_MARK: this.#mark },
    });
    this.#closed = once(this.child, "close");
    this.child.stdout!.setEncoding("utf8").on("data", (text: string) => {
      this.#out += text;
    });
    this.child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      this.#error += text;
    });
  }

  async end(): Promise<Ended> {
    await this.#closed;
    return { code: this.child.exitCode, out: this.#out, error: this.#error };
  }

  async said(text: string): Promise<void> {
    while (!this.#out.includes(text)) {
      expect(this.child.exitCode, this.#out + this.#error).toBeNull();
      this.namespaces();
      await sleep(20);
    }
  }

  /** Network namespaces other than ours that its processes live in. */
  namespaces(): readonly string[] {
    const ours = readlinkSync("/proc/self/ns/net");
    for (const pid of this.#processes()) {
      const place = namespaceOf(pid);
      if (place !== undefined && place !== ours) this.#seenNamespaces.add(place);
    }
    return [...this.#seenNamespaces];
  }

  /** No process, no namespace (and so no device in one), no link beside it, no file. */
  async expectNothingLeft(): Promise<void> {
    const isGone = () => this.#processes().length === 0 && this.#heldNamespaces().length === 0;
    for (const end = performance.now() + 15_000; !isGone() && performance.now() < end; ) await sleep(20);
    expect(this.#processes()).toEqual([]);
    expect(this.#heldNamespaces()).toEqual([]);
    expect(existsSync("/sys/class/net/wan0")).toBe(false);
    expect(readdirSync(tmpdir()).filter((name) => name === `ikebana-demo-${this.child.pid}`)).toEqual([]);
  }

  async kill(): Promise<void> {
    for (const pid of this.#processes()) process.kill(pid, "SIGKILL");
    await this.#closed;
  }

  #processes(): readonly number[] {
    return processIds().filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, "latin1").includes(`IKEBANA_DEMO_MARK=${this.#mark}`);
      } catch {
        return false;
      }
    });
  }

  #heldNamespaces(): readonly string[] {
    const held = new Set(processIds().map(namespaceOf));
    return [...this.#seenNamespaces].filter((place) => held.has(place));
  }
}

function start(words: readonly string[], prefix: readonly string[] = []): DemoProcess {
  const run = new DemoProcess([...prefix, process.execPath, MAIN, "demo", ...words]);
  runs.push(run);
  return run;
}

function processIds(): readonly number[] {
  return readdirSync("/proc")
    .filter((name) => /^[0-9]+$/.test(name))
    .map(Number);
}

function namespaceOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return undefined;
  }
}

function works([program, ...args]: readonly string[]): boolean {
  return spawnSync(program!, args, { stdio: "ignore" }).status === 0;
}

function allows(what: string, isAllowed: boolean): boolean {
  if (isAllowed) return true;
  if (process.env.IKEBANA_REQUIRE_INTEROP === "1") throw new Error(`${what}: this machine does not allow it`);
  console.log(`skipped: ${what} (this machine does not allow it)`);
  return false;
}
