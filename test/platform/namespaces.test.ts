import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import {
  asSupervisor,
  joinNamespaces,
  spawnInNewNamespace,
  withNamespaceOf,
} from "../../src/platform/namespaces.ts";
import { LinuxNetwork } from "../../src/platform/network/linux-network.ts";
import { createLinuxSystemCalls } from "../../src/platform/system-calls/linux-system-calls.ts";
import { requireRoot } from "../support/namespace.ts";

const mayRun = requireRoot("network namespaces");
const supervisor = fileURLToPath(new URL("fixtures/supervisor.mjs", import.meta.url));

interface Report {
  readonly access: string;
  readonly tun: string;
  readonly pids: readonly number[];
  readonly results: readonly { readonly kind: string; readonly rttMs: number }[];
}

describe.skipIf(!mayRun)("network namespaces", () => {
  test("belong to their process, and a cable between two of them ends with either", async () => {
    const systemCalls = createLinuxSystemCalls();
    const left = await spawnInNewNamespace(["sleep", "infinity"]);
    const right = await spawnInNewNamespace(["sleep", "infinity"]);
    joinNamespaces(
      systemCalls,
      { pid: left.pid, link: "cable0", prefixes: ["192.0.2.1/24"] },
      { pid: right.pid, link: "cable1", prefixes: ["192.0.2.2/24"] },
    );
    const network = withNamespaceOf(systemCalls, left.pid, () => new LinuxNetwork(systemCalls));
    expect(network.links().map(({ name, isUp }) => ({ name, isUp }))).toEqual([
      { name: "lo", isUp: true },
      { name: "cable0", isUp: true },
    ]);
    expect([network.hasCarrier("cable0"), network.hasCarrier("lo")]).toEqual([true, false]);
    const ours = new LinuxNetwork(systemCalls);
    expect(ours.linkIndex("cable0")).toBeUndefined();
    ours.close();

    right.child.kill("SIGKILL");
    await once(right.child, "exit");
    for (let i = 0; i < 500 && network.linkIndex("cable0") !== undefined; i++) await sleep(10);
    expect(network.linkIndex("cable0")).toBeUndefined();
    network.close();
    left.child.kill("SIGKILL");
  });

  test("are refused with the reason where unshare is missing", async () => {
    await expect(spawnInNewNamespace(["true"], { env: { PATH: "/nowhere" } })).rejects.toMatchObject({
      name: "PlatformError",
      code: "ENOENT",
    });
  });

  test("are joined under root, with packets going through in both families", () => {
    const report = run([process.execPath, supervisor]);
    expect(report.access).toBe("root");
    expect(report.results.map(({ kind }) => kind)).toEqual(["reply", "reply"]);
    expect(report.tun).toBe("demo0");
  });

  test("are joined without root inside a user namespace", ({ skip }) => {
    const nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--"];
    const canRead = spawnSync(nobody[0]!, [...nobody.slice(1), "cat", supervisor]).status === 0;
    if (!canRead || readFileSync("/proc/sys/user/max_user_namespaces", "utf8").trim() === "0") {
      console.log(
        "skipped: namespaces without root (no user namespaces, or the tree is unreadable to nobody)",
      );
      skip();
    }
    const report = run([...nobody, ...asSupervisor("user-namespace", [process.execPath, supervisor])]);
    expect(report.access).toBe("root"); // of its own user namespace
    expect(report.results.map(({ kind }) => kind)).toEqual(["reply", "reply"]);
    expect(report.tun).toBe("demo0");
  });

  test("leave nothing behind when their supervisor is killed", async () => {
    const child = spawn(process.execPath, [supervisor, "stay"], { stdio: ["ignore", "pipe", "inherit"] });
    const [line] = (await once(createInterface(child.stdout), "line")) as [string];
    const { pids } = JSON.parse(line) as Report;
    expect(pids.every(isAlive)).toBe(true);
    child.kill("SIGKILL");
    for (let i = 0; i < 500 && pids.some(isAlive); i++) await sleep(10);
    expect(pids.some(isAlive)).toBe(false);
  });
});

function run([program, ...args]: readonly string[]): Report {
  const { status, stdout, stderr } = spawnSync(program!, args, { encoding: "utf8", timeout: 30_000 });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return JSON.parse(stdout) as Report;
}

/** A zombie is dead: it has lost its namespaces. */
function isAlive(pid: number): boolean {
  if (!existsSync(`/proc/${pid}/stat`)) return false;
  return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
}
