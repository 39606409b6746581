import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatAddress } from "../../../src/bytes/ip-address.ts";
import { Reader } from "../../../src/bytes/reader.ts";
import { Writer } from "../../../src/bytes/writer.ts";
import { ConfigurationAttribute } from "../../../src/iana/ikev2-parameters.ts";
import type { InternalConfiguration } from "../../../src/policy/internal-configuration/configuration.ts";
import { domainName } from "../../../src/policy/internal-configuration/domain.ts";
import { buildInternalReply, readInternalReply } from "../../../src/policy/internal-configuration/reply.ts";
import {
  buildInternalRequest,
  readInternalRequest,
} from "../../../src/policy/internal-configuration/request.ts";
import {
  type Configuration,
  type ConfigurationValue,
  decodeConfiguration,
  encodeConfiguration,
} from "../../../src/wire/payloads/configuration.ts";

const Attribute = ConfigurationAttribute;

const GIVEN: InternalConfiguration = {
  addresses: ["10.77.0.5", "fd77::5"],
  dns: ["10.77.0.1", "fd77::1"],
  subnets: ["10.0.0.0/8", "0.0.0.0/0", "fd00::/8", "::/0"],
  domains: [
    { name: "corp.example.org", trustAnchors: [] },
    {
      name: "lab.example.org",
      trustAnchors: [
        { keyTag: 0xabcd, algorithm: 13, digestType: 2, digest: new Uint8Array(32).fill(7) },
        { keyTag: 1, algorithm: 8, digestType: 4, digest: new Uint8Array(48).fill(9) },
      ],
    },
  ],
};

/** As the other side has it after the wire. */
function carried(configuration: Configuration): Configuration {
  const writer = new Writer();
  encodeConfiguration(configuration, writer);
  return decodeConfiguration(new Reader(writer.finish(), "Configuration payload"));
}

function payload(...attributes: readonly [type: number, ...octets: readonly number[]][]): Configuration {
  return {
    configurationType: 1,
    attributes: attributes.map(([type, ...octets]) => ({ type, value: Uint8Array.from(octets) })),
  };
}

function request(configuration: Configuration) {
  const read = readInternalRequest(configuration);
  if (read.kind === "refused") throw new Error(read.reason);
  return read.request;
}

function reply(configuration: Configuration): InternalConfiguration {
  const read = readInternalReply(configuration);
  if (read.kind === "refused") throw new Error(read.reason);
  return read.configuration;
}

function typesOf({ attributes }: Configuration): readonly number[] {
  return attributes.map(({ type }) => type);
}

describe("what a client asks for", () => {
  test("is an address of each family that it wants, with resolvers, subnets and domains", () => {
    const asked = request(
      carried(buildInternalRequest({ ipv4: true, ipv6: true, requested: ["fd77::9", "10.77.0.9"] })),
    );
    expect(asked).toMatchObject({ ipv4: true, ipv6: true, requested: ["10.77.0.9", "fd77::9"] });
    const given = reply(carried(buildInternalReply({ request: asked, configuration: GIVEN })));
    // Trust anchors are for those who ask for them.
    expect(given).toEqual({
      ...GIVEN,
      domains: GIVEN.domains.map(({ name }) => ({ name, trustAnchors: [] })),
    });
    const one = request(carried(buildInternalRequest({ ipv4: true, ipv6: false })));
    expect(one).toMatchObject({ ipv4: true, ipv6: false, requested: [] });
    expect(reply(carried(buildInternalReply({ request: one, configuration: GIVEN })))).toMatchObject({
      addresses: ["10.77.0.5"],
      dns: ["10.77.0.1"],
      subnets: ["10.0.0.0/8", "0.0.0.0/0"],
    });
  });

  test("is no wish when it names no address, and the first wish of a family counts", () => {
    expect(request(payload([Attribute.INTERNAL_IP4_ADDRESS, 0, 0, 0, 0])).requested).toEqual([]);
    expect(
      request(
        payload(
          [Attribute.INTERNAL_IP4_ADDRESS],
          [Attribute.INTERNAL_IP4_ADDRESS, 10, 0, 0, 1],
          [Attribute.INTERNAL_IP4_ADDRESS, 10, 0, 0, 2],
        ),
      ).requested,
    ).toEqual(["10.0.0.1"]);
  });

  test("of Windows and of Apple's systems is read, and gets no more than it asks for", () => {
    const windows = request(payload([1], [3], [4], [23_456], [8], [10], [23_457]));
    expect(windows).toMatchObject({ ipv4: true, ipv6: true });
    expect(typesOf(buildInternalReply({ request: windows, configuration: GIVEN }))).toEqual([1, 8, 3, 10]);
    const apple = request(payload([1], [2], [6], [3], [8], [12], [10], [25]));
    expect(typesOf(buildInternalReply({ request: apple, configuration: GIVEN }))).toEqual([
      1, 8, 3, 10, 25, 25,
    ]);
  });

  test("gets domains only beside a resolver that knows them", () => {
    const asked = request(payload([Attribute.INTERNAL_IP4_ADDRESS], [Attribute.INTERNAL_DNS_DOMAIN]));
    expect(typesOf(buildInternalReply({ request: asked, configuration: GIVEN }))).toEqual([1]);
  });

  test("may be what we support, and is never our version", () => {
    const asked = request(payload([Attribute.SUPPORTED_ATTRIBUTES], [Attribute.APPLICATION_VERSION]));
    const { attributes } = carried(buildInternalReply({ request: asked, configuration: GIVEN }));
    expect(attributes).toEqual([
      {
        type: 14,
        value: Uint8Array.of(0, 1, 0, 3, 0, 8, 0, 10, 0, 13, 0, 14, 0, 15, 0, 25, 0, 26),
      },
    ]);
  });
});

describe("what a gateway gives", () => {
  test("arrives as it was, with the trust anchors of each domain", () => {
    const everything = { asked: new Set<number>(Object.values(Attribute)) };
    const given = carried(buildInternalReply({ request: everything, configuration: GIVEN }));
    expect(reply(given)).toEqual(GIVEN);
    const ipv6 = given.attributes.find(({ type }) => type === Attribute.INTERNAL_IP6_ADDRESS);
    expect(ipv6?.value).toEqual(Uint8Array.of(0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 64));
  });

  test("with a netmask leads to a subnet, and without a resolver to no domains", () => {
    expect(
      reply(
        payload(
          [Attribute.INTERNAL_IP4_ADDRESS, 10, 77, 3, 5],
          [Attribute.INTERNAL_IP4_NETMASK, 255, 255, 254, 0],
          [Attribute.INTERNAL_DNS_DOMAIN, ...letters("corp.example.org")],
        ),
      ),
    ).toEqual({ addresses: ["10.77.3.5"], dns: [], subnets: ["10.77.2.0/23"], domains: [] });
  });

  test("is nothing in an attribute without a value, or one that nobody knows", () => {
    const nothing = { addresses: [], dns: [], subnets: [], domains: [] };
    const types = [...Object.values(Attribute), 0, 5, 16_384, 0x7fff];
    expect(reply(payload(...types.map((type): [number] => [type])))).toEqual(nothing);
    expect(reply(payload([9, 1, 2, 3], [Attribute.APPLICATION_VERSION, 1, 2], [0x7fff, 4]))).toEqual(nothing);
  });

  test("has trust anchors only right behind their domain", () => {
    const domain = (name: string): [number, ...number[]] => [Attribute.INTERNAL_DNS_DOMAIN, ...letters(name)];
    const anchor = (tag: number): [number, ...number[]] => [Attribute.INTERNAL_DNSSEC_TA, 0, tag, 13, 2, 99];
    const dns: [number, ...number[]] = [Attribute.INTERNAL_IP4_DNS, 10, 0, 0, 1];
    const { domains } = reply(
      payload(
        anchor(1),
        domain("A.example.org."),
        anchor(2),
        dns,
        anchor(3),
        domain("not a name"),
        anchor(4),
        [Attribute.INTERNAL_DNSSEC_TA, 0, 5, 13, 2],
        domain("b.example.org"),
      ),
    );
    expect(
      domains.map(({ name, trustAnchors }) => [name, ...trustAnchors.map(({ keyTag }) => keyTag)]),
    ).toEqual([["a.example.org", 2], ["b.example.org"]]);
  });
});

function letters(text: string): readonly number[] {
  return Array.from(text, (letter) => letter.charCodeAt(0));
}

describe("what cannot be is refused", () => {
  test.each([
    [[Attribute.INTERNAL_IP4_ADDRESS, 10, 0, 0], /INTERNAL_IP4_ADDRESS has 3 octets instead of 4/],
    [[Attribute.INTERNAL_IP4_ADDRESS, 10, 0, 0, 0, 1], /has 5 octets/],
    [[Attribute.INTERNAL_IP4_NETMASK, 255], /has 1 octets/],
    [[Attribute.INTERNAL_IP4_NETMASK, 255, 0, 255, 0], /255\.0\.255\.0 is no netmask/],
    [[Attribute.INTERNAL_IP4_DNS, 1, 2, 3, 4, 5, 6, 7, 8], /has 8 octets instead of 4/],
    [[Attribute.INTERNAL_IP6_ADDRESS, ...new Uint8Array(16)], /has 16 octets instead of 17/],
    [[Attribute.INTERNAL_IP6_ADDRESS, ...new Uint8Array(16), 129], /a prefix of 129 bits/],
    [[Attribute.INTERNAL_IP6_DNS, ...new Uint8Array(17)], /has 17 octets instead of 16/],
    [[Attribute.INTERNAL_IP4_SUBNET, 10, 0, 0, 0], /has 4 octets instead of 8/],
    [[Attribute.INTERNAL_IP4_SUBNET, 10, 0, 0, 0, 0, 255, 0, 0], /0\.255\.0\.0 is no netmask/],
    [[Attribute.INTERNAL_IP6_SUBNET, ...new Uint8Array(16), 255], /a prefix of 255 bits/],
    [[Attribute.INTERNAL_IP4_NBNS, 1], /has 1 octets/],
  ] as const)("%j, in both directions", (attribute, reason) => {
    const configuration = payload(attribute as unknown as [number, ...number[]]);
    for (const read of [readInternalRequest(configuration), readInternalReply(configuration)]) {
      expect(read).toEqual({ kind: "refused", reason: expect.stringMatching(reason) });
    }
  });

  test.each(["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "ff02::1"])(
    "%s as an address for us",
    (address) => {
      const configuration = buildInternalReply({
        request: { asked: new Set([1, 8]) },
        configuration: { ...GIVEN, addresses: [address] },
      });
      expect(readInternalReply(configuration)).toEqual({
        kind: "refused",
        reason: `${address} is no address for a host`,
      });
    },
  );

  test("more than a resolver or a routing table should take", () => {
    const attributes = Array.from({ length: 257 }, (_, i): [number, ...number[]] => [
      Attribute.INTERNAL_IP4_SUBNET,
      ...[10, i >>> 8, i & 255, 0, 255, 255, 255, 0],
    ]);
    expect(readInternalReply(payload(...attributes))).toMatchObject({ reason: /257 subnets/ });
    const twice = [Attribute.INTERNAL_IP4_NETMASK, 255, 0, 0, 0] as [number, ...number[]];
    expect(readInternalReply(payload(twice, twice))).toMatchObject({ reason: /comes 2 times/ });
  });
});

describe("a domain name", () => {
  test.each([
    ["Corp.Example.ORG.", "corp.example.org"],
    ["xn--bcher-kva.example", "xn--bcher-kva.example"],
    ["_tcp.example", "_tcp.example"],
    ["local", "local"],
    ["", undefined],
    [".", undefined],
    ["a..b", undefined],
    ["-a.example", undefined],
    ["a b", undefined],
    ["a\nnameserver 192.0.2.1", undefined],
    ["~.", undefined],
    ["bücher.example", undefined],
    [`${"a".repeat(64)}.example`, undefined],
    [Array.from({ length: 64 }, () => "aaa").join("."), undefined],
  ])("%j is kept as %j", (text, name) => expect(domainName(text)).toBe(name));
});

describe("whatever comes", () => {
  const attribute: fc.Arbitrary<ConfigurationValue> = fc.record({
    type: fc.oneof(fc.constantFrom(...Object.values(Attribute)), fc.nat(0x7fff)),
    value: fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc
        .constantFrom(0, 4, 8, 16, 17)
        .chain((length) => fc.uint8Array({ minLength: length, maxLength: length })),
    ),
  });

  test("nothing throws, and what is read can be given and read again", () => {
    fc.assert(
      fc.property(fc.array(attribute, { maxLength: 40 }), (attributes) => {
        const configuration = { configurationType: 2, attributes };
        const asked = readInternalRequest(configuration);
        if (asked.kind === "request") {
          expect(asked.request.requested.length).toBeLessThanOrEqual(2);
          buildInternalReply({ request: asked.request, configuration: GIVEN });
        }
        const read = readInternalReply(configuration);
        if (read.kind === "refused") return;
        const everything = { asked: new Set<number>(Object.values(Attribute)) };
        const again = carried(buildInternalReply({ request: everything, configuration: read.configuration }));
        expect(sorted(reply(again))).toEqual(sorted(read.configuration));
      }),
      { seed: 8598, numRuns: 3_000 },
    );
  });

  test("any address and subnet arrives as it was", () => {
    const octets = fc.oneof(
      fc.uint8Array({ minLength: 4, maxLength: 4 }),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
    );
    fc.assert(
      fc.property(octets, fc.nat(128), (address, bits) => {
        const length = Math.min(bits, 8 * address.length);
        const subnet = `${formatAddress(address)}/${length}`;
        const configuration = { addresses: [], dns: [], subnets: [subnet], domains: [] };
        const request = { asked: new Set([13, 15]) };
        const [read] = reply(carried(buildInternalReply({ request, configuration }))).subnets;
        const again = { ...configuration, subnets: [read!] };
        expect(read).toMatch(new RegExp(`/${length}$`));
        expect(reply(buildInternalReply({ request, configuration: again })).subnets).toEqual([read]);
      }),
      { seed: 7296 },
    );
  });
});

/** A subnet from a netmask stands behind the others. */
function sorted({ subnets, ...rest }: InternalConfiguration): unknown {
  return { ...rest, subnets: [...subnets].sort() };
}
