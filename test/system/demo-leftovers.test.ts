import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { requireRoot } from "../support/namespace.ts";
import { until } from "../support/waiting.ts";

const MAIN = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));

describe.skipIf(!requireRoot("a demo that is killed"))("the demo", () => {
  // Ctrl-C reaches every process of the terminal's group; the others only the first.
  for (const { what, signal, isForGroup } of [
    { what: "Ctrl-C", signal: "SIGINT", isForGroup: true },
    { what: "SIGTERM", signal: "SIGTERM", isForGroup: false },
    { what: "SIGKILL", signal: "SIGKILL", isForGroup: false },
  ] as const) {
    test(`${what} in its midst leaves no process and no namespace behind`, async () => {
      const demo = spawn(process.execPath, [MAIN, "demo"], {
        stdio: ["ignore", "pipe", "pipe"],
        detached: true,
      });
      const hasEnded = once(demo, "exit");
      let out = "";
      demo.stdout.on("data", (text) => {
        out += text;
      });
      demo.stderr.on("data", (text) => {
        out += text;
      });
      let children: readonly number[] = [];
      try {
        // Both sides are there, each in a network of its own.
        await until(
          "the demo has two network namespaces",
          () => {
            children = descendantsOf(demo.pid!);
            return namespacesOf(children).size >= 2 && out.includes("ESP");
          },
          { describe: () => out },
        );
        expect(demo.exitCode, out).toBeNull();
        process.kill(isForGroup ? -demo.pid! : demo.pid!, signal);
        await hasEnded;
        await until("its processes have ended", () => children.every((id) => !existsSync(`/proc/${id}`)), {
          describe: () => `${children.filter((id) => existsSync(`/proc/${id}`)).map(commandOf)}`,
        });
      } finally {
        for (const id of [demo.pid!, ...children]) if (existsSync(`/proc/${id}`)) process.kill(id, "SIGKILL");
      }
    });
  }
});

/** Network namespaces of the processes other than ours. Without a name, a namespace ends with its last process. */
function namespacesOf(ids: readonly number[]): ReadonlySet<string> {
  const ours = readlinkSync("/proc/self/ns/net");
  const places = ids.flatMap((id) => {
    try {
      return [readlinkSync(`/proc/${id}/ns/net`)];
    } catch {
      return [];
    }
  });
  return new Set(places.filter((place) => place !== ours));
}

function descendantsOf(id: number): readonly number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc").filter((name) => /^[0-9]+$/.test(name))) {
    try {
      // "pid (name) state ppid": the name may hold spaces and parentheses.
      const fields = readFileSync(`/proc/${name}/stat`, "latin1")
        .replace(/^.*\) /s, "")
        .split(" ");
      parents.set(Number(name), Number(fields[1]));
    } catch {
      // it has ended
    }
  }
  const found = [id];
  for (const each of found) for (const [child, parent] of parents) if (parent === each) found.push(child);
  return found.slice(1);
}

function commandOf(id: number): string {
  try {
    return readFileSync(`/proc/${id}/cmdline`, "latin1").replaceAll("\0", " ");
  } catch {
    return String(id);
  }
}
