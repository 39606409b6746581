import { describe, expect, test } from "vitest";
import { fromHex, toHex } from "../../src/bytes/hex.ts";
import { WireError } from "../../src/errors/index.ts";
import { decodePayloads, encodePayloads, type Payload } from "../../src/wire/index.ts";

const none = new Uint8Array(0);

/** One payload of each kind with the octets of its body, laid out from the diagrams of RFC 7296 section 3. */
const KNOWN: readonly {
  readonly name: string;
  readonly type: number;
  readonly body: string;
  readonly value: Payload;
}[] = [
  {
    name: "SA that rekeys an IKE SA",
    type: 33,
    body: "0000002c 01010803 1122334455667788 0300000c 01000014 800e0100 03000008 02000006 00000008 0400001f",
    value: {
      kind: "security-association",
      critical: false,
      proposals: [
        {
          number: 1,
          protocolId: 1,
          spi: fromHex("1122334455667788"),
          transforms: [
            { type: 1, id: 20, keyLength: 256 },
            { type: 2, id: 6 },
            { type: 4, id: 31 },
          ],
        },
      ],
    },
  },
  {
    name: "SA with two ESP proposals",
    type: 33,
    body: "02000020 01030402 c0000001 0300000c 0100000c 800e0080 00000008 05000000 00000014 02030401 c0000001 00000008 0100001c",
    value: {
      kind: "security-association",
      critical: false,
      proposals: [
        {
          number: 1,
          protocolId: 3,
          spi: fromHex("c0000001"),
          transforms: [
            { type: 1, id: 12, keyLength: 128 },
            { type: 5, id: 0 },
          ],
        },
        { number: 2, protocolId: 3, spi: fromHex("c0000001"), transforms: [{ type: 1, id: 28 }] },
      ],
    },
  },
  {
    name: "KE",
    type: 34,
    body: "001f0000 0102",
    value: { kind: "key-exchange", critical: false, group: 31, data: fromHex("0102") },
  },
  {
    name: "IDi, IPv4 address",
    type: 35,
    body: "01000000 c0000201",
    value: { kind: "identification-initiator", critical: false, idType: 1, data: fromHex("c0000201") },
  },
  {
    name: "IDr, FQDN",
    type: 36,
    body: "02000000 612e62",
    value: { kind: "identification-responder", critical: false, idType: 2, data: fromHex("612e62") },
  },
  {
    name: "CERT",
    type: 37,
    body: "04 3082",
    value: { kind: "certificate", critical: false, encoding: 4, data: fromHex("3082") },
  },
  {
    name: "CERTREQ that names no authority",
    type: 38,
    body: "04",
    value: { kind: "certificate-request", critical: false, encoding: 4, data: none },
  },
  {
    name: "AUTH",
    type: 39,
    body: "02000000 aabbcc",
    value: { kind: "authentication", critical: false, method: 2, data: fromHex("aabbcc") },
  },
  {
    name: "Nonce",
    type: 40,
    body: "000102030405060708090a0b0c0d0e0f",
    value: { kind: "nonce", critical: false, nonce: fromHex("000102030405060708090a0b0c0d0e0f") },
  },
  {
    name: "Notify with SPI and data",
    type: 41,
    body: "03044009 c0000001 ff",
    value: {
      kind: "notify",
      critical: false,
      protocolId: 3,
      notifyType: 16393,
      spi: fromHex("c0000001"),
      data: fromHex("ff"),
    },
  },
  {
    name: "Notify without SPI or data",
    type: 41,
    body: "00004000",
    value: { kind: "notify", critical: false, protocolId: 0, notifyType: 16384, spi: none, data: none },
  },
  {
    name: "Delete of the IKE SA",
    type: 42,
    body: "01000000",
    value: { kind: "delete", critical: false, protocolId: 1, spis: [] },
  },
  {
    name: "Delete of two ESP SAs",
    type: 42,
    body: "03040002 c0000001 c0000002",
    value: {
      kind: "delete",
      critical: false,
      protocolId: 3,
      spis: [fromHex("c0000001"), fromHex("c0000002")],
    },
  },
  {
    name: "Vendor ID",
    type: 43,
    body: "abcd",
    value: { kind: "vendor-id", critical: false, data: fromHex("abcd") },
  },
  {
    name: "TSi with an IPv4 and an IPv6 range",
    type: 44,
    body: "02000000 07060010 00500050 0a010000 0a01ffff 08000028 0000ffff fd000000000000000000000000000000 fd00000000000000ffffffffffffffff",
    value: {
      kind: "traffic-selectors-initiator",
      critical: false,
      selectors: [
        {
          type: 7,
          protocol: 6,
          startPort: 80,
          endPort: 80,
          startAddress: fromHex("0a010000"),
          endAddress: fromHex("0a01ffff"),
        },
        {
          type: 8,
          protocol: 0,
          startPort: 0,
          endPort: 65535,
          startAddress: fromHex("fd000000000000000000000000000000"),
          endAddress: fromHex("fd00000000000000ffffffffffffffff"),
        },
      ],
    },
  },
  {
    name: "TSr with OPAQUE ports",
    type: 45,
    body: "01000000 07840010 ffff0000 00000000 ffffffff",
    value: {
      kind: "traffic-selectors-responder",
      critical: false,
      selectors: [
        {
          type: 7,
          protocol: 132,
          startPort: 65535,
          endPort: 0,
          startAddress: fromHex("00000000"),
          endAddress: fromHex("ffffffff"),
        },
      ],
    },
  },
  {
    name: "CP request",
    type: 47,
    body: "01000000 00010000 00030004 08080808",
    value: {
      kind: "configuration",
      critical: false,
      configurationType: 1,
      attributes: [
        { type: 1, value: none },
        { type: 3, value: fromHex("08080808") },
      ],
    },
  },
  {
    name: "EAP Identity response",
    type: 48,
    body: "02070008 01616263",
    value: { kind: "eap", critical: false, octets: fromHex("0207000801616263") },
  },
  {
    name: "unknown payload",
    type: 200,
    body: "0102",
    value: { kind: "unknown", critical: false, payloadType: 200, body: fromHex("0102") },
  },
];

describe("known octets", () => {
  test.each(KNOWN)("$name", ({ type, body, value }) => {
    const octets = chain(body);
    expect(decodePayloads({ firstType: type, octets })).toEqual([value]);
    expect(encodePayloads([value])).toEqual({ firstType: type, octets });
  });

  test.each(KNOWN)(
    "$name, cut off at every octet, is a WireError or another value, never anything else",
    ({ type, body }) => {
      const whole = fromHex(body);
      for (let length = 0; length < whole.length; length++) {
        const octets = chain(toHex(whole.subarray(0, length)));
        try {
          decodePayloads({ firstType: type, octets });
        } catch (error) {
          expect(error).toBeInstanceOf(WireError);
        }
      }
    },
  );
});

describe("what makes no sense is refused with its name", () => {
  test.each([
    [
      "SA without proposals",
      33,
      "",
      "Security Association payload: Last Substruc runs past the end at octet 4",
    ],
    [
      "proposal shorter than its header",
      33,
      "00000007 01010001",
      "Security Association payload: Proposal Length 7 is less than its header",
    ],
    [
      "proposal longer than its payload",
      33,
      "00000014 01010001 00000008 01000014",
      "Security Association payload: Proposal runs past the end",
    ],
    ["proposal without transforms", 33, "00000008 01010000", "Proposal: Num Transforms is 0"],
    [
      "fewer transforms than counted",
      33,
      "00000010 01010002 03000008 01000014",
      "Proposal: Last Substruc runs past the end",
    ],
    [
      "more transforms than counted",
      33,
      "00000018 01010001 00000008 01000014 00000008 02000005",
      "Proposal: end 8 octets too many",
    ],
    [
      "transform that says it is the last and is not",
      33,
      "00000018 01010002 00000008 01000014 00000008 02000005",
      "Proposal: Last Substruc is 0 against Num Transforms",
    ],
    [
      "transform that says it is not the last and is",
      33,
      "00000010 01010001 03000008 01000014",
      "Proposal: Last Substruc is 3 against Num Transforms",
    ],
    [
      "transform shorter than its header",
      33,
      "00000010 01010001 00000007 01000014",
      "Proposal: Transform Length 7 is less than its header",
    ],
    [
      "transform longer than its proposal",
      33,
      "00000010 01010001 00000009 01000014",
      "Proposal: Transform runs past the end",
    ],
    [
      "half an attribute",
      33,
      "00000012 01010001 0000000a 01000014 800e",
      "Transform: Attribute Value runs past the end",
    ],
    [
      "attribute longer than its transform",
      33,
      "00000014 01010001 0000000c 01000014 000e0001",
      "Transform: Attribute Value runs past the end",
    ],
    [
      "proposal that says more follow",
      33,
      "02000010 01010001 00000008 01000014",
      "Security Association payload: Last Substruc is 2 with 0 octets behind",
    ],
    [
      "proposal that says nothing follows",
      33,
      "00000010 01010001 00000008 01000014 00000010 02010001 00000008 01000014",
      "Security Association payload: Last Substruc is 0 with 16 octets behind",
    ],
    [
      "SPI longer than its proposal",
      33,
      "00000010 0101ff01 00000008 01000014",
      "Proposal: SPI runs past the end at octet 12",
    ],
    ["KE without data", 34, "001f0000", "Key Exchange payload: Key Exchange Data is empty"],
    ["KE without group", 34, "00", "Key Exchange payload: Group Num runs past the end"],
    [
      "IPv4 identity of 5 octets",
      35,
      "01000000 0a00000100",
      "Identification (initiator) payload: Identification Data of 5 octets is not 4 long",
    ],
    [
      "IPv6 identity of 4 octets",
      36,
      "05000000 0a000001",
      "Identification (responder) payload: Identification Data of 4 octets is not 16 long",
    ],
    [
      "null identity with data",
      35,
      "0d000000 00",
      "Identification (initiator) payload: Identification Data of 1 octets is not 0 long",
    ],
    ["AUTH without method", 39, "", "Authentication payload: Auth Method runs past the end"],
    [
      "nonce of 15 octets",
      40,
      "00".repeat(15),
      "Nonce payload: Nonce Data of 15 octets is not 16 to 256 long",
    ],
    [
      "nonce of 257 octets",
      40,
      "00".repeat(257),
      "Nonce payload: Nonce Data of 257 octets is not 16 to 256 long",
    ],
    [
      "SPI longer than its Notify",
      41,
      "03054009 c0000001",
      "Notify payload: SPI runs past the end at octet 8",
    ],
    [
      "Delete with fewer SPIs than counted",
      42,
      "03040002 c0000001",
      "Delete payload: Num of SPIs 2 of 4 octets are not the 4 that follow",
    ],
    [
      "Delete with more SPIs than counted",
      42,
      "03040000 c0000001",
      "Delete payload: Num of SPIs 0 of 4 octets are not the 4 that follow",
    ],
    [
      "Delete with SPIs of no octets",
      42,
      "0100ffff",
      "Delete payload: Num of SPIs is 65535 while SPI Size is 0",
    ],
    [
      "Delete of ESP SPIs of 8 octets",
      42,
      "03080001 0000000000000000",
      "Delete payload: SPI Size 8 does not fit protocol 3",
    ],
    [
      "Delete of an IKE SPI",
      42,
      "01080001 0000000000000000",
      "Delete payload: SPI Size 8 does not fit protocol 1",
    ],
    ["no traffic selectors", 44, "00000000", "Traffic Selector (initiator) payload: Number of TSs is 0"],
    [
      "fewer traffic selectors than counted",
      44,
      "02000000 07000010 0000ffff 0a000000 0a000000",
      "Traffic Selector (initiator) payload: TS Type runs past the end",
    ],
    [
      "more traffic selectors than counted",
      45,
      "01000000 07000010 0000ffff 0a000000 0a000000 00",
      "Traffic Selector (responder) payload: end 1 octets too many",
    ],
    [
      "traffic selector shorter than its header",
      44,
      "01000000 07000003",
      "Traffic Selector (initiator) payload: Selector Length 3 is less than its header",
    ],
    [
      "IPv6 traffic selector with IPv4 addresses",
      44,
      "01000000 08000010 0000ffff 0a000000 0a000000",
      "Traffic Selector: Starting Address runs past the end",
    ],
    [
      "IPv4 traffic selector with IPv6 addresses",
      44,
      `01000000 07000028 0000ffff ${"00".repeat(32)}`,
      "Traffic Selector: end 24 octets too many",
    ],
    [
      "reversed ports",
      44,
      "01000000 07060010 00510050 0a000000 0a000000",
      "Traffic Selector: End Port 80 lies before 81",
    ],
    [
      "reversed addresses",
      44,
      "01000000 07000010 0000ffff 0a000001 0a000000",
      "Traffic Selector: Ending Address lies before the starting address",
    ],
    [
      "half a configuration attribute",
      47,
      "01000000 0001",
      "Configuration payload: Attribute Length runs past the end",
    ],
    [
      "configuration attribute that is too long",
      47,
      "01000000 00010005 08080808",
      "Configuration payload: Attribute Value runs past the end",
    ],
    [
      "EAP message shorter than it says",
      48,
      "01010006 01",
      "EAP payload: Length is 6 while the payload holds 5",
    ],
    [
      "EAP message longer than it says",
      48,
      "01010004 01",
      "EAP payload: Length is 4 while the payload holds 5",
    ],
    ["EAP message without a length", 48, "0101", "EAP payload: Length runs past the end"],
    ["SK inside of SK", 46, "00", "Encrypted payload: payload is inside another"],
    ["SKF inside of SK", 53, "00010001", "Encrypted Fragment payload: payload is inside another"],
  ])("%s", (_name, firstType, body, message) => {
    const decode = (): unknown => decodePayloads({ firstType, octets: chain(body) });
    expect(decode).toThrow(WireError);
    expect(decode).toThrow(message);
  });
});

describe("what we do not know travels", () => {
  test("reserved bits and octets are ignored", () => {
    const [nonce] = decodePayloads({ firstType: 40, octets: fromHex(`007f0014${"00".repeat(16)}`) });
    expect(nonce).toMatchObject({ kind: "nonce", critical: false });
    const [sa] = decodePayloads({ firstType: 33, octets: chain("00ff0010 01010001 00ff0008 01ff0014") });
    expect(sa).toMatchObject({ proposals: [{ transforms: [{ type: 1, id: 20 }] }] });
    const [id] = decodePayloads({ firstType: 35, octets: chain("01ffffff c0000201") });
    expect(id).toMatchObject({ idType: 1, data: fromHex("c0000201") });
    const [cp] = decodePayloads({ firstType: 47, octets: chain("01ffffff 80010000") });
    expect(cp).toMatchObject({ attributes: [{ type: 1 }] });
  });

  test("a transform with an attribute that we do not know says so and keeps the rest", () => {
    const [sa] = decodePayloads({
      firstType: 33,
      octets: chain("0000001c 01010001 00000014 01000014 800e0100 00630004 aabbccdd"),
    });
    expect(sa).toMatchObject({
      proposals: [{ transforms: [{ type: 1, id: 20, keyLength: 256, hasUnknownAttribute: true }] }],
    });
  });

  test("a second key length, or one in the long format, counts as unknown", () => {
    const [twice] = decodePayloads({
      firstType: 33,
      octets: chain("00000018 01010001 00000010 01000014 800e0080 800e0100"),
    });
    expect(twice).toMatchObject({
      proposals: [{ transforms: [{ keyLength: 128, hasUnknownAttribute: true }] }],
    });
    const [long] = decodePayloads({
      firstType: 33,
      octets: chain("00000016 01010001 0000000e 01000014 000e0002 0100"),
    });
    expect(long).toMatchObject({
      proposals: [{ transforms: [{ type: 1, id: 20, hasUnknownAttribute: true }] }],
    });
  });

  test("unknown transform types and IDs come out as numbers", () => {
    const [sa] = decodePayloads({ firstType: 33, octets: chain("00000010 01090001 00000008 f000ffff") });
    expect(sa).toMatchObject({ proposals: [{ protocolId: 9, transforms: [{ type: 240, id: 65535 }] }] });
  });

  test("a traffic selector of another type is passed over by its length", () => {
    const [ts] = decodePayloads({
      firstType: 44,
      octets: chain("02000000 0a000007 616263 07000010 0000ffff 0a000000 0a0000ff"),
    });
    expect(ts).toMatchObject({
      selectors: [
        { type: 10, startAddress: none, endAddress: none },
        { type: 7, endAddress: fromHex("0a0000ff") },
      ],
    });
  });

  test("an unknown critical payload comes out with its bit, among the others", () => {
    const octets = fromHex("29800005ff 00000008 00004000");
    expect(decodePayloads({ firstType: 201, octets })).toEqual([
      { kind: "unknown", critical: true, payloadType: 201, body: fromHex("ff") },
      { kind: "notify", critical: false, protocolId: 0, notifyType: 16384, spi: none, data: none },
    ]);
  });
});

describe("values without an encoding are a mistake of ours", () => {
  test.each<[string, Payload]>([
    ["SA without proposals", { kind: "security-association", critical: false, proposals: [] }],
    [
      "proposal without transforms",
      {
        kind: "security-association",
        critical: false,
        proposals: [{ number: 1, protocolId: 1, spi: none, transforms: [] }],
      },
    ],
    [
      "transform with an unknown attribute",
      {
        kind: "security-association",
        critical: false,
        proposals: [
          {
            number: 1,
            protocolId: 1,
            spi: none,
            transforms: [{ type: 1, id: 20, hasUnknownAttribute: true }],
          },
        ],
      },
    ],
    ["no traffic selectors", { kind: "traffic-selectors-initiator", critical: false, selectors: [] }],
    [
      "traffic selector with addresses of the wrong family",
      {
        kind: "traffic-selectors-responder",
        critical: false,
        selectors: [
          {
            type: 8,
            protocol: 0,
            startPort: 0,
            endPort: 0,
            startAddress: fromHex("00000000"),
            endAddress: fromHex("00000000"),
          },
        ],
      },
    ],
    ["nonce that is too short", { kind: "nonce", critical: false, nonce: new Uint8Array(15) }],
    [
      "SPIs of different lengths",
      { kind: "delete", critical: false, protocolId: 3, spis: [new Uint8Array(4), new Uint8Array(5)] },
    ],
    ["EAP message with a wrong length", { kind: "eap", critical: false, octets: fromHex("0101000501 02") }],
    ["unknown payload of a known type", { kind: "unknown", critical: false, payloadType: 41, body: none }],
    ["unknown payload of type 0", { kind: "unknown", critical: false, payloadType: 0, body: none }],
    [
      "payload longer than its length field",
      { kind: "vendor-id", critical: false, data: new Uint8Array(65532) },
    ],
    [
      "SPI of 256 octets",
      { kind: "notify", critical: false, protocolId: 3, notifyType: 1, spi: new Uint8Array(256), data: none },
    ],
  ])("%s", (_name, payload) => {
    const failure = failureOf(() => encodePayloads([payload]));
    expect(failure instanceof TypeError || failure instanceof RangeError).toBe(true);
  });
});

function failureOf(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}

/** A chain of one payload with this body. */
function chain(body: string): Uint8Array {
  const octets = fromHex(`00000000${body}`);
  octets[2] = octets.length >>> 8;
  octets[3] = octets.length;
  return octets;
}
