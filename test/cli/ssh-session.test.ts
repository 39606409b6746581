import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isNear, sshSession } from "../../src/cli/ssh-session.ts";
import { ikebana, startIkebanaWith } from "./children.ts";

const SESSION = { address: "192.0.2.1", port: 22, peer: "203.0.113.5" };

let proc: string;
beforeAll(() => {
  proc = mkdtempSync(join(tmpdir(), "ikebana-proc-"));
  // sshd -> shell -> sudo, whose name is meant to confuse.
  running(100, 1, "sshd", []);
  running(200, 100, "bash", ["HOME=/home/anna", "SSH_CONNECTION=203.0.113.5 51234 192.0.2.1 22", "X=1"]);
  running(300, 200, "su) S 1 (do", ["HOME=/root"]);
  running(400, 400, "its own parent", []);
});
afterAll(() => rmSync(proc, { recursive: true, force: true }));

function running(pid: number, parent: number, name: string, environment: readonly string[]): void {
  mkdirSync(join(proc, String(pid)));
  writeFileSync(join(proc, String(pid), "environ"), environment.map((each) => `${each}\0`).join(""));
  writeFileSync(join(proc, String(pid), "stat"), `${pid} (${name}) S ${parent} 1 1 0`);
}

const said = (text: string) => sshSession({ environment: { SSH_CONNECTION: text }, proc, parent: 100 });

describe("the SSH session that a command is typed in", () => {
  test("is what sshd says, to us or to a process above that has not handed it on", () => {
    expect(said("203.0.113.5 51234 192.0.2.1 22")).toEqual(SESSION);
    expect(said("2001:DB8::5 51234 2001:db8:0::1 2222")).toEqual({
      address: "2001:db8::1",
      port: 2222,
      peer: "2001:db8::5",
    });
    expect(sshSession({ environment: {}, proc, parent: 300 })).toEqual(SESSION);
  });

  test("is near where it takes no route that a tunnel changes: on this machine, or on one link", () => {
    for (const [text, peer] of [
      ["127.0.0.1 51234 127.0.0.1 22", "127.0.0.1"],
      ["::1 51234 ::1 22", "::1"],
      ["fe80::5%eth0 51234 fe80::1%eth0 22", "fe80::5"],
      ["fe80::5 51234 fe80::1 22", "fe80::5"],
    ] as const) {
      expect(said(text)!.peer).toBe(peer);
      expect(isNear(said(text)!)).toBe(true);
    }
    for (const text of ["203.0.113.5 51234 192.0.2.1 22", "2001:DB8::5 51234 2001:db8:0::1 2222"])
      expect(isNear(said(text)!)).toBe(false);
  });

  test("is none where nobody says so", () => {
    for (const parent of [100, 400, 500, 1])
      expect(sshSession({ environment: {}, proc, parent })).toBeUndefined();
    for (const text of [
      "",
      "203.0.113.5 51234 192.0.2.1 0",
      "203.0.113.5 51234 192.0.2.1 70000",
      "203.0.113.5 51234 2001:db8::1 22",
      "somewhere 51234 192.0.2.1 22",
    ])
      expect(said(text), text).toBeUndefined();
  });
});

describe("connect", () => {
  const connect = (...words: readonly string[]) =>
    startIkebanaWith({ SSH_CONNECTION: "203.0.113.5 51234 192.0.2.1 22" }, [
      ...["connect", "vpn.example.org", "--user", "anna", "--no-keep-ssh", ...words],
    ]).ended;

  test("cuts the session that it is typed in only when told to", async () => {
    expect(await connect()).toMatchObject({
      code: 1,
      error: expect.stringContaining(
        "this SSH session, from 203.0.113.5, ends when its answers go into the tunnel",
      ),
    });
    expect((await connect("--network", "203.0.113.0/24")).error).toContain("or say --yes");
    // What comes next is the password.
    for (const words of [["--yes"], ["--network", "10.1.0.0/16"]])
      expect((await connect(...words)).error).toContain("there is no terminal to ask at");
  });

  test("wants to know who logs in", async () => {
    expect((await ikebana("connect", "vpn.example.org")).error).toContain("say who logs in: --user");
    expect((await ikebana("connect", "vpn.example.org", "--certificate", "a.pem")).error).toContain(
      "--certificate goes with --key",
    );
  });
});
