import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { findKernel } from "../../../src/bench/guest/kernels.ts";

const directory = mkdtempSync(join(tmpdir(), "bench-kernels-"));
afterAll(() => rmSync(directory, { recursive: true }));

test("of the kernels in a folder the newest is taken whose modules are there, wherever a package has them", () => {
  const folder = layOut("several", {
    kernels: ["6.1.0-9-amd64", "6.1.0-10-amd64", "6.12.0-1-amd64"],
    modules: ["lib/modules/6.1.0-9-amd64", "usr/lib/modules/6.1.0-10-amd64"],
  });
  expect(findKernel(folder)).toEqual({
    version: "6.1.0-10-amd64",
    image: join(folder, "boot/vmlinuz-6.1.0-10-amd64"),
    base: join(folder, "usr"),
  });
});

test("where there is none, the error names the package", () => {
  const folder = layOut("none", { kernels: ["6.1.0-9-amd64"], modules: [] });
  expect(() => findKernel(folder)).toThrow(/no kernel with its modules in .*boot: .*linux-image-amd64/);
  expect(() => findKernel(join(directory, "nowhere"))).toThrow(/linux-image-amd64/);
});

function layOut(
  name: string,
  { kernels, modules }: { readonly kernels: readonly string[]; readonly modules: readonly string[] },
): string {
  const folder = join(directory, name);
  mkdirSync(join(folder, "boot"), { recursive: true });
  for (const kernel of kernels) writeFileSync(join(folder, "boot", `vmlinuz-${kernel}`), "");
  for (const place of modules) mkdirSync(join(folder, place), { recursive: true });
  return folder;
}
