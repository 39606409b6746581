import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { NotifySocket } from "../support/notify-socket.ts";
import { type Child, type Environment, FAKE, fakeIkebana, startFakeIkebana, until } from "./children.ts";

let folder: string;
let socket: string;
let children: Child[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "ikebana-up-"));
  socket = join(folder, "ikebana.sock");
  children = [];
  configure(["office", "mistrusted", "picky", "silent"]);
});

afterEach(async () => {
  for (const { process: child } of children) child.kill("SIGKILL");
  await Promise.all(children.map(({ ended }) => ended));
  rmSync(folder, { recursive: true, force: true });
});

const KEY = "tru5tn01-tru5tn01-tru5tn01";

function configure(names: readonly string[], more = ""): void {
  const connections = names.map(
    (name, index) => `  ${name}:
    local: { address: 192.0.2.1, psk: ${KEY} }
    remote: 192.0.2.${index + 2}
    children: { lan: { local: 10.1.0.0/16, remote: 10.${index + 2}.0.0/16 } }`,
  );
  const text = `connections:\n${connections.join("\n")}\nsocket: ikebana.sock\n${more}`;
  writeFileSync(join(folder, "ikebana.yaml"), text, { mode: 0o600 });
}

function startUp(environment: Environment = {}): Child {
  const child = startFakeIkebana(["up", "-c", join(folder, "ikebana.yaml")], environment);
  children.push(child);
  return child;
}

async function up(environment: Environment = {}): Promise<Child> {
  const child = startUp(environment);
  await until(() => child.out().includes("ready") || child.process.exitCode !== null);
  expect(child.process.exitCode).toBeNull();
  return child;
}

const ask = (...words: readonly string[]) => fakeIkebana(...words, "--socket", socket);

describe("a daemon", () => {
  test("tells its service manager that it is ready and alive, and not alive any more when packets do not move", async () => {
    for (const hangs of [false, true]) {
      const path = join(folder, `manager-${hangs}`);
      const manager = new NotifySocket(path);
      const daemon = await up({
        NOTIFY_SOCKET: path,
        WATCHDOG_USEC: "60000",
        ...(hangs && { FAKE_WORKERS_HANG: "1" }),
      });
      await until(() => manager.messages.length > 0);
      expect(manager.messages[0]).toMatch(/^READY=1\nSTATUS=ready/);
      if (!hangs) await until(() => manager.count("WATCHDOG=1") > 2);
      // Many signs of life could have come by then.
      await ask("status");
      daemon.process.kill("SIGHUP");
      await until(() => manager.count("READY=1") === 2);
      daemon.process.kill("SIGTERM");
      await daemon.ended;
      expect(manager.count("STOPPING=1")).toBe(1);
      if (hangs) expect(manager.count("WATCHDOG=1")).toBe(0);
      manager.close();
    }
  });

  test("prints what happens, without a key in it", async () => {
    const daemon = await up();
    expect(daemon.out()).toMatch(/info {4}ikebana \d+\.\d+\.\d+ is starting with .*ikebana\.yaml/);
    expect(daemon.out()).toContain('the engine runs  octets="[32 octets]"');
    expect(daemon.out()).toMatch(/ready: connections office, mistrusted, picky, silent {2}socket=/);
    expect(daemon.out()).not.toContain(KEY);
    expect(daemon.out()).not.toContain("\x1b");
  });

  test("prints JSON when the configuration says so", async () => {
    configure(["office"], "log: { format: json }\n");
    const daemon = await up();
    const lines = daemon
      .out()
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines.map(({ name }) => name)).toEqual(["starting", "engine", "ready"]);
  });

  test.each(["SIGTERM", "SIGINT"] as const)("stops tidily on %s: 0", async (signal) => {
    const daemon = await up();
    daemon.process.kill(signal);
    const { code, out } = await daemon.ended;
    expect(code).toBe(0);
    expect(out).toContain(`stopping: ${signal}`);
    expect(out).toContain("the engine stops");
    expect(existsSync(socket)).toBe(false);
  });

  test("stops through its socket, and down returns when it is gone", async () => {
    const daemon = await up();
    expect(await ask("down")).toEqual({ code: 0, out: "ikebana has stopped\n", error: "" });
    expect((await daemon.ended).code).toBe(0);
    expect((await ask("status")).code).toBe(3);
  });

  test("ends at once on the second signal", async () => {
    const daemon = await up({ FAKE_STOP_HANGS: "1" });
    daemon.process.kill("SIGTERM");
    await until(() => daemon.out().includes("the engine stops"));
    daemon.process.kill("SIGTERM");
    expect((await daemon.ended).code).toBe(143);
  });

  test("that is killed leaves a socket which the next one replaces", async () => {
    const first = await up();
    first.process.kill("SIGKILL");
    await first.ended;
    expect(existsSync(socket)).toBe(true);
    await up();
    expect((await ask("status")).code).toBe(0);
  });

  test("is not disturbed by a second one", async () => {
    await up();
    const second = await startUp().ended;
    expect([second.code, second.error]).toEqual([
      1,
      `ikebana: another ikebana is running: its socket ${socket} answers\n`,
    ]);
    expect((await ask("status")).code).toBe(0);
  });

  test("does not start with a bad configuration: 2", async () => {
    configure(["office"], "mtuu: 1\n");
    const { code, error } = await startUp().ended;
    expect([code, error]).toEqual([2, expect.stringContaining('unknown key "mtuu"; did you mean "mtu"?')]);
  });

  test("that may not open its device ends with 8 and leaves no socket", async () => {
    const { code, error } = await startUp({ FAKE_START_FAILS: "1" }).ended;
    expect([code, error]).toEqual([8, "ikebana: cannot open /dev/net/tun: permission denied\n"]);
    expect(existsSync(socket)).toBe(false);
  });

  test("when no packet moves any more it ends, so that it can be started again: 1", async () => {
    const { code, out } = await startUp({ FAKE_DATA_PLANE_FAILS: "1" }).ended;
    expect([code, out]).toEqual([1, expect.stringContaining("stopping: the data plane has ended")]);
    expect(out).toContain("the engine stops");
  });

  test("that runs into a fault of its own still stops tidily: 1", async () => {
    const { code, out, error } = await startUp({ FAKE_CRASHES: "1" }).ended;
    expect(code).toBe(1);
    expect(error).toContain("internal error: Error: the worker is gone");
    expect(out).toContain("the engine stops");
    expect(existsSync(socket)).toBe(false);
  });

  test("goes on when nobody reads its lines", async () => {
    const daemon = await up();
    daemon.process.stdout?.destroy();
    await ask("reload");
    await ask("reload");
    expect((await ask("status")).code).toBe(0);
  });
});

describe("commands to a daemon", () => {
  test("end with what came of them", async () => {
    await up();
    const expected: readonly (readonly [string, number, string])[] = [
      ["up office", 0, "office is established\n"],
      ["down office", 0, "office is down\n"],
      ["up nowhere", 1, 'ikebana: there is no connection "nowhere"\n'],
      ["up mistrusted", 4, "ikebana: the peer refused our key\n"],
      ["up picky", 5, "ikebana: the peer took none of aes256gcm16-prfsha384-x25519\n"],
      ["up silent", 6, "ikebana: 192.0.2.9 does not answer\n"],
      ["ping silent", 6, "ikebana: 192.0.2.9 does not answer\n"],
      ["ping office -n 1", 0, "office answered in 12.3 ms (1 of 1)\n"],
      ["ping office -n 1 --json", 0, '{"connection":"office","rttsMs":[12.34]}\n'],
      ["up silent --json", 6, '{"kind":"failed","reason":"timeout","message":"192.0.2.9 does not answer"}\n'],
    ];
    const came = expected.map(async ([line]) => {
      const { code, out, error } = await ask(...line.split(" "));
      return [line, code, out + error];
    });
    expect(await Promise.all(came)).toEqual(expected);
  });

  test("status, for people and programs", async () => {
    await up();
    const shown = await ask("status");
    expect(shown.out).toContain("ikebana0 with MTU 1400, listening on 0.0.0.0:500");
    expect(shown.out).toContain("office  down");
    const { connections } = JSON.parse((await ask("status", "--json")).out);
    const names = connections.map(({ name }: { name: string }) => name);
    expect(names).toEqual(["office", "mistrusted", "picky", "silent"]);
  });

  test("status --watch shows again and again", async () => {
    await up();
    const watching = startFakeIkebana(["status", "--watch", "100ms", "--socket", socket]);
    children.push(watching);
    await until(() => (watching.out().match(/office {2}down/g) ?? []).length >= 3);
    watching.process.kill("SIGINT");
    await watching.ended;
    expect(watching.out()).not.toContain("\x1b");
  });

  test("logs, the last lines and those to come", async () => {
    const daemon = await up();
    const last = await ask("logs", "-n", "1");
    expect(last.out).toMatch(/^\S+ \S+ info {4}ready: .*\n$/);
    const following = startFakeIkebana(["logs", "-f", "--json", "-n", "1", "--socket", socket]);
    children.push(following);
    await until(() => following.out().includes('"ready"'));
    await ask("reload");
    await until(() => following.out().includes("configuration-reloaded"));
    daemon.process.kill("SIGTERM");
    expect((await following.ended).code).toBe(0);
    expect(following.out()).toContain("the engine stops");
  });

  test("logs whose reader leaves end quietly", async () => {
    await up();
    const line = '"$0" "$1" logs -f --socket "$2" | head -n 1';
    const piped = spawn("sh", ["-c", line, process.execPath, FAKE, socket], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let [out, error] = ["", ""];
    piped.stdout.on("data", (text) => {
      out += text;
    });
    piped.stderr.on("data", (text) => {
      error += text;
    });
    let hasEnded = false;
    piped.once("close", () => {
      hasEnded = true;
    });
    await until(() => out !== "");
    while (!hasEnded) await ask("reload");
    expect(error).toBe("");
  });
});

describe("a reload", () => {
  test("takes a good file over", async () => {
    const daemon = await up();
    configure(["office", "branch"]);
    expect(await ask("reload")).toEqual({ code: 0, out: "reloaded: office, branch\n", error: "" });
    expect((await ask("status")).out).toContain("branch  down");
    expect(daemon.out()).toContain("reloaded: office, branch");
  });

  test("happens on SIGHUP too", async () => {
    const daemon = await up();
    configure(["branch"]);
    daemon.process.kill("SIGHUP");
    await until(() => daemon.out().includes("reloaded: branch"));
  });

  test("keeps the old configuration when the new one is bad: 2", async () => {
    const daemon = await up();
    configure(["office", "branch"], "mtuu: 1\n");
    const { code, error } = await ask("reload");
    expect([code, error]).toEqual([2, expect.stringContaining("the old configuration stays: ")]);
    expect(error).toContain('unknown key "mtuu"; did you mean "mtu"?');
    expect(daemon.out()).toMatch(/error {3}the old configuration stays: /);
    expect((await ask("status")).out).not.toContain("branch");
  });

  test("refuses what cannot change under way: 2", async () => {
    await up();
    configure(["office"], "tun: other0\nmtu: 1300\n");
    const { code, error } = await ask("reload");
    expect([code, error]).toEqual([
      2,
      "ikebana: tun, mtu cannot change while ikebana runs; the old configuration stays\n",
    ]);
  });
});

test("demo prints what the demo prints", async () => {
  expect(await fakeIkebana("demo", "--json")).toEqual({ code: 0, out: "{}\n", error: "" });
});
