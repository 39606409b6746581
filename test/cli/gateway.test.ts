import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import { ntHash } from "../../src/crypto/nt-hash.ts";
import { createAuthority, generateKeys, issue } from "../../src/pki/authority.ts";
import { writePem } from "../../src/pki/pem.ts";
import { loadUsers } from "../../src/users/users-file.ts";
import { ikebana, ikebanaAtTerminal, ikebanaWithInput } from "./children.ts";

let folder: string;
let config: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "ikebana-gateway-"));
  config = join(folder, "gateway", "ikebana.yaml");
  const { code, error } = await setup("--user", "anna", "--self-signed");
  expect([code, error]).toEqual([0, expect.stringContaining(`written: ${config}`)]);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function setup(...words: readonly string[]) {
  return ikebana(
    "setup",
    "-c",
    config,
    "--domain",
    "localhost",
    "--letsencrypt",
    join(folder, "none"),
    ...words,
  );
}

function users(...words: readonly string[]) {
  return ikebana("users", ...words, "-c", config);
}

function hashOf(name: string): Uint8Array | undefined {
  const path = join(folder, "gateway", "users.yaml");
  return loadUsers(path).users.find((user) => user.name === name)?.ntHash;
}

describe("setup", () => {
  test("writes a configuration that can be read, files that others cannot, and the first user", () => {
    const { gateway, warnings } = loadConfig(config);
    expect(gateway).toMatchObject({
      domain: "localhost",
      masquerades: true,
      authentications: ["eap-mschapv2"],
    });
    expect(gateway?.pools).toHaveLength(2);
    expect(warnings).toEqual([]);
    expect(hashOf("anna")).toHaveLength(16);
    const mode = (name: string) => statSync(join(folder, "gateway", name)).mode & 0o777;
    expect([mode("ikebana.yaml"), mode("users.yaml"), mode("certificates/privkey.pem")]).toEqual([
      0o640, 0o600, 0o600,
    ]);
  });

  test("does not replace a configuration unless told to", async () => {
    const before = readFileSync(config, "utf8");
    const { code, error } = await setup("--user", "berta", "--self-signed");
    expect([code, error]).toEqual([2, expect.stringContaining("is there already; --force replaces it")]);
    expect(readFileSync(config, "utf8")).toBe(before);
  });

  test("asks for what no flag says, three questions at most, and shows the password once", async () => {
    const own = join(folder, "asked", "ikebana.yaml");
    const words = ["setup", "-c", own, "--letsencrypt", join(folder, "none")];
    const { code, out } = await ikebanaAtTerminal(words, [
      ["Domain name that users will type: ", "VPN.example.org"],
      ["(empty for a CA of your own): ", ""],
      ["Name of the first user: ", "carla"],
    ]);
    expect(code).toBe(0);
    expect(loadConfig(own).gateway?.domain).toBe("vpn.example.org");
    const [, password = ""] = /Password +(\S+)/.exec(out) ?? [];
    const [carla] = loadUsers(join(folder, "asked", "users.yaml")).users;
    expect(carla).toMatchObject({ name: "carla", ntHash: ntHash(password) });
  });

  test("takes certbot's certificate, and hands over every later one", async () => {
    const certbot = join(folder, "letsencrypt");
    const lineage = join(certbot, "live", "vpn.example.org");
    mkdirSync(lineage, { recursive: true });
    for (const name of ["fullchain.pem", "privkey.pem"]) {
      writeFileSync(join(lineage, name), readFileSync(join(folder, "gateway/certificates", name)));
    }
    const own = join(folder, "certbot", "ikebana.yaml");
    const { code } = await ikebanaWithInput(
      "correct horse\n",
      ...["setup", "-c", own, "--domain", "vpn.example.org", "--user", "anna"],
      ...["--password-stdin", "--letsencrypt", certbot],
    );
    expect(code).toBe(0);
    const [files] = loadConfig(own).gateway!.certificates;
    expect(readFileSync(files!.key, "utf8")).toBe(readFileSync(join(lineage, "privkey.pem"), "utf8"));
    expect(statSync(join(certbot, "renewal-hooks/deploy/ikebana")).mode & 0o777).toBe(0o755);
    const [anna] = loadUsers(join(folder, "certbot", "users.yaml")).users;
    expect(anna?.ntHash).toEqual(ntHash("correct horse"));
  });

  test.concurrent.each<[readonly string[], string]>([
    [[], "say it with --domain: there is no terminal to ask at"],
    [["--domain", "vpn.example.org"], "or say --certificate and --key, or --self-signed"],
    [["--domain", "vpn.example.org", "--self-signed"], "say it with --user"],
    [["--domain", "vpn.example.org", "--certificate", "a.pem"], "--certificate goes with --key"],
    [["--domain", "192.0.2.256", "--self-signed"], '"192.0.2.256" is not an IP address'],
    [["--domain", "192.0.2.1"], "in NOWHERE; say --certificate and --key, or --self-signed"],
    [["--domain", "vpn.example.org", "--self-signed", "--user", "A\\b"], "write the name without a domain"],
  ])("with %j alone says what is missing and writes nothing", async (words, message) => {
    const own = join(folder, "unwritten", "ikebana.yaml");
    const { code, error } = await ikebana(
      "setup",
      "-c",
      own,
      "--letsencrypt",
      join(folder, "none"),
      ...words,
    );
    const said = error.replaceAll(join(folder, "none"), "NOWHERE");
    expect([code, said]).toEqual([1, expect.stringContaining(message)]);
    expect(existsSync(join(folder, "unwritten"))).toBe(false);
  });
});

test("the profile for Windows knows by the gateway's chain which root Windows needs", async () => {
  const nowMs = Date.now();
  const keys = await generateKeys("p256");
  const authority = createAuthority({ name: "O=Somebody, CN=ISRG Root X1", keys, nowMs });
  const names = { name: "CN=vpn.example.org", altNames: ["vpn.example.org"] };
  const { certificate } = issue(authority, { purpose: "server", ...names, keys, nowMs });
  writeFileSync(join(folder, "public.pem"), writePem("CERTIFICATE", certificate));
  const own = join(folder, "public.yaml");
  const lines = [
    "domain: vpn.example.org",
    "certificate: public.pem",
    "key: none",
    "users: none",
    "pool: 10.77.0.0/24",
  ];
  writeFileSync(own, ["gateway:", ...lines.map((line) => `  ${line}`), ""].join("\n"));
  const { code, out } = await ikebana("profile", "anna", "--for", "windows", "-c", own);
  expect([code, out]).toEqual([0, expect.stringContaining("https://valid-isrgrootx1.letsencrypt.org/")]);
});

describe("users", () => {
  test("are added, listed, disabled, enabled and removed", async () => {
    const added = await users("add", "doris", "--generate");
    expect(added).toMatchObject({ code: 0, error: "doris may log in\n" });
    expect(added.out).toMatch(/^[a-z2-9]{4}(-[a-z2-9]{4}){3}\n$/);
    expect(hashOf("doris")).toEqual(ntHash(added.out.trim()));
    expect(await users("disable", "DORIS")).toMatchObject({ code: 0 });
    expect(JSON.parse((await users("list", "--json")).out).users).toContainEqual({
      name: "doris",
      isDisabled: true,
    });
    expect((await users("list")).out).toMatch(/^doris +disabled$/m);
    await users("enable", "doris");
    expect((await users("list")).out).toMatch(/^doris$/m);
    expect(await users("del", "doris")).toMatchObject({ code: 0, error: "doris is removed\n" });
    expect(hashOf("doris")).toBeUndefined();
  });

  test("get their password from the standard input, or from the terminal, twice and unseen", async () => {
    await ikebanaWithInput("first one\n", "users", "add", "emma", "--password-stdin", "-c", config);
    expect(hashOf("emma")).toEqual(ntHash("first one"));
    const { code, out } = await ikebanaAtTerminal(
      ["users", "passwd", "emma", "-c", config],
      [
        ["New password for emma: ", "correct horse"],
        ["The same once more: ", "corect horse"],
        ["New password for emma: ", "correct horse"],
        ["The same once more: ", "correct horse"],
      ],
    );
    expect([code, out]).toEqual([0, expect.not.stringContaining("horse")]);
    expect(out).toContain("They differ");
    expect(hashOf("emma")).toEqual(ntHash("correct horse"));
  });

  test("are shown no hash and no password", async () => {
    const { out } = await users("list", "--json");
    expect(Object.keys(JSON.parse(out).users[0])).toEqual(["name", "isDisabled"]);
  });

  test.concurrent.each<[readonly string[], string]>([
    [["add", "Anna", "--generate"], 'there is a user "Anna" already'],
    [["passwd", "nobody", "--generate"], 'there is no user "nobody"'],
    [["del", "nobody"], 'there is no user "nobody"'],
    [["disable", "nobody"], 'there is no user "nobody"'],
    [["add", "", "--generate"], "a user name is empty"],
    [["add", "HOME\\anna", "--generate"], "write the name without a domain"],
    [["add", "fritz"], "there is no terminal to ask at"],
    [["ad", "fritz"], "Did you mean add?"],
  ])("%j is wrong use", async (words, message) => {
    const { code, error } = await users(...words);
    expect([code, error]).toEqual([1, expect.stringContaining(message)]);
  });

  test("may stand in a file that no configuration names", async () => {
    const file = join(folder, "others.yaml");
    await ikebana("users", "add", "gina", "--generate", "--file", file);
    expect((await ikebana("users", "list", "--file", file)).out).toBe("gina\n");
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });
});

describe("check", () => {
  test("has a line for each thing, and what to do about it", async () => {
    const { out } = await ikebana("check", "-c", config);
    expect(out).toMatch(/^OK {4}configuration +.* is right$/m);
    expect(out).toMatch(/^OK {4}certificate-name +it is for localhost$/m);
    expect(out).toMatch(/^WARN {2}certificate-chain .*\n +-> each device has to be given/m);
  });

  test("speaks JSON, and ends with what is wrong: 2 the configuration, 7 the certificate", async () => {
    const bad = await ikebana("check", "--json", "-c", join(folder, "none.yaml"));
    expect(bad.code).toBe(2);
    expect(JSON.parse(bad.out).findings[0]).toMatchObject({ check: "configuration", outcome: "failure" });
    const own = join(folder, "gateway", "other.yaml");
    writeFileSync(own, readFileSync(config, "utf8").replace("domain: localhost", "domain: vpn.example.org"));
    chmodSync(own, 0o600);
    const { out } = await ikebana("check", "--json", "-c", own);
    expect(JSON.parse(out).findings).toContainEqual(
      expect.objectContaining({ check: "certificate-name", outcome: "failure" }),
    );
  });
});

test("profile takes domain, networks and CA from the configuration", async () => {
  const { code, out } = await ikebana("profile", "anna", "--for", "android", "-c", config);
  const ca = readFileSync(join(folder, "gateway/certificates/ca.pem"), "utf8");
  const der = ca.replace(/-----[A-Z ]+-----|\s/g, "");
  expect([code, JSON.parse(out)]).toMatchObject([0, { remote: { addr: "localhost", cert: der } }]);
});
