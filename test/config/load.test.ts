import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Config } from "../../src/config/config.ts";
import { loadConfig, parseConfig } from "../../src/config/load.ts";
import { ConfigError } from "../../src/config/problem.ts";
import { PolicyError } from "../../src/errors/index.ts";
import { formatProposal } from "../../src/policy/keywords.ts";
import { presharedKeyOf } from "../../src/policy/pad.ts";

const GOOD = `connections:
  office:
    local:  { address: 192.0.2.1, id: a.example.org, psk: { file: office.psk } }
    remote: { address: 192.0.2.2, id: b.example.org }
    ike: [aes256gcm16-prfsha384-x25519]
    children:
      lan: { local: [10.1.0.0/16], remote: [10.2.0.0/16], esp: [aes256gcm16, chacha20poly1305] }
`;

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "ikebana-config-"));
  key("office.psk", "the key of the office, long enough\n");
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function key(name: string, content: string | Uint8Array, mode = 0o600): void {
  writeFileSync(join(folder, name), content);
  chmodSync(join(folder, name), mode);
}

function parse(text: string): Config {
  return parseConfig({ text, file: join(folder, "ikebana.yaml") });
}

/** The problems of a text, one a line, without their excerpts: "2:3: ...". */
function problemsOf(text: string): string {
  return refusal(text)
    .problems.map(
      ({ line, column, message }) => `${line}:${column}: ${message.replaceAll(folder, "/etc/ikebana")}`,
    )
    .join("\n");
}

function refusal(text: string): ConfigError {
  try {
    parse(text);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error("the text was accepted");
}

/** A whole file around what one connection has. */
function connection(lines: string, more = ""): string {
  return `connections:\n  office:\n${lines.replace(/^/gm, "    ")}\n${more}`;
}

describe("the example of the design", () => {
  test("is understood", () => {
    const config = parse(GOOD);
    expect(config).toMatchObject({
      file: join(folder, "ikebana.yaml"),
      listen: { addresses: ["0.0.0.0", "::"], port: 500, natTraversalPort: 4500 },
      tun: { name: "ikebana0", mtu: 1400 },
      log: { level: "info", format: "human" },
      socket: "/run/ikebana/ikebana.sock",
      showsRestarts: true,
      keepsTickets: true,
      stateDirectory: "/var/lib/ikebana",
      warnings: [],
    });
    const [office] = config.connections;
    const presharedKey = {
      kind: "psk",
      key: new TextEncoder().encode("the key of the office, long enough"),
    };
    expect(office).toMatchObject({
      name: "office",
      start: "start",
      local: {
        address: "192.0.2.1",
        identity: { type: 2, data: new TextEncoder().encode("a.example.org") },
        authentication: presharedKey,
      },
      remote: {
        address: "192.0.2.2",
        port: 500,
        identity: { type: 2, data: new TextEncoder().encode("b.example.org") },
        authentication: [presharedKey],
      },
    });
    expect(office?.ikeProposals.map(formatProposal)).toEqual(["aes256gcm16-prfsha384-x25519"]);
    expect(office?.children[0]).toMatchObject({
      name: "lan",
      local: [{ startAddress: Uint8Array.of(10, 1, 0, 0), endAddress: Uint8Array.of(10, 1, 255, 255) }],
      remote: [{ startAddress: Uint8Array.of(10, 2, 0, 0), endAddress: Uint8Array.of(10, 2, 255, 255) }],
      replayWindowPackets: 1024,
    });
    expect(office?.children[0]?.espProposals.map(formatProposal)).toEqual([
      "aes256gcm16",
      "chacha20poly1305",
    ]);
    expect(office?.children[0]?.espProposals.map(({ number }) => number)).toEqual([1, 2]);
  });

  test("may say everything", () => {
    const config = parse(`${GOOD}${EVERYTHING}`);
    expect(config).toMatchObject({
      listen: { addresses: ["192.0.2.1", "2001:db8::1"], port: 1500, natTraversalPort: 14_500 },
      tun: { name: "vpn7", mtu: 1380 },
      log: { level: "debug", format: "json" },
      socket: join(folder, "run/vpn.sock"),
      showsRestarts: true,
      keepsTickets: true,
      stateDirectory: "/srv/state",
    });
    expect(config.connections[1]).toMatchObject({
      name: "branch-2",
      start: "respond",
      local: { address: undefined },
      remote: { address: undefined },
    });
    expect(config.connections[1]?.children.map(({ name }) => name)).toEqual(["v4", "v6"]);
    expect(config.connections[1]?.children[1]).toMatchObject({
      local: [{ protocol: 6, startPort: 443, endPort: 443 }, { protocol: 0 }],
      replayWindowPackets: 8192,
      mode: "transport",
      tfc: { padTo: 1380, dummyEveryMs: 100, dummyLength: 1380 },
      rekey: { timeMs: 1_800_000, octets: 10_000_000_000, packets: 1_000_000 },
    });
    expect(config.connections[1]).toMatchObject({
      ikeRekeyMs: Number.POSITIVE_INFINITY,
      liveness: { intervalMs: 20_000, action: "clear" },
      isChildless: true,
      encapsulation: "raw",
      pathMtu: "kernel",
    });
    expect(config.connections[0]?.ikeRekeyMs).toBeUndefined();
  });

  test("shortens: one address for remote and listen, identities from addresses, proposals by default", () => {
    const config = parse(
      connection(
        'local: { address: 2001:db8::1, psk: "0123456789abcdef" }\nremote: 2001:db8:0::2\nchildren: { a: { local: fd00::/64, remote: fd01::/64 } }',
        "listen: 2001:DB8::1\n",
      ),
    );
    const [office] = config.connections;
    expect(office?.local.identity.type).toBe(5);
    expect(office?.remote).toMatchObject({ address: "2001:db8::2", identity: { type: 5 } });
    expect(office?.ikeProposals.length).toBeGreaterThan(0);
    expect(office?.children[0]?.espProposals.length).toBeGreaterThan(0);
    expect(config.listen.addresses).toEqual(["2001:db8::1"]);
  });
});

const EVERYTHING = `
  branch-2:
    start: respond
    local: { id: hq@example.org, psk: { hex: "00112233445566778899aabbccddeeff" } }
    remote: { id: branch.example.org, port: 4500 }
    ike: [aes256gcm16-prfsha384-ecp384, aes128-sha256-modp2048]
    children:
      v4: { local: 10.0.0.0/8, remote: 10.9.0.0/16 }
      v6:
        local: ["fd00::/8[tcp/443]", fd99::1-fd99::9]
        remote: [fd77::/64]
        esp: chacha20poly1305-esn
        replayWindow: 8192
        tfc: { padTo: mtu, dummyEvery: 100ms }
        mode: transport
        rekey: { time: 30m, bytes: 10GB, packets: 1000000 }
    ikeRekey: never
    liveness: { interval: 20s, action: clear }
    childless: true
    encapsulation: raw
    pathMtu: kernel
listen: { addresses: [192.0.2.1, "2001:db8::1"], port: 1500, natTraversalPort: 14500 }
mtu: 1380
tun: vpn7
log: { level: debug, format: json }
socket: run/vpn.sock
state: /srv/state
`;

describe("a pre-shared key", () => {
  const withKey = (psk: string) =>
    connection(
      `local: { address: 192.0.2.1, psk: ${psk} }\nremote: 192.0.2.2\nchildren: { a: { local: 10.1.0.0/16, remote: 10.2.0.0/16 } }`,
    );
  const octets = (psk: string) =>
    Buffer.from(presharedKeyOf(parse(withKey(psk)).connections[0])).toString("hex");

  test.each([
    ['"swordfish-swordfish"', Buffer.from("swordfish-swordfish").toString("hex")],
    ['"grün grün grün grün"', Buffer.from("grün grün grün grün").toString("hex")],
    ['{ hex: "0x00112233445566778899aabbccddeeff" }', "00112233445566778899aabbccddeeff"],
    ['{ hex: "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF" }', "00112233445566778899aabbccddeeff"],
    ['{ base64: "ABEiM0RVZneImaq7zN3u/w==" }', "00112233445566778899aabbccddeeff"],
    ['{ base64: "0sABEiM0RVZneImaq7zN3u/w" }', "00112233445566778899aabbccddeeff"],
  ])("%s", (psk, hex) => expect(octets(psk)).toBe(hex));

  test.each([
    ["a line break at the end of its file", "0123456789abcdef\n", "0123456789abcdef"],
    ["a line break of Windows", "0123456789abcdef\r\n", "0123456789abcdef"],
    ["only one line break", "0123456789abcdef\n\n", "0123456789abcdef\n"],
  ])("loses %s", (_, content, text) => {
    key("k.psk", content);
    expect(octets("{ file: k.psk }")).toBe(Buffer.from(text).toString("hex"));
  });

  test("may be any octets in its file", () => {
    key(
      "k.psk",
      Uint8Array.from({ length: 256 }, (_, index) => index),
    );
    expect(octets("{ file: k.psk }")).toHaveLength(512);
  });

  test.each([
    [0o620, ["changed by others than its owner"]],
    [0o602, ["changed by others than its owner"]],
    [0o666, ["read by everybody", "changed by others than its owner"]],
    [0o640, []],
  ])("in a file of mode %o is worth a warning where others can do harm with it", (mode, faults) => {
    key("shared.psk", "0123456789abcdef0123456789abcdef", mode);
    const { warnings } = parse(withKey("{ file: shared.psk }"));
    expect(warnings.map((text) => text.replace(/^.* can be (.*); try: chmod 600 .*$/, "$1"))).toEqual(faults);
  });

  test("that everybody can read, or that is short, is worth a warning", () => {
    key("open.psk", "short", 0o644);
    expect(parse(withKey("{ file: open.psk }")).warnings.map((text) => text.replaceAll(folder, "."))).toEqual(
      [
        "./ikebana.yaml:3:34: ./open.psk can be read by everybody; try: chmod 600 ./open.psk",
        "./ikebana.yaml:3:34: a key of 5 octets can be guessed; 32 random ones come from: openssl rand -base64 32",
      ],
    );
  });

  test("in a file that everybody can read is worth a warning; a key in a file of its own is not", () => {
    const file = join(folder, "open.yaml");
    writeFileSync(file, withKey('"0123456789abcdef"'));
    chmodSync(file, 0o644);
    expect(loadConfig(file).warnings).toHaveLength(1);
    chmodSync(file, 0o640);
    expect(loadConfig(file).warnings).toEqual([]);
    writeFileSync(file, withKey("{ file: office.psk }"));
    chmodSync(file, 0o644);
    expect(loadConfig(file).warnings).toEqual([]);
  });

  test.each([
    ['""', "3:34: the key is empty"],
    ["{ hex: '0' }", "3:34: hex is pairs of the digits 0 to 9 and a to f"],
    ["{ hex: '' }", "3:34: the key is empty"],
    ["{ base64: 'a?' }", "3:34: this is not base64"],
    ["{ file: missing.psk }", "3:34: cannot read /etc/ikebana/missing.psk: ENOENT"],
    ["{ file: . }", "3:34: /etc/ikebana is not a file"],
    ["{}", "3:39: give exactly one of file, hex and base64"],
    ["{ file: a, hex: b }", "3:39: give exactly one of file, hex and base64"],
    ["12345678", "3:39: expected text or { file: ... }; a key that looks like a number goes in quotes"],
    ["[a]", "3:39: expected text or { file: ... }; a key that looks like a number goes in quotes"],
    ["{ fiel: a }", '3:41: unknown key "fiel"; did you mean "file"?'],
  ])("%s is refused", (psk, problem) => expect(problemsOf(withKey(psk))).toContain(problem));
});

describe("a post-quantum preshared key", () => {
  const withPpk = (ppk: string, who = "local: { address: 192.0.2.1, psk: swordfish-swordfish }") =>
    connection(
      `${who}\nremote: 192.0.2.2\nppk: ${ppk}\nchildren: { a: { local: 10.1.0.0/16, remote: 10.2.0.0/16 } }`,
    );

  test("is insisted on unless the file says otherwise", () => {
    const ppk = parse(withPpk("{ id: paper, key: { hex: 00112233445566778899aabbccddeeff } }")).connections[0]
      ?.ppk;
    expect(ppk).toMatchObject({ id: "paper", isRequired: true });
    expect(Buffer.from(ppk!.key).toString("hex")).toBe("00112233445566778899aabbccddeeff");
    const { connections, warnings } = parse(withPpk("{ id: paper, key: short, required: false }"));
    expect(connections[0]?.ppk).toMatchObject({ isRequired: false });
    expect(warnings.join()).toContain("a key of 5 octets can be guessed");
  });

  test("has a name, a key, and no place beside a login", () => {
    expect(problemsOf(withPpk('{ id: "", key: k }'))).toContain('"" is no name of a PPK');
    expect(problemsOf(withPpk("{ id: paper }"))).toContain('the key "key" is missing');
    expect(problemsOf(withPpk("{ id: paper, key: k }", "user: anna\npassword: x"))).toContain(
      "a PPK goes with local.psk or local.certificate",
    );
  });
});

describe("a file that is wrong", () => {
  const LOCAL = 'local: { address: 192.0.2.1, psk: "0123456789abcdef" }';
  const REMOTE = "remote: { address: 192.0.2.2 }";
  const CHILD = "children: { a: { local: 10.1.0.0/16, remote: 10.2.0.0/16 } }";
  const rest = (...left: string[]) =>
    [LOCAL, REMOTE, CHILD].filter((line) => !left.some((key) => line.startsWith(key))).join("\n");

  test.each<[string, string, string]>([
    ["nothing", "", "1:1: the file is empty"],
    ["a comment", "# nothing\n", "1:1: the file is empty"],
    ["a word", "hello", "1:1: expected keys and values, found text"],
    ["a list", "- a", "1:1: expected keys and values, found a list"],
    ["no connections", "mtu: 1400", "1:1: there is nothing to run here: neither a gateway nor connections"],
    [
      "connections by another name",
      "conections: {}",
      '1:1: unknown key "conections"; did you mean "connections"?',
    ],
    ["connections without a name", "connections: {}", "1:14: there is no connection here"],
    ["connections that are empty", "connections:\n", "1:1: expected connections by name, found nothing"],
    [
      "a connection that is empty",
      "connections:\n  office:\n",
      "2:3: expected keys and values, found nothing",
    ],
    ["a misspelt key", `${connection(rest())}mtuu: 1`, '6:1: unknown key "mtuu"; did you mean "mtu"?'],
    [
      "a key like no other",
      `${connection(rest())}frobnicate: 1`,
      '6:1: unknown key "frobnicate"; known are gateway, radius, connections, listen, mtu, tun, offloads, nativeCiphers, spin, workers, log, socket, state, killSwitch',
    ],
    ["a key of every object", `${connection(rest())}toString: 1`, '6:1: unknown key "toString"; known are'],
    [
      "a misspelt key instead of one that is needed",
      connection(`${LOCAL}\nremot: 192.0.2.2\n${CHILD}`),
      '4:5: unknown key "remot"; did you mean "remote"?',
    ],
    [
      "a name with a space",
      connection(rest()).replace("office", '"of fice"'),
      "2:3: a connection's name is letters",
    ],
    [
      "more workers than there can be",
      `${connection(rest())}workers: 5`,
      "6:10: expected a whole number from 1 to 4, found 5",
    ],
    ["a kill switch", `${connection(rest())}killSwitch: true`, '6:1: "killSwitch" is not in this version'],
    [
      "an address out of range",
      connection(`${rest("remote")}\nremote: 192.0.2.256`),
      '5:13: "192.0.2.256" is not an IP address',
    ],
    [
      "a range as an address",
      connection(`${rest("remote")}\nremote: 192.0.2.0/24`),
      '5:13: "192.0.2.0/24" is a range; one address is meant here',
    ],
    [
      "any address as the peer's",
      connection(`${rest("remote")}\nremote: 0.0.0.0`),
      "5:13: 0.0.0.0 is no address of a host; leave the key out to mean any",
    ],
    [
      "a port out of range",
      connection(`${rest("remote")}\nremote: { address: 192.0.2.2, port: 70000 }`),
      "5:41: expected a whole number from 1 to 65535, found 70000",
    ],
    [
      "a port that is text",
      connection(`${rest("remote")}\nremote: { address: 192.0.2.2, port: "500" }`),
      "5:41: expected a whole number from 1 to 65535, found text",
    ],
    [
      "two families",
      connection(`${rest("remote")}\nremote: 2001:db8::1`),
      "5:5: local 192.0.2.1 and remote 2001:db8::1 are of different families",
    ],
    [
      "a start without an address",
      connection(`${rest("remote")}\nremote: { id: b }\nstart: start`),
      "6:5: we can only start towards a remote.address; write start: respond, or give the address",
    ],
    [
      "no word on who the peer is",
      connection(`${rest("remote")}\nremote: {}`),
      "5:5: say who the peer is: id or address is missing",
    ],
    [
      "no word on who we are",
      connection(`${rest("local")}\nlocal: { psk: "0123456789abcdef" }`),
      "5:5: say who we are: id or address is missing",
    ],
    [
      "an unknown way to start",
      connection(`${rest()}\nstart: strat`),
      '6:12: expected start, trap or respond, found "strat"; did you mean "start"?',
    ],
    [
      "no key",
      connection(`${rest("local")}\nlocal: { address: 192.0.2.1 }`),
      "5:5: say how we show who we are: local.psk, local.certificate and key, local.privateKey, or user and password",
    ],
    ["no children", connection(rest("children")), '2:3: the key "children" is missing'],
    [
      "a child without a name",
      connection(`${rest("children")}\nchildren: {}`),
      "5:15: there is no child here",
    ],
    [
      "a child without selectors",
      connection(`${rest("children")}\nchildren: { a: { local: 10.1.0.0/16 } }`),
      '5:17: the key "remote" is missing',
    ],
    [
      "a child of two families",
      connection(`${rest("children")}\nchildren: { a: { local: 10.1.0.0/16, remote: fd00::/64 } }`),
      "5:17: local and remote have no family in common: one is IPv4, the other IPv6",
    ],
    [
      "bits behind a prefix",
      connection(`${rest("children")}\nchildren: { a: { local: 10.1.0.1/16, remote: 10.2.0.0/16 } }`),
      '5:29: "10.1.0.1/16" has bits behind its prefix; did you mean "10.1.0.0/16"?',
    ],
    [
      "an empty list",
      connection(`${rest("children")}\nchildren: { a: { local: [], remote: 10.2.0.0/16 } }`),
      "5:29: the list is empty",
    ],
    [
      "a window that is too small",
      connection(
        `${rest("children")}\nchildren: { a: { local: 10.1.0.0/16, remote: 10.2.0.0/16, replayWindow: 63 } }`,
      ),
      "5:77: expected a whole number from 64 to 8192, found 63",
    ],
    [
      "a lifetime that leaves no time",
      connection(`${rest()}\nikeRekey: 10ms`),
      "6:15: a lifetime is from 1s to 30d, or never; not 10ms",
    ],
    [
      "an unknown keyword",
      connection(`${rest()}\nike: [aes256gcm16-prfsha384-x2551]`),
      '6:11: IKE proposal "aes256gcm16-prfsha384-x2551": unknown keyword "x2551", did you mean "x25519"?',
    ],
    ["a small MTU", `${connection(rest())}mtu: 576`, "6:6: an MTU is from 1280 to 65535 octets, not 576"],
    [
      "padding beyond the MTU",
      connection(
        `${rest("children")}\nchildren: { a: { local: 10.1.0.0/16, remote: 10.2.0.0/16, tfc: { padTo: 1401 } } }`,
      ),
      "5:70: 1401 octets are more than the mtu of 1400",
    ],
    [
      "dummy packets without a pause",
      connection(
        `${rest("children")}\nchildren: { a: { local: 10.1.0.0/16, remote: 10.2.0.0/16, tfc: { dummyEvery: 9ms } } }`,
      ),
      '5:82: "9ms" is not within 10ms to 1h',
    ],
    [
      "a unit that is none",
      `${connection(rest())}mtu: 2kb`,
      '6:6: unknown unit "kb" in size "2kb"; did you mean "kB"?',
    ],
    [
      "a device name that is too long",
      `${connection(rest())}tun: abcdefghijklmnop`,
      '6:6: "abcdefghijklmnop" is no name of a device',
    ],
    [
      "a log level that is none",
      `${connection(rest())}log: { level: debg }`,
      '6:15: expected debug, info, warning or error, found "debg"; did you mean "debug"?',
    ],
    ["a key twice", `${connection(rest())}mtu: 1400\nmtu: 1500`, "7:1: this key is here twice"],
    ["a tab", "connections:\n\toffice: {}\n", "2:1: not YAML: indentation is a tab; use spaces"],
    [
      "a bracket that is open",
      "connections: [",
      "1:15: not YAML: a bracket is not closed, or what is in it is not indented enough",
    ],
    ["a quote that is open", 'connections: "a', "1:16: not YAML: a quote is missing"],
    [
      "an alias of nothing",
      "connections: *nobody",
      "1:14: not YAML: this alias has no anchor; put text that begins with * in quotes",
    ],
    ["two documents", "a: 1\n---\nb: 2\n", "2:1: the file holds more than one document (---)"],
    ["a reserved key", "__proto__: 1", '1:1: "__proto__" cannot be a key'],
    [
      "a connection named like a part of every object",
      "connections: { constructor: {} }",
      '1:16: "constructor" cannot be a key',
    ],
    [
      "a trap without a way to the peer",
      connection(
        "start: trap\nlocal: { address: 192.0.2.1, psk: 0123456789abcdef0123 }\nremote: { id: b.example.org }\nchildren: { a: { local: 10.1.0.0/16, remote: 10.2.0.0/16 } }",
      ),
      "3:5: we can only start towards a remote.address; write start: respond, or give the address",
    ],
    ["a key that is a list", "? [a, b]\n: 1\n", "1:3: a key must be plain text"],
  ])("%s", (_, text, problem) => expect(problemsOf(text)).toContain(problem));

  test("is told everything at once, in order, with the place in the file", () => {
    const text = connection(
      "local: { adress: 192.0.2.1, psk: secret }\nremote: { address: no-where- }\nchildren: {}",
      "mtu: 1\n",
    );
    const error = refusal(text);
    expect(error.code).toBe("CONFIG");
    expect(error.message.replaceAll(folder, "/etc/ikebana")).toBe(
      [
        '/etc/ikebana/ikebana.yaml:3:14: unknown key "adress"; did you mean "address"?',
        "    3 |     local: { adress: 192.0.2.1, psk: [hidden]",
        "      |              ^^^^^^",
        '/etc/ikebana/ikebana.yaml:4:24: "no-where-" is not a domain name; write it like vpn.example.org',
        "    4 |     remote: { address: no-where- }",
        "      |                        ^^^^^^^^^",
        "/etc/ikebana/ikebana.yaml:5:15: there is no child here",
        "    5 |     children: {}",
        "      |               ^^",
        "/etc/ikebana/ikebana.yaml:6:6: an MTU is from 1280 to 65535 octets, not 1",
        "    6 | mtu: 1",
        "      |      ^",
      ].join("\n"),
    );
  });

  test("never shows a key, wherever it is wrong", () => {
    const secret = "tru5tn01-swordfish";
    const texts = [
      connection(`local: { psk: ${secret}, adress: 1 }\nremote: 192.0.2.2\nchildren: {}`),
      connection(`local:\n  psk: ${secret}: x\n  id: a`),
      connection(`local:\n  psk: "${secret}\n  id: a`),
      connection(`local:\n  psk: *${secret}\n`),
      connection(`local:\n  psk: !${secret} a\n`),
      connection(`local:\n  psk: [${secret}]\n`),
      connection(
        `local:\n  psk: { hex: ${secret} }\n  address: 192.0.2.1\nremote: 192.0.2.2\nchildren: { a: { local: 10.1.0.0/16, remote: 10.2.0.0/16 } }`,
      ),
      connection(
        `local:\n  psk:\n    base64: "${secret}?"\n  address: 192.0.2.1\nremote: 192.0.2.2\nchildren: { a: { local: 10.1.0.0/16, remote: 10.2.0.0/16 } }`,
      ),
      connection(`local:\n  psk:\n    base64: |\n      ${secret}\n\t${secret}\n`),
      connection(`local:\n  psk:\n    - ${secret}\n    - : ${secret}\n  'id: a`),
      connection(`local:\n  "psk" : '${secret}'x\n`),
    ];
    for (const text of texts) expect(refusal(text).message).not.toContain(secret);
  });

  test("that is not there, not a file, or not text", () => {
    expect(() => loadConfig(join(folder, "none.yaml"))).toThrow(
      /there is no configuration at .*none\.yaml; name another with -c FILE/,
    );
    expect(() => loadConfig(folder)).toThrow(/is not a file/);
    writeFileSync(join(folder, "latin1.yaml"), Uint8Array.of(0x61, 0x3a, 0x20, 0xfc));
    expect(() => loadConfig(join(folder, "latin1.yaml"))).toThrow(/is not UTF-8 text/);
    writeFileSync(join(folder, "large.yaml"), "#".repeat(4 * 1_048_576 + 1));
    expect(() => loadConfig(join(folder, "large.yaml"))).toThrow(/is larger than 4 MiB/);
  });
});

describe("two connections with the same ends", () => {
  test("are worth a warning", () => {
    const one = (name: string) => GOOD.replace("connections:\n", "").replace("office:", `${name}:`);
    const { warnings } = parse(`connections:\n${one("a")}${one("b")}`);
    expect(warnings.map((text) => text.replaceAll(folder, "."))).toEqual([
      './ikebana.yaml:8:3: "b" and "a" have the same addresses and identities; a peer that calls gets "a"',
    ]);
  });
});

describe("garbage", () => {
  const runs = Number(process.env.IKEBANA_FUZZ_RUNS ?? 1500);
  const accepts = (text: string) => {
    try {
      parse(text);
    } catch (error) {
      if (!(error instanceof PolicyError)) throw error;
      expect(error.code).toBe("CONFIG");
      expect(error.message.length).toBeLessThan(100_000);
    }
  };

  test("of any characters is refused with a PolicyError and nothing else", () => {
    fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 200 }), accepts), {
      seed: 1,
      numRuns: runs,
    });
  });

  test("of YAML's own characters is refused with a PolicyError and nothing else", () => {
    const pieces = [
      "connections",
      ":",
      " ",
      "\n",
      "  ",
      "- ",
      "[",
      "]",
      "{",
      "}",
      ",",
      "&a",
      "*a",
      "!x",
      "|",
      ">",
      '"',
      "'",
      "#",
      "?",
      "---",
      "...",
      "%",
      "<<",
      "psk",
      "\t",
      "local",
      "remote",
      "null",
      "~",
      "0x1",
      ".nan",
      "1e999",
      "\\",
      "@",
      "`",
      "office",
    ];
    const text = fc.array(fc.constantFrom(...pieces), { maxLength: 60 }).map((parts) => parts.join(""));
    fc.assert(fc.property(text, accepts), { seed: 2, numRuns: runs });
  });

  test("in the place of any value of a good file is refused with a PolicyError and nothing else", () => {
    const value = fc.anything({
      maxDepth: 3,
      key: fc.constantFrom("local", "remote", "psk", "address", "id", "__proto__", "a", "hex", "file"),
    });
    const places = Array.from(
      GOOD.matchAll(/[\w./-]+(?=[,\] }\n])/g),
      ({ index, 0: found }) => [index, index + found.length] as const,
    );
    fc.assert(
      fc.property(fc.constantFrom(...places), value, ([from, to], replacement) => {
        accepts(GOOD.slice(0, from) + (JSON.stringify(replacement) ?? "null") + GOOD.slice(to));
      }),
      { seed: 3, numRuns: runs },
    );
  });

  test("made from a good file by cutting and doubling is refused with a PolicyError and nothing else", () => {
    const text = GOOD + EVERYTHING;
    fc.assert(
      fc.property(fc.nat(text.length), fc.nat(30), fc.nat(text.length), (at, length, from) => {
        accepts(text.slice(0, at) + text.slice(from, from + length) + text.slice(at + length));
      }),
      { seed: 4, numRuns: runs },
    );
  });

  test.each([
    ["deep nesting", "[".repeat(200_000)],
    ["deep mappings", Array.from({ length: 2000 }, (_, depth) => `${" ".repeat(depth)}a:`).join("\n")],
    [
      "aliases that multiply",
      `a: &a [x,x,x,x,x,x,x,x,x]\n${Array.from({ length: 9 }, (_, i) => `${"bcdefghij"[i]}: &${"bcdefghij"[i]} [${`*${"abcdefghi"[i]},`.repeat(9)}]`).join("\n")}`,
    ],
    ["an alias of itself", "connections: &a { office: *a }"],
    ["a long word", `mtu: ${"x".repeat(500_000)}`],
    ["a long proposal", connection(`ike: ${"aes-".repeat(100_000)}`)],
    ["many keys", Array.from({ length: 6000 }, (_, index) => `key${index}: 1`).join("\n")],
    ["many bad selectors", connection(`children: { a: { local: [${"x,".repeat(20_000)}], remote: y } }`)],
  ])("as %s is refused before a test gives up waiting", (_, text) => {
    expect(() => parse(text)).toThrow(PolicyError);
  });
});
