import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { readTunnelRecord } from "../../src/bench/tunnel/record.ts";
import { requireGuest } from "../guest/guest.ts";
import { CAMPAIGN } from "../support/campaign.ts";
import { requireRoot } from "../support/namespace.ts";
import { descendantsOf, type SeenProcess, survivorsOf } from "../support/process-tree.ts";
import { until } from "../support/waiting.ts";

// The bench in a kernel that has ESP: its shortest run.

const MAIN = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));
const WHAT = "ikebana bench tunnel --guest";

/** A virtual machine whose processor is emulated takes minutes where others are at work: `npm run campaign:guest`. */
const PATIENCE_MS = CAMPAIGN ? 1_200_000 : 300_000;

/** Where a kernel's package was unpacked, for who does not want to install one. */
const KERNEL_FOLDER = process.env.IKEBANA_GUEST_KERNEL;

/** Whether a virtual machine has what it boots; says in one line when it has not. */
function hasMachine(): boolean {
  const hasPrograms = ["qemu-system-x86_64", "busybox"].every(
    (program) => spawnSync(program, ["--help"]).status === 0,
  );
  const boot = join(KERNEL_FOLDER ?? "/", "boot");
  const hasKernel = existsSync(boot) && readdirSync(boot).some((name) => name.startsWith("vmlinuz-"));
  if (hasPrograms && hasKernel) return true;
  const missing = "qemu-system-x86, busybox-static and linux-image-amd64, or IKEBANA_GUEST_KERNEL";
  console.log(`skipped: ${WHAT} qemu (needs ${missing})`);
  return false;
}

describe.skipIf(!requireRoot(WHAT) || !requireGuest(WHAT))(WHAT, () => {
  const directory = mkdtempSync(join(tmpdir(), "bench-guest-"));
  let child: ChildProcess | undefined;
  afterAll(() => {
    // The guest ends with it.
    child?.kill("SIGKILL");
    rmSync(directory, { recursive: true, force: true });
  });

  test.each([
    { kind: "uml", kernel: /^a user-mode Linux$/, program: /^linux/, isRun: true },
    { kind: "qemu", kernel: /^a virtual machine \(QEMU, .*\)$/, program: /^qemu-system/, isRun: CAMPAIGN },
  ])(
    "$kind: times IPsec of the guest's kernel and names the ground; Ctrl-C leaves the report, and nothing else",
    async ({ kind, kernel, program, isRun }) => {
      if (!isRun) return console.log(`skipped: ${WHAT} ${kind}: npm run campaign:guest`);
      if (kind === "qemu" && !hasMachine()) return;
      const place = join(directory, kind);
      mkdirSync(place);
      const [json, html] = ["json", "html"].map((ending) => join(directory, `${kind}.${ending}`));
      const words = ["--contenders", "kernel-ipsec-aes256gcm16-raw", "--measures", "ping"];
      const length = ["--rounds", "1000", "--seconds", "1", "--json", json!, "--html", html!];
      if (kind === "qemu" && KERNEL_FOLDER !== undefined) words.push("--guest-kernel", KERNEL_FOLDER);
      child = spawn(process.execPath, [MAIN, "bench", "tunnel", "--guest", kind, ...words, ...length], {
        stdio: ["ignore", "ignore", "pipe"],
        env: { ...process.env, TMPDIR: place },
      });
      const seen: SeenProcess[] = [];
      let error = "";
      let isBrokenOff = false;
      child.stderr!.setEncoding("utf8").on("data", (text: string) => {
        error += text;
        seen.push(...descendantsOf(child!.pid!));
        if (!isBrokenOff && error.includes("round 2 of")) {
          isBrokenOff = true;
          child!.kill("SIGINT");
        }
      });
      const [code] = await once(child, "close");
      expect(code, error).toBe(130);
      const record = readTunnelRecord(json!);
      expect(readTunnelRecord(html!)).toEqual(record);
      expect(record.isComplete).toBe(false);
      expect(record.guest?.kernel).toMatch(kernel);
      expect(record.guest?.distorts).not.toBe("");
      // What ran was another kernel than this machine's.
      expect(record.machine.kernel).not.toBe(record.guest!.host.kernel);
      const [contender] = record.contenders;
      expect(contender?.problem).toBeUndefined();
      expect(contender?.facts).toMatchObject({
        version: record.machine.kernel,
        cipher: "rfc4106(gcm(aes)) 256",
        proof: { plaintextFrames: 0 },
      });
      expect(contender?.samples[0]?.figures.pingIdleP50Us).toBeGreaterThan(0);
      expect(seen.some(({ name }) => program.test(name))).toBe(true);
      await until("everything has ended", () => survivorsOf(seen).length === 0);
      expect(readdirSync(place)).toEqual([]);
    },
    PATIENCE_MS,
  );
});
