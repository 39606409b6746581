import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LinuxResolver } from "../../../src/platform/resolver/linux-resolver.ts";

const FULL = { link: "ikebana0", servers: ["10.77.0.1", "fd77::1"], domains: [] };
const SPLIT = { ...FULL, domains: ["corp.example.org", "lab.example.org"] };
const FORMER = "# from the provider\nnameserver 192.0.2.53\nnameserver 192.0.2.54\nsearch example.net\n";

let root: string;
let file: string;
let path: string | undefined;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "ikebana-resolver-"));
  file = join(root, "etc/resolv.conf");
  mkdirSync(join(root, "etc"));
  mkdirSync(join(root, "bin"));
  writeFileSync(file, FORMER, { mode: 0o640 });
  path = process.env.PATH;
  // A machine with no programs but those that a test gives it.
  process.env.PATH = `${join(root, "bin")}`;
});
afterEach(() => {
  process.env.PATH = path;
  rmSync(root, { recursive: true });
});

/** Another life on the same machine. */
function resolver(): LinuxResolver {
  return new LinuxResolver({ stateDirectory: join(root, "state"), root });
}

/** A program that writes down how it was called and what it was given. */
function install(program: string, { fails = "" }: { readonly fails?: string } = {}): void {
  const script = `#!/bin/sh
echo "${program} $*" >>${root}/calls
case "$*" in ${fails === "" ? "nothing" : fails}*) echo "no such thing" >&2; exit 1;; -a*) /bin/cat >>${root}/calls;; esac
`;
  writeFileSync(join(root, "bin", program), script);
  chmodSync(join(root, "bin", program), 0o755);
}

function calls(): readonly string[] {
  try {
    return readFileSync(join(root, "calls"), "utf8").trimEnd().split("\n");
  } catch {
    return [];
  }
}

describe("a plain file", () => {
  test("holds our servers, and afterwards what it held before", async () => {
    const ours = resolver();
    expect({ name: ours.name, splits: ours.splitsDomains }).toEqual({ name: file, splits: false });
    await ours.set(FULL);
    expect(readFileSync(file, "utf8")).toMatch(
      /^# Made by ikebana.*\nnameserver 10\.77\.0\.1\nnameserver fd77::1\n$/,
    );
    await ours.set({ ...FULL, servers: ["10.77.0.9"] });
    expect(readFileSync(file, "utf8")).toContain("nameserver 10.77.0.9\n");
    await ours.restore();
    expect(readFileSync(file, "utf8")).toBe(FORMER);
    expect(statSync(file).mode & 0o777).toBe(0o640);
    await ours.restore();
    expect(readFileSync(file, "utf8")).toBe(FORMER);
  });

  test("keeps the former servers behind ours where ours are for some domains only", async () => {
    await resolver().set(SPLIT);
    expect(readFileSync(file, "utf8").split("\n").slice(1)).toEqual([
      "nameserver 10.77.0.1",
      "nameserver fd77::1",
      "nameserver 192.0.2.53",
      "search corp.example.org lab.example.org",
      "",
    ]);
  });

  test("comes back in another life, also when that one writes it again first", async () => {
    await resolver().set(FULL);
    await resolver().restore();
    expect(readFileSync(file, "utf8")).toBe(FORMER);
    await resolver().set(FULL);
    const next = resolver();
    await next.set(SPLIT);
    await next.restore();
    expect(readFileSync(file, "utf8")).toBe(FORMER);
  });

  test("comes back as the link that it was, or goes where there was none", async () => {
    rmSync(file);
    symlinkSync("../run/resolv.conf", file);
    await resolver().set(FULL);
    expect(lstatSync(file).isSymbolicLink()).toBe(false);
    await resolver().restore();
    expect(readlinkSync(file)).toBe("../run/resolv.conf");
    rmSync(file);
    await resolver().set(FULL);
    await resolver().restore();
    expect(lstatSync(file, { throwIfNoEntry: false })).toBeUndefined();
  });

  test("stays as somebody else has written it meanwhile", async () => {
    await resolver().set(FULL);
    writeFileSync(file, "nameserver 203.0.113.53\n");
    await resolver().restore();
    expect(readFileSync(file, "utf8")).toBe("nameserver 203.0.113.53\n");
    // What was there before us is forgotten: it would come back at a wrong time.
    await resolver().set(FULL);
    await resolver().restore();
    expect(readFileSync(file, "utf8")).toBe("nameserver 203.0.113.53\n");
  });
});

describe("resolvconf", () => {
  test("gets a list of ours, and loses it again in this life or the next", async () => {
    install("resolvconf");
    const ours = resolver();
    expect(ours.name).toBe("resolvconf");
    await ours.set(SPLIT);
    await resolver().restore();
    await resolver().restore();
    expect(calls()).toEqual([
      "resolvconf -a tun.ikebana0 -m 0 -x",
      "nameserver 10.77.0.1",
      "nameserver fd77::1",
      "search corp.example.org lab.example.org",
      "resolvconf -d tun.ikebana0 -f",
    ]);
    expect(readFileSync(file, "utf8")).toBe(FORMER);
  });

  test("that refuses is no reason to write the file ourselves", async () => {
    install("resolvconf", { fails: "-a" });
    await expect(resolver().set(FULL)).rejects.toThrow("resolvconf: no such thing");
    expect(readFileSync(file, "utf8")).toBe(FORMER);
  });
});

describe("systemd-resolved", () => {
  beforeEach(() => {
    install("resolvectl");
    install("resolvconf");
    mkdirSync(join(root, "run/systemd/resolve"), { recursive: true });
    writeFileSync(join(root, "run/systemd/resolve/io.systemd.Resolve"), "");
    writeFileSync(file, "nameserver 127.0.0.53\noptions edns0 trust-ad\n");
  });

  test("asks our servers about everything through the link", async () => {
    const ours = resolver();
    expect({ name: ours.name, splits: ours.splitsDomains }).toEqual({
      name: "systemd-resolved",
      splits: true,
    });
    await ours.set(FULL);
    await ours.restore();
    await ours.restore();
    expect(calls()).toEqual([
      "resolvectl dns ikebana0 10.77.0.1 fd77::1",
      "resolvectl domain ikebana0 ~.",
      "resolvectl default-route ikebana0 true",
      "resolvectl revert ikebana0",
    ]);
  });

  test("or about our domains only", async () => {
    await resolver().set(SPLIT);
    expect(calls().slice(1)).toEqual([
      "resolvectl domain ikebana0 ~corp.example.org ~lab.example.org",
      "resolvectl default-route ikebana0 false",
    ]);
  });

  test("has nothing of ours when it refuses a part", async () => {
    install("resolvectl", { fails: "domain" });
    await expect(resolver().set(FULL)).rejects.toThrow("resolvectl: no such thing");
    expect(calls().at(-1)).toBe("resolvectl revert ikebana0");
  });

  test("is left aside where programs do not ask it", async () => {
    writeFileSync(file, FORMER);
    rmSync(join(root, "bin/resolvconf"));
    await resolver().set(FULL);
    expect(calls()).toEqual([]);
    expect(readFileSync(file, "utf8")).toContain("nameserver 10.77.0.1");
  });
});
