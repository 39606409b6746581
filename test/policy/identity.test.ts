import fc from "fast-check";
import { expect, test } from "vitest";
import { fromHex, toHex } from "../../src/bytes/hex.ts";
import { PolicyError } from "../../src/errors/index.ts";
import { formatIdentity, parseIdentity, sameIdentity } from "../../src/policy/identity.ts";

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

test.each([
  ["a.example.org", 2, ascii("a.example.org")],
  ["gateway", 2, ascii("gateway")],
  ["@gateway", 2, ascii("gateway")],
  ["192.0.2.1", 1, Uint8Array.of(192, 0, 2, 1)],
  ["2001:db8::1", 5, Uint8Array.of(0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)],
  ["user@example.org", 3, ascii("user@example.org")],
  ["@@user@example.org", 3, ascii("user@example.org")],
  ["@#0a1bFF", 11, Uint8Array.of(0x0a, 0x1b, 0xff)],
  ["keyid:our key", 11, ascii("our key")],
  ["fqdn:192.0.2.1", 2, ascii("192.0.2.1")],
  ["email:user@host", 3, ascii("user@host")],
  ["ipv4:192.0.2.1", 1, Uint8Array.of(192, 0, 2, 1)],
  ["ipv6:::1", 5, Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)],
])("%s is an identity of type %d", (text, type, data) => {
  expect(parseIdentity(text)).toEqual({ type, data });
});

test.each([
  "",
  "@",
  "@#",
  "@#abc",
  "@#xy",
  "two words",
  "user@",
  "@user@host",
  "a@b@c",
  "ipv4:::1",
  "ipv6:192.0.2.1",
  "keyid:",
  "fqdn:",
  "C=CH, O=",
  "XX=gw",
  `${"a".repeat(256)}`,
  "naïve.example",
])("%j is refused", (text) => {
  expect(() => parseIdentity(text)).toThrow(PolicyError);
  expect(() => parseIdentity(text)).toThrow(`identity "${text}"`);
});

test("a distinguished name is the subject of a certificate", () => {
  const identity = parseIdentity("C=CH, O=Example Ltd, CN=gw");
  expect(identity.type).toBe(9);
  // X.690: SEQUENCE of SETs of SEQUENCEs, C as PrintableString, the others as UTF8String.
  expect(toHex(identity.data)).toBe(
    "3030310b300906035504061302434831143012060355040a0c0b4578616d706c65204c7464310b300906035504030c026777",
  );
  expect(formatIdentity(identity)).toBe("C=CH, O=Example Ltd, CN=gw");
  expect(sameIdentity(identity, parseIdentity("C=ch,O=EXAMPLE  ltd,CN=GW"))).toBe(true);
  expect(sameIdentity(identity, parseIdentity("O=Example Ltd, C=CH, CN=gw"))).toBe(false);
  expect(() => parseIdentity("C=CH, O=")).toThrow(/is written as in "C=CH, O=Example, CN=gateway"$/);
});

test("a distinguished name that would not read back prints in hex", () => {
  const twoInOne = fromHex("3018 3116 3009 0603550403 0c026777 3009 060355040a 0c026777".replaceAll(" ", ""));
  for (const data of [Uint8Array.of(0x30, 0), twoInOne])
    expect(formatIdentity({ type: 9, data })).toBe(`ID_DER_ASN1_DN:${toHex(data)}`);
  const comma = parseIdentity("O=Example\\, Inc., CN=gw");
  expect(formatIdentity(comma)).toBe("O=Example\\, Inc., CN=gw");
  const accent = parseIdentity("CN=café");
  expect(formatIdentity(accent)).toMatch(/^ID_DER_ASN1_DN:[0-9a-f]+$/);
});

test.each([
  ["a.example.org", "a.example.org"],
  ["@gateway", "gateway"],
  ["@@user@example.org", "user@example.org"],
  ["keyid:key", "@#6b6579"],
  ["fqdn:192.0.2.1", "fqdn:192.0.2.1"],
  ["ipv6:::1", "::1"],
])("%s prints as %s", (text, printed) => {
  expect(formatIdentity(parseIdentity(text))).toBe(printed);
});

test("what prints reads back as the same identity, for each type that text can make", () => {
  const identities = fc.oneof(
    fc.record({
      type: fc.constantFrom(2, 3, 11),
      data: fc.uint8Array({ minLength: 1, maxLength: 40, min: 0x21, max: 0x7e }),
    }),
    fc.record({
      type: fc.constant(2),
      data: fc
        .constantFrom("a:b", "@x", "fqdn:x", "1.2.3.4", "::1", "x@y", "a=b", "@#00", "keyid:x")
        .map(ascii),
    }),
    fc.record({ type: fc.constant(1), data: fc.uint8Array({ minLength: 4, maxLength: 4 }) }),
    fc.record({ type: fc.constant(5), data: fc.uint8Array({ minLength: 16, maxLength: 16 }) }),
  );
  fc.assert(
    fc.property(identities, (identity) => {
      const text = formatIdentity(identity);
      if (/^ID_/.test(text)) return; // quotes and backslashes show in hex
      expect(parseIdentity(text)).toEqual(identity);
    }),
    { seed: 3, numRuns: 2000 },
  );
});

test("a peer's octets cannot break a log line", () => {
  const lines = [
    ascii("gw\n[error] forged"),
    Uint8Array.of(0x1b, 0x5b, 0x32, 0x4a),
    new Uint8Array(0),
    new Uint8Array(70_000).fill(65),
  ];
  for (const data of lines) {
    for (const type of [1, 2, 3, 5, 9, 11, 13, 99]) {
      expect(formatIdentity({ type, data })).toMatch(/^[\x21-\x7e]+$/);
    }
  }
  expect(formatIdentity({ type: 9, data: Uint8Array.of(0x30, 0) })).toBe("ID_DER_ASN1_DN:3000");
});

test("domain names compare without regard to case, mailboxes and key IDs octet by octet", () => {
  const same = (a: string, b: string) => sameIdentity(parseIdentity(a), parseIdentity(b));
  expect(same("A.Example.org", "a.example.ORG")).toBe(true);
  expect(same("a.example.org", "b.example.org")).toBe(false);
  expect(same("a.example.org", "a.example.org.")).toBe(false);
  expect(same("anna@Example.org", "anna@example.org")).toBe(true);
  expect(same("Anna@example.org", "anna@example.org")).toBe(false);
  expect(same("keyid:Key", "keyid:key")).toBe(false);
  expect(same("fqdn:192.0.2.1", "192.0.2.1")).toBe(false);
  expect(same("keyid:gw", "fqdn:gw")).toBe(false);
});
