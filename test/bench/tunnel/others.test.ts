import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { ticksOfOthers, watchOthers } from "../../../src/bench/tunnel/others.ts";

const root = mkdtempSync(join(tmpdir(), "bench-others-"));
afterAll(() => rmSync(root, { recursive: true }));

test("others are who is neither in the run's networks nor a descendant of it", () => {
  // Time of a process: its own in user and kernel mode, and that of children that have ended.
  process_(1, { parent: 0, times: [1, 2, 3, 4], network: "net:[1]" });
  process_(50, { parent: 1, times: [10, 20, 30, 40], network: "net:[1]" }); // the bench
  process_(51, { parent: 50, times: [100, 0, 0, 0], network: "net:[1]" }); // what it starts
  process_(60, { parent: 1, times: [1000, 0, 0, 0], network: "net:[9]" }); // a daemon in a namespace
  process_(70, { parent: 1, times: [5, 5, 0, 7], network: "net:[1]" });
  mkdirSync(join(root, "self"));
  const isOurs = (network: string): boolean => network === "net:[9]";
  expect(ticksOfOthers(isOurs, { root, self: 50 })).toBe(10 + 17);
});

test("shares of this machine are shares", () => {
  const { programs, stolen } = watchOthers(() => false)();
  for (const share of [programs, stolen]) {
    expect(share).toBeGreaterThanOrEqual(0);
    expect(share).toBeLessThanOrEqual(1);
  }
});

function process_(
  id: number,
  {
    parent,
    times,
    network,
  }: { readonly parent: number; readonly times: readonly number[]; readonly network: string },
): void {
  mkdirSync(join(root, String(id), "ns"), { recursive: true });
  symlinkSync(network, join(root, String(id), "ns", "net"));
  const before = "1 1 0 -1 4194304 1 1 1 1";
  writeFileSync(
    join(root, String(id), "stat"),
    `${id} (a (b) c) S ${parent} ${before} ${times.join(" ")} 20 0\n`,
  );
}
