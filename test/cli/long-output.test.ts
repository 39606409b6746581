import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ControlServer } from "../../src/control/server.ts";
import type { EngineStatus } from "../../src/engine/status.ts";
import { FakeDaemon, STATUS } from "../control/fake-daemon.ts";
import { until } from "./children.ts";

const MAIN = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));
const CONNECTION_COUNT = 10_000;

const folder = mkdtempSync(join(tmpdir(), "ikebana-cli-"));
const socket = join(folder, "ikebana.sock");
let server: ControlServer;
let isAsked = false;

class BusyDaemon extends FakeDaemon {
  override status(): EngineStatus {
    isAsked = true;
    const [connection] = STATUS.connections;
    const named = (_: unknown, index: number) => ({ ...connection!, name: `site${index}` });
    return { ...STATUS, connections: Array.from({ length: CONNECTION_COUNT }, named) };
  }
}

beforeAll(async () => {
  server = await ControlServer.listen(socket);
  server.serve(new BusyDaemon());
});

afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

test("a reader that takes its time gets a long status to the end", async () => {
  const child = spawn(process.execPath, [MAIN, "status", "--json", "-s", socket], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  // Nobody reads while the command has its answer and is done.
  await until(() => isAsked);
  await new Promise((resolve) => setTimeout(resolve, 500));
  const status: EngineStatus = JSON.parse(await text(child.stdout!));
  expect(status.connections).toHaveLength(CONNECTION_COUNT);
  expect((await ended)[0]).toBe(0);
});
