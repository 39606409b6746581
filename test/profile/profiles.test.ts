import decodeQR from "qr/decode.js";
import { describe, expect, test } from "vitest";
import { parseDomain } from "../../src/config/values.ts";
import { PolicyError } from "../../src/errors/index.ts";
import { formatCard, formatShortCard } from "../../src/profile/card.ts";
import type { ClientFacts } from "../../src/profile/client-facts.ts";
import { CLIENT_KINDS } from "../../src/profile/client-kind.ts";
import { makeProfile } from "../../src/profile/make-profile.ts";
import { formatQrCode } from "../../src/profile/qr-code.ts";
import { stableUuid } from "../../src/profile/stable-uuid.ts";
import { readKeyfile, readPlist, readPowerShell } from "./readers.ts";

const ANNA: ClientFacts = {
  domain: "vpn.example.org",
  user: "anna",
  networks: [],
  hasIpv6: true,
  onDemand: false,
};
const AUTHORITY = Uint8Array.from({ length: 300 }, (_, index) => index & 0xff);

/** Names that mean something to one format or another. */
const ODD_NAMES = [
  "o'brien",
  "\u2018curly\u2019 \u201A\u201B",
  "'; Remove-Item C:\\ -Recurse; '",
  '$(Start-Process calc) `n "quoted"',
  "</string><key>AuthPassword</key><string>x",
  "a&b <c> &amp; ]]>",
  'say "hi" \\ back\\slash\\n',
  "  leading and trailing  ",
  "#comment;list[section]=value",
  "é漢字🌸",
  "DOMAIN\\anna",
  "anna@example.org",
  "__proto__",
];

interface Sswan {
  readonly uuid: string;
  readonly local: Record<string, unknown>;
  readonly remote: Record<string, unknown>;
  readonly [key: string]: unknown;
}

function content(kind: (typeof CLIENT_KINDS)[number], facts: Partial<ClientFacts> = {}): string {
  return makeProfile(kind, { ...ANNA, ...facts }).content;
}

interface Vpn {
  PayloadType: string;
  PayloadUUID: string;
  IKEv2: Record<string, unknown>;
  IPv4?: unknown;
  PayloadContent?: Buffer;
}

function apple(facts: Partial<ClientFacts> = {}) {
  const plist = readPlist(content("apple", facts)) as unknown as {
    PayloadUUID: string;
    PayloadIdentifier: string;
    PayloadContent: Vpn[];
  };
  return { plist, vpn: plist.PayloadContent.at(-1)! };
}

describe("for Apple's systems", () => {
  test("name and password alone, strong algorithms, a lifetime just below a day", () => {
    const { plist, vpn } = apple();
    const algorithms = {
      EncryptionAlgorithm: "AES-256-GCM",
      IntegrityAlgorithm: "SHA2-256",
      DiffieHellmanGroup: 19,
      LifeTimeInMinutes: 1410,
    };
    expect(plist).toMatchObject({ PayloadType: "Configuration", PayloadVersion: 1 });
    expect(vpn).toMatchObject({
      PayloadType: "com.apple.vpn.managed",
      VPNType: "IKEv2",
      IKEv2: {
        RemoteAddress: "vpn.example.org",
        RemoteIdentifier: "vpn.example.org",
        AuthenticationMethod: "None",
        ExtendedAuthEnabled: 1,
        AuthName: "anna",
        IKESecurityAssociationParameters: algorithms,
        ChildSecurityAssociationParameters: algorithms,
      },
      IPv4: { OverridePrimary: 1 },
    });
    expect(vpn.IKEv2).not.toHaveProperty("AuthPassword");
    expect(vpn.IKEv2).not.toHaveProperty("OnDemandEnabled");
  });

  test("the same again has the same UUIDs, another user or gateway others, and parts differ", () => {
    const uuids = (facts: Partial<ClientFacts>) => {
      const { plist } = apple({ authority: AUTHORITY, ...facts });
      return [
        plist.PayloadUUID,
        plist.PayloadIdentifier,
        ...plist.PayloadContent.map((part) => part.PayloadUUID),
      ];
    };
    expect(uuids({ password: "changed" })).toEqual(uuids({}));
    const all = [...uuids({}), ...uuids({ user: "berta" }), ...uuids({ domain: "vpn.example.com" })];
    expect(new Set(all).size).toBe(12);
    expect(uuids({})[0]).toMatch(/^[0-9A-F]{8}-[0-9A-F]{4}-5[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}$/);
  });

  test("on demand, split tunnel and an own CA when asked for", () => {
    const { plist, vpn } = apple({ onDemand: true, networks: ["10.1.0.0/16"], authority: AUTHORITY });
    expect(vpn.IKEv2).toMatchObject({
      OnDemandEnabled: 1,
      OnDemandRules: [{ Action: "Connect" }],
      UseConfigurationAttributeInternalIPSubnet: 1,
    });
    expect(vpn).not.toHaveProperty("IPv4");
    const [authority] = plist.PayloadContent;
    expect(authority?.PayloadType).toBe("com.apple.security.root");
    expect(authority?.PayloadContent).toEqual(Buffer.from(AUTHORITY));
  });

  test.each(ODD_NAMES)("the user %j arrives as it is, and so does such a password", (odd) => {
    const { IKEv2 } = apple({ user: odd, password: odd }).vpn;
    expect([IKEv2.AuthName, IKEv2.AuthPassword]).toEqual([odd, odd]);
  });
});

describe("for Windows", () => {
  test("a connection with strong algorithms, and routes for IPv6", () => {
    const statements = readPowerShell(content("windows"));
    expect(statements).toContainEqual(["$name", "=", { text: "vpn.example.org" }]);
    const add = statements.find(([command]) => command === "Add-VpnConnection")!;
    expect(add).toEqual(
      expect.arrayContaining(["-TunnelType", "Ikev2", "-AuthenticationMethod", "Eap", "-RememberCredential"]),
    );
    expect(add).not.toContain("-SplitTunneling");
    const set = statements.find(([command]) => command === "Set-VpnConnectionIPsecConfiguration")!;
    const flags = Object.fromEntries(set.map((word, index) => [String(word), set[index + 1]]));
    expect(flags).toMatchObject({
      "-EncryptionMethod": "GCMAES256",
      "-IntegrityCheckMethod": "SHA256",
      "-DHGroup": "ECP256",
      "-CipherTransformConstants": "GCMAES256",
      "-AuthenticationTransformConstants": "GCMAES256",
      "-PfsGroup": "ECP256",
    });
    expect(routes(statements)).toEqual(["::/1", "8000::/1"]);
  });

  test("a split tunnel has the routes that were asked for, and a gateway without IPv6 none", () => {
    const split = readPowerShell(content("windows", { networks: ["10.1.0.0/16", "fd00::/8"] }));
    expect(split.find(([command]) => command === "Add-VpnConnection")).toContain("-SplitTunneling");
    expect(routes(split)).toEqual(["10.1.0.0/16", "fd00::/8"]);
    expect(routes(readPowerShell(content("windows", { hasIpv6: false })))).toEqual([]);
  });

  test("an own CA goes into the machine's store, which takes an administrator", () => {
    const statements = readPowerShell(content("windows", { authority: AUTHORITY }));
    expect(statements[0]).toEqual(["#Requires -RunAsAdministrator"]);
    const [, , , certificate] = statements.find(([name]) => name === "$certificate")!;
    const { text } = certificate as { text: string };
    expect(Buffer.from(text, "base64")).toEqual(Buffer.from(AUTHORITY));
    expect(content("windows")).not.toContain("#Requires");
  });

  test("a root that Windows may not have yet is fetched, and no other", () => {
    const pages = (facts: Partial<ClientFacts>) =>
      [...content("windows", facts).matchAll(/Invoke-WebRequest -UseBasicParsing '([^']+)'/g)].map(
        ([, page]) => page,
      );
    expect(pages({ publicRoot: "ISRG Root X1" })).toEqual(["https://valid-isrgrootx1.letsencrypt.org/"]);
    expect(pages({ publicRoot: "ISRG Root X2" })).toEqual(["https://valid-isrgrootx2.letsencrypt.org/"]);
    for (const publicRoot of ["Another Root", "'; evil", "toString"])
      expect(pages({ publicRoot })).toEqual([]);
    expect(pages({})).toEqual([]);
    // A machine without a way out gets the connection all the same.
    expect(content("windows", { publicRoot: "ISRG Root X1" })).toContain("catch { Write-Warning");
  });

  test.each(ODD_NAMES)("the user %j is a literal, and nothing more", (odd) => {
    const plain = readPowerShell(content("windows"));
    const statements = readPowerShell(content("windows", { user: odd }));
    expect(statements).toContainEqual(["$user", "=", { text: odd }]);
    expect(statements).toHaveLength(plain.length);
  });

  test("begins with a byte order mark when it is not ASCII, and only then", () => {
    expect(content("windows", { user: "é" }).startsWith("\uFEFF#")).toBe(true);
    expect(content("windows").startsWith("#")).toBe(true);
  });

  test("takes no password", () => {
    expect(() => content("windows", { password: "secret" })).toThrow(PolicyError);
  });

  function routes(statements: ReturnType<typeof readPowerShell>) {
    return statements
      .filter(([command]) => command === "Add-VpnConnectionRoute")
      .map((words) => (words.at(-1) as { text: string }).text);
  }
});

describe("for the strongSwan app", () => {
  const sswan = (facts: Partial<ClientFacts> = {}) => JSON.parse(content("android", facts)) as Sswan;

  test("EAP towards the domain, no password, no algorithms of ours", () => {
    expect(sswan()).toEqual({
      uuid: expect.stringMatching(/^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/),
      name: "vpn.example.org",
      type: "ikev2-eap",
      remote: { addr: "vpn.example.org", id: "vpn.example.org" },
      local: { eap_id: "anna" },
    });
    expect(sswan().uuid).toBe(sswan({ password: "x" }).uuid);
  });

  test("CA, networks and what must not go around the tunnel", () => {
    expect(sswan({ authority: AUTHORITY }).remote.cert).toBe(Buffer.from(AUTHORITY).toString("base64"));
    expect(sswan({ networks: ["10.1.0.0/16"] })["split-tunneling"]).toEqual({ subnets: ["10.1.0.0/16"] });
    expect(sswan({ hasIpv6: false })["split-tunneling"]).toEqual({ "block-ipv6": true });
  });

  test.each(ODD_NAMES)("the user %j arrives as it is, and so does such a password", (odd) => {
    expect(sswan({ user: odd, password: odd }).local).toEqual({ eap_id: odd, shared_secret: odd });
  });
});

describe("for NetworkManager", () => {
  const keyfile = (facts: Partial<ClientFacts> = {}) => readKeyfile(content("networkmanager", facts));

  test("a connection of the strongSwan plugin whose password the keyring keeps", () => {
    const sections = keyfile();
    expect(sections).toMatchObject({
      connection: { id: "vpn.example.org", type: "vpn", autoconnect: "false" },
      vpn: {
        "service-type": "org.freedesktop.NetworkManager.strongswan",
        address: "vpn.example.org",
        "remote-identity": "vpn.example.org",
        method: "eap",
        user: "anna",
        virtual: "yes",
        "password-flags": "1",
      },
    });
    expect(sections).not.toHaveProperty("vpn-secrets");
    expect(sections.vpn).not.toHaveProperty("certificate");
  });

  test("a split tunnel leaves the default route alone", () => {
    expect(keyfile({ networks: ["10.1.0.0/16"] })).toMatchObject({
      ipv4: { "never-default": "true" },
      ipv6: { "never-default": "true" },
    });
    expect(keyfile().ipv4).toEqual({ method: "auto" });
  });

  test.each(ODD_NAMES)("the user %j arrives as it is, and so does such a password", (odd) => {
    const sections = keyfile({ user: odd, password: odd });
    expect([sections.vpn?.user, sections["vpn-secrets"]?.password]).toEqual([odd, odd]);
    expect(sections.vpn?.["password-flags"]).toBe("0");
  });
});

describe("in all of them", () => {
  test.each(CLIENT_KINDS)("%s: control characters in a name are refused", (kind) => {
    for (const user of ["", "a\nb", "a\u0000b", "a\u2028b", "a\ud800b", "\u001b[2J"]) {
      expect(() => content(kind, { user })).toThrow(PolicyError);
    }
  });

  test.each(CLIENT_KINDS)("%s: the file's name is harmless", (kind) => {
    for (const user of [...ODD_NAMES, "../../etc/passwd", "..", "-rf"]) {
      expect(makeProfile(kind, { ...ANNA, user }).fileName).toMatch(/^vpn\.example\.org-[A-Za-z0-9._@-]+$/);
    }
  });
});

describe("the card", () => {
  test("says server, user and kind for each system, and no password", () => {
    const card = formatCard(ANNA);
    for (const system of ["iPhone", "Mac", "Android", "Linux", "Windows"]) expect(card).toContain(system);
    expect(card).toMatch(/Remote ID +vpn\.example\.org/);
    expect(card).toMatch(/Username +anna/);
    expect(card).toMatch(/Password +the one you were given/);
    expect(formatCard({ ...ANNA, authority: AUTHORITY })).toContain("CA");
  });

  test("as a QR code in the terminal can be read back", () => {
    const text = formatShortCard({ ...ANNA, user: "é漢字🌸" });
    expect(decodeQR(imageOf(formatQrCode(text, { colour: false })))).toBe(text);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours
    const plain = formatQrCode(text, { colour: true }).replace(/\u001b\[[\d;]*m/g, "");
    expect(plain).toBe(formatQrCode(text, { colour: false }));
  });

  /** What a camera sees of half blocks, light on a dark screen: four pixels a module. */
  function imageOf(terminal: string) {
    const rows = terminal.trimEnd().split("\n");
    const scale = 4;
    const width = [...rows[0]!].length * scale;
    const height = rows.length * 2 * scale;
    const data = new Uint8Array(width * height * 4).fill(255);
    for (let y = 0; y < height; y += 1) {
      const line = [...rows[Math.floor(y / (2 * scale))]!];
      const isUpper = Math.floor(y / scale) % 2 === 0;
      for (let x = 0; x < width; x += 1) {
        const cell = line[Math.floor(x / scale)]!;
        const isLight = cell === "█" || cell === (isUpper ? "▀" : "▄");
        if (!isLight) data.fill(0, (y * width + x) * 4, (y * width + x) * 4 + 3);
      }
    }
    return { width, height, data };
  }
});

describe("names", () => {
  test("a domain is lower case without a closing dot", () => {
    expect(parseDomain("VPN.Example.org.")).toBe("vpn.example.org");
    expect(parseDomain("xn--bcher-kva.example")).toBe("xn--bcher-kva.example");
  });

  test.each([
    "",
    "vpn example",
    "-a.org",
    "a-.org",
    "a..org",
    "192.0.2.1",
    `${"a".repeat(64)}.org`,
    "a.org'; x",
    "<a>",
  ])("%j is no domain", (text) => {
    expect(() => parseDomain(text)).toThrow(/is not a domain name/);
  });

  test("UUIDs of names are version 5, and lists of names are not mixed up", () => {
    expect(stableUuid("a", "b")).toMatch(
      /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
    expect(stableUuid("a,b")).not.toBe(stableUuid("a", "b"));
    expect(stableUuid('a","b')).not.toBe(stableUuid("a", "b"));
  });
});
