import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BOOT_UNIT, bootUnit } from "../../src/killswitch/boot-unit.ts";
import { filesNamedIn } from "../../src/setup/named-files.ts";
import { installService } from "../../src/setup/service.ts";
import { SERVICE_UNIT, serviceUnit } from "../../src/setup/service-unit.ts";
import { systemdWord } from "../../src/setup/units.ts";
import { requireRoot } from "../support/namespace.ts";

/** The exposure that `systemd-analyze security` may find, of 10. */
const LARGEST_EXPOSURE = 3;

const ANALYZE = "systemd-analyze";

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "ikebana-units-"));
  chmodSync(folder, 0o755);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("words of a unit's command lines mean themselves", () => {
  expect(systemdWord("/usr/bin/node")).toBe("/usr/bin/node");
  expect(systemdWord('/opt/a b/100%/$x/"y"\\z')).toBe('"/opt/a b/100%%/$$x/\\"y\\"\\\\z"');
});

const hasSystemd = spawnSync(ANALYZE, ["--version"]).status === 0;
if (!hasSystemd) {
  if (process.env.IKEBANA_REQUIRE_INTEROP === "1")
    throw new Error("units: systemd-analyze is missing (apt install systemd)");
  console.log("skipped: units (systemd-analyze is missing: apt install systemd)");
}

describe.skipIf(!hasSystemd)("systemd", () => {
  test("finds nothing wrong with our units, and little that the daemon's leaves open", () => {
    const program = join(folder, "ikebana");
    writeFileSync(program, "#!/bin/sh\n", { mode: 0o755 });
    const config = "/etc/ikebana/ikebana.yaml";
    const units = {
      [SERVICE_UNIT.name]: serviceUnit({ node: process.execPath, program, config }),
      [BOOT_UNIT.name]: bootUnit({ nft: "/bin/true", rules: "/etc/ikebana/killswitch.nft" }),
    };
    for (const [name, text] of Object.entries(units)) {
      writeFileSync(join(folder, name), text);
      const { status, stderr } = analyze("verify", "--man=no", join(folder, name));
      // It also looks at units of the machine that these are ordered with.
      expect([name, status, stderr.split("\n").filter((line) => line.includes("ikebana"))]).toEqual([
        name,
        0,
        [],
      ]);
    }
    writeFileSync(
      join(folder, "wrong.service"),
      units[SERVICE_UNIT.name]!.replace("Type=notify", "Typo=notify"),
    );
    expect(analyze("verify", "--man=no", join(folder, "wrong.service")).stderr).toContain("Typo");

    const { stdout } = analyze("security", "--offline=true", "--no-pager", join(folder, SERVICE_UNIT.name));
    const exposure = Number(/Overall exposure level for ikebana\.service: ([\d.]+)/.exec(stdout)?.[1]);
    expect(exposure).toBeLessThanOrEqual(LARGEST_EXPOSURE);
  });

  function analyze(...words: readonly string[]): { status: number | null; stdout: string; stderr: string } {
    return spawnSync(ANALYZE, words, {
      encoding: "utf8",
      env: { ...process.env, SYSTEMD_COLORS: "0" },
    });
  }
});

const mayRun = requireRoot("a service's files");

test.skipIf(!mayRun)("a service gets a unit, and its user the files that it needs and no more", async () => {
  const config = join(folder, "ikebana.yaml");
  const users = join(folder, "users.yaml");
  const certificates = join(folder, "certificates");
  const closed = join(folder, "closed.pem");
  mkdirSync(certificates);
  for (const path of [config, users, join(certificates, "privkey.pem"), closed])
    writeFileSync(path, "", { mode: 0o600 });
  const { path, warnings } = await installService({
    user: "nobody",
    folder,
    config,
    node: "/bin/sh",
    program: "/bin/sh",
    owned: [users, certificates],
    needed: [closed],
  });
  const [uid, gid] = ["-u", "-g"].map((flag) =>
    Number(execFileSync("id", [flag, "nobody"], { encoding: "utf8" })),
  );
  const facts = (file: string) => {
    const { uid: owner, gid: group, mode } = statSync(file);
    return { owner, group, mode: mode & 0o777 };
  };
  expect(facts(config)).toEqual({ owner: 0, group: gid, mode: 0o640 });
  expect(facts(users)).toEqual({ owner: uid, group: gid, mode: 0o600 });
  expect(facts(join(certificates, "privkey.pem"))).toEqual({ owner: uid, group: gid, mode: 0o600 });
  expect(facts(certificates).owner).toBe(uid);
  expect(warnings).toEqual([`the user nobody cannot read ${closed}, and the daemon runs as that one`]);
  expect(readFileSync(path, "utf8")).toContain(`ExecStart=/bin/sh /bin/sh up -c ${config}\n`);
  expect(readlinkSync(join(folder, "multi-user.target.wants/ikebana.service"))).toBe("../ikebana.service");
  expect(existsSync(path)).toBe(true);
});

test.skipIf(!mayRun)(
  "a service of a configuration reads what that names beside it, and nobody else does",
  async () => {
    const site = join(folder, "site");
    mkdirSync(join(site, "keys"), { recursive: true });
    const at = (name: string): string => join(site, name);
    writeFileSync(at("ikebana.yaml"), SITE, { mode: 0o600 });
    const secret = { mode: 0o600 } as const;
    for (const name of ["office.psk", "keys/own.key", "other.psk", "theirs.psk"])
      writeFileSync(at(name), "a secret", secret);
    writeFileSync(at("own.pem"), "", { mode: 0o644 });
    chownSync(at("theirs.psk"), 1, 1);
    chmodSync(at("keys/own.key"), 0o620);
    writeFileSync(at("group.psk"), "a secret", { mode: 0o640 });
    chownSync(at("group.psk"), 0, 1);
    const named = filesNamedIn(SITE, site);
    expect(named).toEqual(["office.psk", "own.pem", "keys/own.key", "theirs.psk", "group.psk"].map(at));
    const { warnings } = await installService({
      ...{ user: "nobody", folder, config: at("ikebana.yaml"), node: "/bin/sh", program: "/bin/sh" },
      ...{ owned: [], shared: named, needed: named },
    });
    const group = Number(execFileSync("id", ["-g", "nobody"], { encoding: "utf8" }));
    const facts = (name: string) => {
      const { uid, gid, mode } = statSync(at(name));
      return [uid, gid, mode & 0o777];
    };
    expect(facts("office.psk")).toEqual([0, group, 0o640]);
    expect(facts("keys/own.key")).toEqual([0, group, 0o640]);
    // Open to all, of somebody else, of a group that has it already, not named.
    expect([facts("own.pem")[2], facts("theirs.psk"), facts("group.psk"), facts("other.psk")[2]]).toEqual([
      0o644,
      [1, 1, 0o600],
      [0, 1, 0o640],
      0o600,
    ]);
    expect(warnings).toEqual(
      ["theirs.psk", "group.psk"].map(
        (name) => `the user nobody cannot read ${at(name)}, and the daemon runs as that one`,
      ),
    );
  },
);

const SITE = `connections:
  office:
    local: { id: other.psk.example.org, psk: { file: office.psk } }
    remote: { address: 192.0.2.2, id: b.example.org }
    children: { lan: { local: 10.1.0.0/16, remote: 10.2.0.0/16 } }
  branch:
    local: { id: a.example.org, certificate: own.pem, key: keys/own.key, psk: missing.psk }
    remote: { address: 192.0.2.3, id: c.example.org, psk: ./theirs.psk }
  third:
    remote: { address: 192.0.2.4, id: d.example.org, psk: group.psk }
`;

test.skipIf(!mayRun)(
  "a service of a configuration at somebody's home can read it there, or says that it cannot",
  async () => {
    const at = (home: string): string => serviceUnit({ node: "/bin/sh", program: "/bin/sh", config: home });
    expect(at("/home/alice/ikebana.yaml")).toContain("ProtectHome=read-only\n");
    expect(at("/etc/ikebana/ikebana.yaml")).toContain("ProtectHome=yes\n");
    const home = join(folder, "home");
    mkdirSync(home, { mode: 0o700 });
    const config = join(home, "ikebana.yaml");
    writeFileSync(config, "", { mode: 0o600 });
    const { warnings } = await installService({
      ...{ user: "nobody", folder, config, node: "/bin/sh", program: "/bin/sh", owned: [], needed: [] },
    });
    expect(warnings).toEqual([`the user nobody cannot read ${config}, and the daemon runs as that one`]);
  },
);
