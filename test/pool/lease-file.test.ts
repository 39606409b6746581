import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { LeaseFile } from "../../src/pool/lease-file.ts";

const ANNA = { user: "anna", device: "phone", addresses: ["10.77.0.2", "fd77::2"] };
const BERT = { user: "bert", device: "laptop", addresses: ["10.77.0.3"] };

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "ikebana-leases-"));
  path = join(directory, "state", "leases.json");
});
afterEach(() => rmSync(directory, { recursive: true }));

test("leases come back as they were written, from a file that is ours alone", async () => {
  expect(new LeaseFile(path).load()).toEqual({ leases: [] });
  await new LeaseFile(path).save(() => [ANNA, BERT]);
  expect(new LeaseFile(path).load()).toEqual({ leases: [ANNA, BERT] });
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(join(directory, "state"))).toEqual(["leases.json"]);
});

test("changes while a write is under way make one more write, with what holds then", async () => {
  const file = new LeaseFile(path);
  const asked: number[] = [];
  const saves = [1, 2, 3, 4].map((i) =>
    file.save(() => {
      asked.push(i);
      return [ANNA];
    }),
  );
  await Promise.all(saves);
  expect(asked).toEqual([1, 4]);
});

test.each(["", "{", "[]", '{"version":2,"leases":[]}', '{"version":1,"leases":[{"user":1}]}', "\0\0\0"])(
  "a file that holds %j counts as none, and is told of",
  async (text) => {
    await new LeaseFile(path).save(() => []);
    writeFileSync(path, text);
    expect(new LeaseFile(path).load()).toEqual({ leases: [], fault: `${path} is no list of leases` });
  },
);

test("a write that fails leaves the former file", async () => {
  await new LeaseFile(path).save(() => [ANNA]);
  const before = readFileSync(path, "utf8");
  const file = new LeaseFile(path);
  const broken = file.save(() => [{ ...BERT, addresses: [1n] as unknown as string[] }]);
  await expect(broken).rejects.toThrow(TypeError);
  expect(readFileSync(path, "utf8")).toBe(before);
  expect(existsSync(`${path}.new`)).toBe(false);
  await file.save(() => [BERT]);
  expect(new LeaseFile(path).load()).toEqual({ leases: [BERT] });
});
