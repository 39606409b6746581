import fc from "fast-check";
import { expect, test } from "vitest";
import { element, objectIdentifier, sequence, setOf, text } from "../../src/pki/der-writer.ts";
import { commonNames, decodeName, encodeName, formatName } from "../../src/pki/names.ts";
import { Oid } from "../../src/pki/object-identifiers.ts";

test("a name in text, its octets, and back", () => {
  const labels = fc.constantFrom("C", "ST", "L", "O", "OU", "CN", "DC", "E", "serialNumber", "1.2.3.4");
  const value = fc.string({ minLength: 1, maxLength: 12, unit: "grapheme-ascii" }).map((word) => `a${word}z`);
  fc.assert(
    fc.property(fc.array(fc.tuple(labels, value), { minLength: 1, maxLength: 5 }), (attributes) => {
      const written = attributes
        .map(([label, word]) => `${label}=${word.replace(/[,\\]/g, "\\$&")}`)
        .join(", ");
      const name = decodeName(encodeName(written)!)!;
      expect(name.attributes.map(({ text: read }) => read)).toEqual(attributes.map(([, word]) => word));
      expect(decodeName(encodeName(formatName(name))!)?.canonical).toBe(name.canonical);
    }),
    { seed: 1, numRuns: 300 },
  );
});

test.each(["", "gw", "CN", "CN=", "=x", "CN=a,,O=b", "CN=a, ", "XY=z", "CN=a\\", ", CN=a"])(
  "%j is no distinguished name",
  (written) => {
    expect(encodeName(written)).toBeUndefined();
  },
);

const attribute = (type: string, value: Uint8Array) => setOf(sequence(objectIdentifier(type), value));
const name = (...sets: readonly Uint8Array[]) => decodeName(sequence(...sets))!;
const common = (value: Uint8Array) => name(attribute(Oid.commonName, value));

test("string types, case and runs of spaces do not count, everything else does", () => {
  const same = [
    common(text(0x0c, "Example  Gateway")),
    common(text(0x13, "EXAMPLE GATEWAY ")),
    common(text(0x14, "example gateway")),
    common(element(0x1e, Buffer.from("example gateway", "utf16le").swap16())),
  ];
  expect(new Set(same.map(({ canonical }) => canonical)).size).toBe(1);
  const different = [
    common(text(0x0c, "example")),
    common(element(0x04, Buffer.from("example"))),
    common(element(0x0c, Uint8Array.of(0xff))),
    name(attribute(Oid.organizationName, text(0x0c, "example"))),
    name(),
    name(attribute(Oid.commonName, text(0x0c, 'example"],["2.5.4.3=example'))),
  ];
  expect(new Set(different.map(({ canonical }) => canonical)).size).toBe(different.length);
});

test("what a log line shows of a name is short and harmless", () => {
  const shown = formatName(common(text(0x0c, `\x1b[2J\n${"x".repeat(1000)}`)));
  expect(shown).toMatch(/^CN=\?\[2J\?x+\.\.\.$/);
  expect(shown.length).toBeLessThan(300);
  expect(formatName(name())).toBe("(no name)");
  expect(
    commonNames(name(attribute(Oid.commonName, text(0x0c, "a")), attribute("1.2.3", text(0x0c, "b")))),
  ).toEqual(["a"]);
});

test("octets that are no name, or too much of one, are none", () => {
  for (const hex of ["", "0000", "3001", "30020500", "30023100", "300031"])
    expect(decodeName(Buffer.from(hex, "hex"))).toBeUndefined();
  const many = Array.from({ length: 100 }, () => attribute(Oid.commonName, text(0x0c, "a")));
  expect(decodeName(sequence(...many))).toBeUndefined();
});
