import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { findPrograms, RunningProgram } from "../../../src/bench/tunnel/program.ts";

const PROGRAM = new URL("../../../dist/src/bench/tunnel/program.js", import.meta.url).href;

test("what is missing is named, with the packages that bring it", () => {
  const needed = [
    { program: "sh", package: "dash" },
    { program: "no-such-daemon", package: "no-such-package" },
  ];
  expect(() => findPrograms(needed)).toThrow("no-such-daemon not found: apt-get install no-such-package");
  expect(findPrograms(needed.slice(0, 1))[0]).toMatch(/^\/.*\/sh$/);
});

test("a program's words and exit code are kept; one that cannot be started has ended", async () => {
  const program = new RunningProgram("speaker", ["sh", "-c", "echo one; echo two >&2; exit 3"]);
  expect(await program.ended).toEqual({ code: 3, out: "one\n", error: "two\n" });
  expect(program.lastWords).toBe("one\ntwo");
  const nothing = new RunningProgram("nothing", ["/no/such/program"]);
  expect(await nothing.ended).toMatchObject({ code: -1, error: expect.stringContaining("ENOENT") });
  await nothing.kill();
});

test.skipIf(!existsSync("/proc/self/autogroup"))(
  "a program has the weight that its run was given",
  async () => {
    const isWeighed = 'while ! grep -q "nice 5" /proc/self/autogroup; do sleep 0.01; done; echo so';
    const script = `
    import { RunningProgram } from "${PROGRAM}";
    process.stdout.write((await new RunningProgram("child", ["sh", "-c", ${JSON.stringify(isWeighed)}]).ended).out);
  `;
    const inSession = 'echo 5 > /proc/self/autogroup && exec "$@"';
    const node = [process.execPath, "--input-type=module", "-e", script];
    const child = spawn("sh", ["-c", inSession, "sh", ...node], {
      stdio: ["ignore", "pipe", "inherit"],
      detached: true,
    });
    const ended = once(child, "exit");
    expect(await text(child.stdout)).toBe("so\n");
    expect((await ended)[0]).toBe(0);
  },
);
