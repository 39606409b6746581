import { describe, expect, test } from "vitest";
import { fromHex, toHex } from "../../src/bytes/hex.ts";
import { WireError } from "../../src/errors/index.ts";
import {
  decodeHeader,
  decodeMessage,
  decodePayloads,
  encodeMessage,
  encodeProtectedEnvelope,
  type Payload,
} from "../../src/wire/index.ts";
import { readHexFile } from "../support/hex-file.ts";

const strongswan = readHexFile("ikev2-messages/strongswan-ike-sa-init.hex");
const windows = readHexFile("ikev2-messages/windows-ike-sa-init.hex");
const none = new Uint8Array(0);

const fields = {
  initiatorSpi: 0xc0ffee0123456789n,
  responderSpi: 0x1122334455667788n,
  exchangeType: 37,
  isInitiator: true,
  isResponse: false,
  messageId: 5,
};

describe("IKE_SA_INIT requests as peers send them", () => {
  test("one of strongSwan's shape is understood and encodes to the same octets", () => {
    const { header, payloads } = decodeMessage(strongswan);
    expect(header).toEqual({
      initiatorSpi: 0xc0ffee0123456789n,
      responderSpi: 0n,
      nextPayload: 33,
      majorVersion: 2,
      minorVersion: 0,
      exchangeType: 34,
      isInitiator: true,
      isResponse: false,
      hasHigherVersion: false,
      messageId: 0,
      length: 292,
    });
    expect(payloads.map(({ kind }) => kind)).toEqual([
      "security-association",
      "key-exchange",
      "nonce",
      "notify",
      "notify",
      "notify",
      "notify",
      "notify",
    ]);
    expect(payloads[0]).toEqual({
      kind: "security-association",
      critical: false,
      proposals: [
        {
          number: 1,
          protocolId: 1,
          spi: none,
          transforms: [
            { type: 1, id: 12, keyLength: 128 },
            { type: 3, id: 12 },
            { type: 2, id: 5 },
            { type: 4, id: 31 },
            { type: 4, id: 14 },
          ],
        },
        {
          number: 2,
          protocolId: 1,
          spi: none,
          transforms: [
            { type: 1, id: 20, keyLength: 256 },
            { type: 1, id: 28 },
            { type: 2, id: 6 },
            { type: 4, id: 31 },
          ],
        },
      ],
    });
    expect(payloads[6]).toMatchObject({ notifyType: 16431, data: fromHex("0002000300040005") });
    expect(toHex(encodeMessage({ ...header, payloads }))).toBe(toHex(strongswan));
  });

  test("one of Windows' shape is understood and encodes to the same octets", () => {
    const { header, payloads } = decodeMessage(windows);
    const [sa, ke, nonce] = payloads;
    expect(sa).toMatchObject({ proposals: Array.from({ length: 6 }, (_, i) => ({ number: i + 1 })) });
    expect(ke).toMatchObject({ group: 2, data: { length: 128 } });
    expect(nonce).toMatchObject({ nonce: { length: 48 } });
    expect(payloads.filter(({ kind }) => kind === "vendor-id")).toHaveLength(3);
    expect(toHex(encodeMessage({ ...header, payloads }))).toBe(toHex(windows));
  });

  test.each([
    ["strongSwan's", strongswan],
    ["Windows'", windows],
  ])("%s, cut off at any octet, is refused", (_name, octets) => {
    for (let length = 0; length < octets.length; length++) {
      expect(() => decodeMessage(octets.subarray(0, length))).toThrow(WireError);
      // With the header's length made to fit, the payloads themselves have to notice.
      if (length > 28) expect(() => decodeMessage(withLength(octets.slice(0, length)))).toThrow(WireError);
    }
  });

  test("a message is read where it lies, in views", () => {
    const datagram = new Uint8Array(strongswan.length + 8);
    datagram.set(strongswan, 4);
    const { payloads } = decodeMessage(datagram.subarray(4, 4 + strongswan.length));
    const nonce = payloads[2];
    if (nonce?.kind !== "nonce") throw new Error("no nonce");
    expect(nonce.nonce.buffer).toBe(datagram.buffer);
  });
});

describe("the header", () => {
  test("is read for versions that we do not speak, and for any length", () => {
    const octets = strongswan.slice(0, 28);
    octets[17] = 0x35;
    octets[19] = 0x30;
    expect(decodeHeader(octets)).toMatchObject({
      majorVersion: 3,
      minorVersion: 5,
      hasHigherVersion: true,
      isInitiator: false,
      isResponse: true,
      initiatorSpi: 0xc0ffee0123456789n,
    });
    expect(() => decodeMessage(withLength(octets))).toThrow(
      "IKE message: Major Version 3 is not 2 at octet 28",
    );
  });

  test("the minor version and the reserved flags do not matter", () => {
    const octets = strongswan.slice();
    octets[17] = 0x2f;
    octets[19] = 0xcf;
    expect(decodeMessage(octets)).toMatchObject({
      header: { minorVersion: 15, isInitiator: true, isResponse: false },
    });
  });

  test("27 octets are no header", () => {
    expect(() => decodeHeader(strongswan.subarray(0, 27))).toThrow(
      "IKE header: Length runs past the end at octet 24",
    );
  });

  test.each([0, 27, 28, 291, 293, 0xffff_ffff])("Length %d of 292 is refused", (length) => {
    const octets = strongswan.slice();
    new DataView(octets.buffer).setUint32(24, length);
    expect(() => decodeMessage(octets)).toThrow(WireError);
  });

  test("every flag and the largest numbers go both ways", () => {
    for (const isInitiator of [false, true]) {
      for (const isResponse of [false, true]) {
        const octets = encodeMessage({
          ...fields,
          initiatorSpi: 0xffff_ffff_ffff_ffffn,
          messageId: 0xffff_ffff,
          exchangeType: 255,
          isInitiator,
          isResponse,
          payloads: [],
        });
        expect(decodeMessage(octets)).toMatchObject({
          header: {
            initiatorSpi: 0xffff_ffff_ffff_ffffn,
            messageId: 0xffff_ffff,
            exchangeType: 255,
            isInitiator,
            isResponse,
            length: 28,
          },
          payloads: [],
        });
      }
    }
  });
});

describe("the chain of payloads", () => {
  const vendorId: Payload = { kind: "vendor-id", critical: false, data: none };

  test("255 payloads are read, 256 are not", () => {
    const octets = encodeMessage({ ...fields, payloads: Array.from({ length: 255 }, () => vendorId) });
    expect(decodeMessage(octets).payloads).toHaveLength(255);
    const more = new Uint8Array(octets.length + 4);
    more.set(octets);
    more[octets.length - 4] = 43;
    more.set([0, 0, 0, 4], octets.length);
    expect(() => decodeMessage(withLength(more))).toThrow("payloads are more than 255");
    expect(() => encodeMessage({ ...fields, payloads: Array.from({ length: 256 }, () => vendorId) })).toThrow(
      RangeError,
    );
  });

  test.each([0, 1, 2, 3])("a payload of length %d cannot hold the parser in place", (length) => {
    const octets = encodeMessage({ ...fields, payloads: [vendorId, vendorId] });
    octets[31] = length;
    expect(() => decodeMessage(octets)).toThrow(
      `IKE message: Payload Length ${length} is less than its header at octet 32`,
    );
  });

  test("octets behind the last payload are refused", () => {
    const octets = new Uint8Array([...encodeMessage({ ...fields, payloads: [vendorId] }), 0]);
    expect(() => decodeMessage(withLength(octets))).toThrow("IKE message: end 1 octets too many at octet 32");
  });

  test("a chain that promises another payload and ends is refused", () => {
    const octets = encodeMessage({ ...fields, payloads: [vendorId] });
    octets[28] = 41;
    expect(() => decodeMessage(octets)).toThrow("IKE message: Next Payload runs past the end at octet 32");
  });

  test("offsets in errors count from the start of the message", () => {
    const octets = strongswan.slice();
    octets[28 + 100 + 40 + 36 + 4 + 1] = 200; // SPI Size of the first Notify, behind header, SA, KE and nonce
    expect(() => decodeMessage(octets)).toThrow("Notify payload: SPI runs past the end at octet 212");
  });

  test("an unknown critical payload in the clear is shown to the caller", () => {
    const octets = encodeMessage({
      ...fields,
      payloads: [{ kind: "unknown", critical: true, payloadType: 99, body: fromHex("01") }, vendorId],
    });
    expect(decodeMessage(octets).payloads[0]).toMatchObject({
      kind: "unknown",
      critical: true,
      payloadType: 99,
    });
  });
});

describe("protected messages", () => {
  test("an envelope has its header, its associated data and a body to seal into", () => {
    const envelope = encodeProtectedEnvelope({ ...fields, firstType: 41, bodyLength: 40 });
    expect(envelope).toMatchObject({ aadLength: 32, bodyOffset: 32 });
    expect(toHex(envelope.octets)).toBe(
      "c0ffee0123456789 1122334455667788 2e202508 00000005 00000048 2900002c".replaceAll(" ", "") +
        "00".repeat(40),
    );
    envelope.octets.fill(0xee, envelope.bodyOffset);
    const { payloads } = decodeMessage(envelope.octets);
    expect(payloads).toEqual([
      {
        kind: "encrypted",
        critical: false,
        nextPayload: 41,
        aad: envelope.octets.subarray(0, 32),
        body: new Uint8Array(40).fill(0xee),
      },
    ]);
  });

  test("a fragment's associated data reach up to Total Fragments, and only the first names what is inside", () => {
    const first = encodeProtectedEnvelope({
      ...fields,
      firstType: 35,
      bodyLength: 9,
      fragment: { number: 1, total: 2 },
    });
    const second = encodeProtectedEnvelope({
      ...fields,
      firstType: 35,
      bodyLength: 9,
      fragment: { number: 2, total: 2 },
    });
    expect(first).toMatchObject({ aadLength: 36, bodyOffset: 36 });
    expect(toHex(first.octets.subarray(16, 36))).toBe(
      `35202508 00000005 0000002d 23000011 00010002`.replaceAll(" ", ""),
    );
    expect(decodeMessage(first.octets).payloads).toEqual([
      {
        kind: "encrypted-fragment",
        critical: false,
        fragmentNumber: 1,
        totalFragments: 2,
        nextPayload: 35,
        aad: first.octets.subarray(0, 36),
        body: new Uint8Array(9),
      },
    ]);
    expect(decodeMessage(second.octets).payloads).toMatchObject([{ fragmentNumber: 2, nextPayload: 0 }]);
  });

  test.each([
    [0, 0],
    [0, 1],
    [2, 1],
    [65535, 65534],
  ])("fragment %d of %d is refused", (number, total) => {
    expect(() =>
      encodeProtectedEnvelope({ ...fields, firstType: 0, bodyLength: 0, fragment: { number, total } }),
    ).toThrow(RangeError);
    const { octets } = encodeProtectedEnvelope({
      ...fields,
      firstType: 0,
      bodyLength: 0,
      fragment: { number: 1, total: 1 },
    });
    const view = new DataView(octets.buffer);
    view.setUint16(32, number);
    view.setUint16(34, total);
    expect(() => decodeMessage(octets)).toThrow("Encrypted Fragment payload: Fragment Number");
  });

  test("SK ends the chain: what its Next Payload names is inside, and nothing may follow", () => {
    const { octets } = encodeProtectedEnvelope({ ...fields, firstType: 41, bodyLength: 16 });
    const longer = withLength(new Uint8Array([...octets, 0, 0, 0, 8, 0, 0, 64, 0]));
    expect(() => decodeMessage(longer)).toThrow("IKE message: end 8 octets too many at octet 48");
  });

  test("payloads in front of SK are covered by its associated data", () => {
    const message = encodeMessage({
      ...fields,
      payloads: [
        { kind: "vendor-id", critical: false, data: fromHex("aabb") },
        { kind: "encrypted", critical: false, nextPayload: 0, aad: none, body: fromHex("0102") },
      ],
    });
    expect(decodeMessage(message).payloads[1]).toMatchObject({ aad: { length: 38 }, body: fromHex("0102") });
  });

  test("SK is encoded as the last payload only", () => {
    const sk: Payload = { kind: "encrypted", critical: false, nextPayload: 0, aad: none, body: none };
    const vendorId: Payload = { kind: "vendor-id", critical: false, data: none };
    expect(() => encodeMessage({ ...fields, payloads: [sk, vendorId] })).toThrow(TypeError);
  });
});

describe("floods in one datagram", () => {
  test.each<[string, Uint8Array]>([
    ["64 KB of zeros", new Uint8Array(65_535)],
    ["64 KB of zeros behind a good header", flood(33, () => [0, 0, 0, 0])],
    ["a chain of 16,000 empty vendor IDs", flood(43, () => [43, 0, 0, 4])],
    ["a chain of 16,000 unknown payloads", flood(200, () => [200, 0x80, 0, 4])],
    ["8,000 proposals", flood(33, () => [2, 0, 0, 8, 1, 1, 0, 0], [0, 0, 0xff, 0xe0])],
    [
      "16,000 configuration attributes of a wrong shape",
      flood(47, () => [0, 1, 0, 1], [0, 0, 0xff, 0xe3, 1, 0, 0, 0]),
    ],
  ])("%s is refused in linear time", (_name, octets) => {
    const start = performance.now();
    expect(() => decodeMessage(octets)).toThrow(WireError);
    expect(performance.now() - start).toBeLessThan(1000);
  });

  test("16,000 configuration attributes and 16,000 SPIs are read in linear time", () => {
    const start = performance.now();
    const attributes = fromHex(`00000000 01000000 ${"00010000".repeat(16_000)}`);
    new DataView(attributes.buffer).setUint16(2, attributes.length);
    const [configuration] = decodePayloads({ firstType: 47, octets: attributes });
    expect(configuration).toMatchObject({ attributes: { length: 16_000 } });
    const spis = fromHex(`00000000 03043e80 ${"c0000001".repeat(16_000)}`);
    new DataView(spis.buffer).setUint16(2, spis.length);
    expect(decodePayloads({ firstType: 42, octets: spis })).toMatchObject([{ spis: { length: 16_000 } }]);
    expect(performance.now() - start).toBeLessThan(1000);
  });
});

/** A datagram of 65,535 octets at most: a good header, a start, then one piece again and again. */
function flood(firstType: number, piece: () => readonly number[], start: readonly number[] = []): Uint8Array {
  const octets: number[] = [...strongswan.subarray(0, 28), ...start];
  octets[16] = firstType;
  while (octets.length + piece().length <= 65_535) octets.push(...piece());
  return withLength(Uint8Array.from(octets));
}

/** The same message with a header that gives its true length. Changes it in place. */
function withLength(octets: Uint8Array): Uint8Array {
  new DataView(octets.buffer, octets.byteOffset).setUint32(24, octets.length);
  return octets;
}
