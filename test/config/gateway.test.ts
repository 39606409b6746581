import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadGateway } from "../../src/config/load.ts";
import { ConfigError } from "../../src/config/problem.ts";

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "ikebana-gateway-"));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const CERTIFICATE = "certificate: full.pem\nkey: priv.pem";
const LEAST = `domain: vpn.example.org\n${CERTIFICATE}\nusers: users.yaml\npool: 10.77.0.0/24`;

function gateway(lines: string) {
  return loadGateway(file(lines))!;
}

function file(lines: string): string {
  writeFileSync(join(folder, "ikebana.yaml"), `gateway:\n${lines.replace(/^/gm, "  ")}\n`);
  return join(folder, "ikebana.yaml");
}

function problemsOf(lines: string): string {
  try {
    gateway(lines);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ line, column, message }) => `${line}:${column}: ${message}`).join("\n");
  }
  throw new Error("the text was accepted");
}

describe("a gateway", () => {
  test("needs a domain, a certificate, users and a pool; the rest has defaults", () => {
    expect(gateway(LEAST)).toEqual({
      domain: "vpn.example.org",
      certificates: [{ certificate: join(folder, "full.pem"), key: join(folder, "priv.pem") }],
      authentications: ["eap-mschapv2"],
      takesEapOnly: false,
      radiusServers: [],
      usersFile: join(folder, "users.yaml"),
      clientAuthorities: [],
      pools: ["10.77.0.0/24"],
      dns: [],
      domains: [],
      subnets: ["0.0.0.0/0"],
      devicesPerUser: 5,
      childLifetimeMs: 28 * 3_600_000,
      ikeLifetimeMs: 28 * 3_600_000,
      reachEachOther: false,
      masquerades: false,
      takesWindowsDefault: false,
    });
  });

  test("may say everything", () => {
    const lines = [
      "domain: VPN.Example.Org.",
      "certificates: [{ certificate: /rsa.pem, key: /rsa.key }, { certificate: /ec.pem, key: /ec.key, passphrase: /ec.pass }]",
      "auth: [eap-mschapv2, eap-tls, certificate]",
      "eapOnly: true",
      "users: users.yaml",
      "ca: clients.pem",
      "revocation: { mode: strict, crl: clients.crl, private: true }",
      'pool: [10.77.0.0/24, "fd77::/64"]',
      'dns: [10.77.0.1, "fd77::1"]',
      "domains: corp.example.org",
      'subnets: [10.0.0.0/8, "fd00::/8"]',
      "devicesPerUser: 2",
      "childLifetime: 36h",
      "ikeLifetime: never",
      "clientToClient: true",
      "nat: true",
      "compat: windows-default",
    ];
    expect(gateway(lines.join("\n"))).toEqual({
      domain: "vpn.example.org",
      certificates: [
        { certificate: "/rsa.pem", key: "/rsa.key" },
        { certificate: "/ec.pem", key: "/ec.key", passphrase: "/ec.pass" },
      ],
      authentications: ["eap-mschapv2", "eap-tls", "certificate"],
      takesEapOnly: true,
      radiusServers: [],
      usersFile: join(folder, "users.yaml"),
      clientAuthorities: [join(folder, "clients.pem")],
      revocation: { mode: "strict", crl: [join(folder, "clients.crl")], private: true },
      pools: ["10.77.0.0/24", "fd77::/64"],
      dns: ["10.77.0.1", "fd77::1"],
      domains: ["corp.example.org"],
      subnets: ["10.0.0.0/8", "fd00::/8"],
      devicesPerUser: 2,
      childLifetimeMs: 36 * 3_600_000,
      ikeLifetimeMs: Number.POSITIVE_INFINITY,
      reachEachOther: true,
      masquerades: true,
      takesWindowsDefault: true,
    });
  });

  test("reaches everything of the families that its pools have", () => {
    expect(gateway(LEAST.replace("10.77.0.0/24", '[10.77.0.0/24, "fd77::/64"]')).subnets).toEqual([
      "0.0.0.0/0",
      "::/0",
    ]);
    expect(gateway(LEAST.replace("10.77.0.0/24", '"fd77::/64"')).subnets).toEqual(["::/0"]);
  });
});

describe("RADIUS servers", () => {
  const SERVERS = "radius:\n  servers:\n    - { address: 192.0.2.10, secret: { file: radius.secret } }\n";

  test("decide on logins, at port 1812 where nothing else is said", () => {
    writeFileSync(join(folder, "radius.yaml"), `${readFileSync(file(`${LEAST}\nauth: radius`))}${SERVERS}`);
    expect(loadGateway(join(folder, "radius.yaml"))).toMatchObject({
      authentications: ["radius"],
      radiusServers: [{ address: "192.0.2.10", port: 1812, secret: { file: join(folder, "radius.secret") } }],
    });
  });

  test("keep account at port 1813, those of the logins where no others are named", () => {
    const path = join(folder, "radius.yaml");
    const load = (accounting: string) => {
      writeFileSync(
        path,
        `${readFileSync(file(`${LEAST}\nauth: radius`))}${SERVERS}  accounting: ${accounting}\n`,
      );
      return loadGateway(path)?.radiusAccounting;
    };
    const secret = { file: join(folder, "radius.secret") };
    expect(load("{}")).toEqual({
      servers: [{ address: "192.0.2.10", port: 1813, secret }],
      interimMs: 600_000,
    });
    expect(load("{ servers: [{ address: 192.0.2.11, port: 11813, secret: s }], interim: never }")).toEqual({
      servers: [{ address: "192.0.2.11", port: 11_813, secret: "s" }],
      interimMs: Number.POSITIVE_INFINITY,
    });
    expect(() => load("{ interim: 10ms }")).toThrow("reports come every 1s to 1d, or never; not 10ms");
    expect(() => load("{ interval: 10m }")).toThrow('unknown key "interval"');
    expect(() => load("{ servers: [] }")).toThrow("the list is empty");
  });

  test("may end sessions from where they are, where that is asked for", () => {
    const path = join(folder, "radius.yaml");
    const load = (rest: string) => {
      writeFileSync(path, `${readFileSync(file(`${LEAST}\nauth: radius`))}${SERVERS}${rest}`);
      return loadGateway(path)?.radiusDisconnect;
    };
    const secret = { file: join(folder, "radius.secret") };
    expect(load("")).toBeUndefined();
    expect(load("  disconnect: {}")).toEqual({
      clients: [{ address: "192.0.2.10", secret }],
      address: undefined,
      port: 3799,
    });
    const other = "{ address: 192.0.2.12, secret: s }";
    expect(load(`  disconnect: { servers: [${other}], address: 192.0.2.1, port: 1700 }`)).toEqual({
      clients: [{ address: "192.0.2.12", secret: "s" }],
      address: "192.0.2.1",
      port: 1700,
    });
    expect(() => load("  disconnect: { servers: [] }")).toThrow("the list is empty");
    expect(() => load("  disconnect: { servers: [{ address: 192.0.2.12 }] }")).toThrow(
      'the key "secret" is missing',
    );
  });

  test("have methods of their own", () => {
    const text = readFileSync(file(`${LEAST}\nauth: [eap-mschapv2, radius, eap-tls]\nca: ca.pem`));
    writeFileSync(join(folder, "radius.yaml"), `${text}${SERVERS}`);
    expect(() => loadGateway(join(folder, "radius.yaml"))).toThrow(
      "the RADIUS server has methods of its own; leave out eap-mschapv2 and eap-tls",
    );
  });
});

describe("a gateway that is wrong", () => {
  test.each([
    ["a misspelt key", `${LEAST}\npools: 10.1.0.0/24`, '7:3: unknown key "pools"; did you mean "pool"?'],
    ["no pool", LEAST.replace(/\npool.*/, ""), '1:1: the key "pool" is missing'],
    ["no domain", LEAST.replace(/domain.*\n/, ""), '1:1: the key "domain" is missing'],
    [
      "every address as its domain",
      LEAST.replace("vpn.example.org", "0.0.0.0"),
      "2:11: 0.0.0.0 is no address of a host; leave the key out to mean any",
    ],
    [
      "bits behind the pool's prefix",
      LEAST.replace("10.77.0.0", "10.77.0.1"),
      '6:9: "10.77.0.1/24" has bits behind its prefix; did you mean "10.77.0.0/24"?',
    ],
    [
      "an address as its pool",
      LEAST.replace("10.77.0.0/24", "10.77.0.0"),
      '6:9: "10.77.0.0" is not a network; write it like 10.77.0.0/24 or fd77::/64',
    ],
    [
      "a pool without room",
      LEAST.replace("/24", "/31"),
      "6:3: 10.77.0.0/31 has no room: one address is ours, each device takes another",
    ],
    [
      "pools that overlap",
      LEAST.replace("10.77.0.0/24", "[10.77.0.0/24, 10.77.0.128/25]"),
      "6:24: 10.77.0.128/25 and 10.77.0.0/24 overlap",
    ],
    [
      "a certificate without its key",
      LEAST.replace(/key.*\n/, ""),
      "3:3: the key of this certificate is missing; add key: FILE",
    ],
    [
      "a key without its certificate",
      LEAST.replace(/certificate.*\n/, ""),
      "3:3: the certificate of this key is missing; add certificate: FILE",
    ],
    [
      "neither",
      LEAST.replace(CERTIFICATE, "nat: false"),
      "1:1: the keys certificate and key are missing: what the gateway shows to its clients",
    ],
    [
      "both ways to name certificates",
      `${LEAST}\ncertificates: [{ certificate: a, key: b }]`,
      "7:3: give either certificate and key, or certificates, not both",
    ],
    [
      "nobody who may come",
      LEAST.replace(/users.*\n/, ""),
      "1:1: say how clients show who they are: users: FILE for names and passwords, ca: FILE for certificates",
    ],
    [
      "passwords of nobody",
      LEAST.replace("users: users.yaml", "auth: eap-mschapv2"),
      "5:3: eap-mschapv2 needs the key users: a file that `ikebana users add` writes",
    ],
    [
      "certificates of nobody",
      `${LEAST}\nauth: [eap-mschapv2, certificate]`,
      "7:3: certificate needs the key ca: who has issued the clients' certificates",
    ],
    [
      "certificates by EAP of nobody",
      `${LEAST}\nauth: [eap-mschapv2, eap-tls]`,
      "7:3: eap-tls needs the key ca: who has issued the clients' certificates",
    ],
    [
      "RADIUS without a server",
      `${LEAST}\nauth: radius`,
      "7:3: radius needs the key radius: which servers decide on logins",
    ],
    [
      "revocation where nobody shows a certificate",
      `${LEAST}\nrevocation: strict`,
      "7:3: it is about clients' certificates, and clients here show none (auth: certificate or eap-tls)",
    ],
    [
      "a way to ask that there is not",
      `${LEAST}\nauth: certificate\nca: ca.pem\nrevocation: sometimes`,
      '9:15: expected off, relaxed or strict, found "sometimes"',
    ],
    [
      "a method that there is not",
      `${LEAST}\nauth: [eap-md5]`,
      '7:10: expected eap-mschapv2, eap-tls, radius or certificate, found "eap-md5"',
    ],
    [
      "domains that nobody can be asked about",
      `${LEAST}\ndomains: corp.example.org`,
      "7:3: domains are asked about at the resolvers of dns:, which is missing",
    ],
    [
      "another compatibility",
      `${LEAST}
compat: windows-defaults`,
      '7:11: expected none or windows-default, found "windows-defaults"; did you mean "windows-default"?',
    ],
    ["no devices", `${LEAST}\ndevicesPerUser: 0`, "7:19: expected a whole number from 1 to 1000, found 0"],
    ["words for yes", `${LEAST}\nnat: sure`, "7:8: expected true or false"],
  ])("%s", (_, lines, problems) => expect(problemsOf(lines)).toBe(problems));
});
