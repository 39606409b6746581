import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bounded, ikebana } from "./children.ts";

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "ikebana-cli-"));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  chmodSync(join(folder, name), 0o600);
  return join(folder, name);
}

const GOOD = `connections:
  office:
    local: { address: 192.0.2.1, psk: "a key that is long enough" }
    remote: 192.0.2.2
    children: { lan: { local: 10.1.0.0/16, remote: 10.2.0.0/16 } }
`;

describe("words", () => {
  test("--version prints the version", async () => {
    const { code, out } = await ikebana("--version");
    expect([code, out]).toEqual([0, expect.stringMatching(/^\d+\.\d+\.\d+\n$/)]);
  });

  test("--help shows commands, examples and exit codes", async () => {
    const { code, out } = await ikebana("--help");
    expect(code).toBe(0);
    for (const word of [
      "status",
      "down",
      "ping",
      "reload",
      "logs",
      "config",
      "Examples:",
      "Exit codes: 0 done",
    ]) {
      expect(out).toContain(word);
    }
  });

  test.concurrent.each([
    "status",
    "down",
    "ping",
    "rekey",
    "reload",
    "logs",
    "disconnect",
    "redirect",
    "users",
    "setup",
    "check",
    "profile",
    "connect",
  ])("%s --help has an example", async (command) => {
    const { code, out } = await ikebana(command, "--help");
    expect([code, out]).toEqual([0, expect.stringMatching(/\$ (sudo )?ikebana /)]);
  });

  test.concurrent.each<[readonly string[], string]>([
    [["stauts"], "ikebana: unknown command 'stauts'\n(Did you mean status?)"],
    [["status", "--jsn"], "ikebana: unknown option '--jsn'\n(Did you mean --json?)"],
    [["ping"], "ikebana: missing required argument 'name'"],
    [["ping", "a", "-n", "0"], "a whole number from 1"],
    [["status", "--watch", "5"], 'duration "5" has no unit; write it like 90s or 1h30m'],
    [["status", "--watch", "1ms"], "from 100ms to 1d"],
    [["logs", "extra"], "too many arguments"],
    [["rekey"], "missing required argument 'name'"],
    [["connect", "vpn.example.org"], "say who logs in: --user, or --certificate and --key"],
    [["connect", "vpn example", "--user", "anna"], '"vpn example" is not a domain name'],
    [["connect", "vpn.example.org", "--user", "anna"], "there is no terminal to ask at"],
    [["connect", "192.0.2.1", "--user", "anna", "--network", "10.1.0.1/16"], 'did you mean "10.1.0.0/16"?'],
  ])("%j are wrong use: 1", async (words, message) => {
    const { code, error } = await ikebana(...words);
    expect([code, error]).toEqual([1, expect.stringContaining(message)]);
  });

  test("none at all are wrong use, and show the help", async () => {
    const { code, out, error } = await ikebana();
    expect([code, out + error]).toEqual([1, expect.stringContaining("Usage: ikebana")]);
  });
});

describe("without a daemon", () => {
  test.concurrent.each([
    ["status"],
    ["status --json"],
    ["down"],
    ["down office"],
    ["ping office"],
    ["rekey office --ike"],
    ["disconnect anna"],
    ["redirect gateway 192.0.2.2"],
    ["reload"],
    ["logs"],
    ["logs -f"],
  ])("%s ends with 3 and says so", async (line) => {
    expect(await ikebana(...line.split(" "))).toEqual({
      code: 3,
      out: "",
      error: "ikebana is not running (no socket at /nonexistent/ikebana.sock)\n",
    });
  });

  test("another socket can be named", async () => {
    const { code, error } = await ikebana("status", "--socket", join(folder, "other.sock"));
    expect([code, error]).toEqual([3, expect.stringContaining("other.sock")]);
  });

  test("a socket behind a closed door is a matter of permission: 8", async () => {
    const closed = join(folder, "closed");
    mkdirSync(closed, { mode: 0 });
    expect((await bounded("status", "--socket", join(closed, "ikebana.sock"))).code).toBe(8);
  });
});

describe("config check", () => {
  test("says that a good file is right", async () => {
    const path = file("good.yaml", GOOD);
    expect(await ikebana("config", "check", "-c", path)).toEqual({
      code: 0,
      out: `${path} is right: 1 connection (office)\n`,
      error: "",
    });
  });

  test("passes warnings on", async () => {
    const path = file("short.yaml", GOOD.replace("a key that is long enough", "short"));
    const { code, out, error } = await ikebana("config", "check", "-c", path);
    expect([code, out]).toEqual([0, expect.stringContaining("is right")]);
    expect(error).toMatch(/^warning: .*short\.yaml:3:\d+: a key of 5 octets can be guessed/);
  });

  test("lists what is wrong with a bad one: 2", async () => {
    const path = file("bad.yaml", GOOD.replace("children", "chidlren"));
    expect(await ikebana("config", "check", "-c", path)).toEqual({
      code: 2,
      out: "",
      error: [
        `${path}:5:5: unknown key "chidlren"; did you mean "children"?`,
        "    5 |     chidlren: { lan: { local: 10.1.0.0/16, remote: 10.2.0.0/16 } }",
        "      |     ^^^^^^^^",
        "",
      ].join("\n"),
    });
  });

  test("speaks JSON", async () => {
    const good = await ikebana("config", "check", "--json", "-c", file("good.yaml", GOOD));
    expect([good.code, JSON.parse(good.out)]).toMatchObject([0, { ok: true, problems: [], warnings: [] }]);
    const bad = await ikebana("config", "check", "--json", "-c", file("bad.yaml", "mtu: 1"));
    expect([bad.code, JSON.parse(bad.out)]).toMatchObject([
      2,
      {
        ok: false,
        problems: [
          { line: 1, column: 1, message: "there is nothing to run here: neither a gateway nor connections" },
          { line: 1, column: 6 },
        ],
      },
    ]);
  });

  test("of a file that is not there: 2", async () => {
    const path = join(folder, "none.yaml");
    const { code, error } = await ikebana("config", "check", "-c", path);
    expect([code, error]).toEqual([
      2,
      `ikebana: there is no configuration at ${path}; name another with -c FILE\n`,
    ]);
  });
});
