import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { allocatedBy, describeSites, HeapProbe } from "./heap-probe.ts";

const FIXTURE = fileURLToPath(new URL("./fixture.mjs", import.meta.url));

test("a heap probe sees what a thread allocates that never comes to rest, and in which function", async () => {
  const probe = new HeapProbe();
  const program = spawn(process.execPath, [FIXTURE], { env: { ...process.env, ...probe.environment } });
  const daemon = { signal: (signal: NodeJS.Signals) => void program.kill(signal) };
  try {
    await once(program.stdout, "data");
    await probe.weigh(daemon);
    expect(await probe.sample(daemon)).toHaveLength(1);
    await sleep(500);
    const [thread, ...others] = await probe.end(daemon);
    expect(others).toEqual([]);
    expect(allocatedBy(thread!)).toBeGreaterThan(100_000);
    expect(describeSites(thread!).split("\n", 1)[0]).toContain("allocateAll");
  } finally {
    program.kill("SIGKILL");
    probe.close();
  }
});
