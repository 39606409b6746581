import { describe, expect, test } from "vitest";
import { fromHex, toHex } from "../../src/bytes/hex.ts";
import { decodeMessage, type Payload, printMessage, printPayloads } from "../../src/wire/index.ts";
import { readHexFile } from "../support/hex-file.ts";

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const none = new Uint8Array(0);

test("an IKE_SA_INIT request is one readable block", () => {
  expect(printMessage(decodeMessage(readHexFile("ikev2-messages/strongswan-ike-sa-init.hex")))).toBe(
    [
      "IKE_SA_INIT request 0 of the initiator, SPIs c0ffee0123456789 0000000000000000, 292 octets",
      "  SA",
      "    1: IKE: ENCR_AES_CBC 128, AUTH_HMAC_SHA2_256_128, PRF_HMAC_SHA2_256, CURVE25519, MODP_2048",
      "    2: IKE: ENCR_AES_GCM_16 256, ENCR_CHACHA20_POLY1305, PRF_HMAC_SHA2_384, CURVE25519",
      "  KE CURVE25519 [32 octets]",
      "  NONCE [32 octets]",
      "  N NAT_DETECTION_SOURCE_IP [20 octets]",
      "  N NAT_DETECTION_DESTINATION_IP [20 octets]",
      "  N IKEV2_FRAGMENTATION_SUPPORTED",
      "  N SIGNATURE_HASH_ALGORITHMS SHA2_256 SHA2_384 SHA2_512 IDENTITY",
      "  N REDIRECT_SUPPORTED",
    ].join("\n"),
  );
});

test.each<[string, Payload]>([
  ["  IDi ID_IPV4_ADDR 192.0.2.1", id(1, fromHex("c0000201"))],
  ["  IDi ID_IPV6_ADDR 2001:db8::1", id(5, fromHex("20010db8000000000000000000000001"))],
  ['  IDi ID_FQDN "a.example.org"', id(2, text("a.example.org"))],
  ["  IDi ID_KEY_ID [3 octets]", id(11, text("abc"))],
  [
    "  CERT X509_SIGNATURE [1 octet]",
    { kind: "certificate", critical: false, encoding: 4, data: fromHex("30") },
  ],
  ["  CERTREQ 99 [0 octets]", { kind: "certificate-request", critical: false, encoding: 99, data: none }],
  ["  N INVALID_KE_PAYLOAD CURVE448", notify(17, fromHex("0020"))],
  ["  N INVALID_KE_PAYLOAD [3 octets]", notify(17, fromHex("002000"))],
  ["  N UNSUPPORTED_CRITICAL_PAYLOAD 200", notify(1, fromHex("c8"))],
  ["  N SET_WINDOW_SIZE 5", notify(16385, fromHex("00000005"))],
  ["  N 40000", notify(40_000, none)],
  [
    "  N REKEY_SA ESP SPI c0000001",
    {
      kind: "notify",
      critical: false,
      protocolId: 3,
      notifyType: 16393,
      spi: fromHex("c0000001"),
      data: none,
    },
  ],
  [
    "  D ESP c0000001 c0000002",
    { kind: "delete", critical: false, protocolId: 3, spis: [fromHex("c0000001"), fromHex("c0000002")] },
  ],
  ["  D IKE", { kind: "delete", critical: false, protocolId: 1, spis: [] }],
  ['  V "strongSwan"', { kind: "vendor-id", critical: false, data: text("strongSwan") }],
  ["  V 00ff", { kind: "vendor-id", critical: false, data: fromHex("00ff") }],
  [
    "  payload 200, critical [2 octets]",
    { kind: "unknown", critical: true, payloadType: 200, body: fromHex("0102") },
  ],
  ["  payload PS [0 octets]", { kind: "unknown", critical: false, payloadType: 54, body: none }],
  ["  EAP Response 7 type 26 [6 octets]", { kind: "eap", critical: false, octets: fromHex("020700061aff") }],
  ["  EAP Success 7 [4 octets]", { kind: "eap", critical: false, octets: fromHex("03070004") }],
])("%s", (line, payload) => {
  expect(printPayloads([payload])).toBe(line);
});

test("traffic selectors and configuration show as ranges and addresses", () => {
  const selector = {
    type: 7,
    protocol: 0,
    startPort: 0,
    endPort: 65535,
    startAddress: fromHex("0a010000"),
    endAddress: fromHex("0a01ffff"),
  };
  const payloads: Payload[] = [
    {
      kind: "traffic-selectors-initiator",
      critical: false,
      selectors: [
        selector,
        { ...selector, protocol: 6, startPort: 443, endPort: 443 },
        { ...selector, protocol: 17, startPort: 1, endPort: 9 },
        { ...selector, protocol: 58 },
        { ...selector, protocol: 132, startPort: 65535, endPort: 0 },
        { ...selector, type: 10, startAddress: none, endAddress: none },
      ],
    },
    {
      kind: "configuration",
      critical: false,
      configurationType: 2,
      attributes: [
        { type: 1, value: fromHex("0a4d0005") },
        { type: 8, value: fromHex("fd770000000000000000000000000005 40") },
        { type: 13, value: fromHex("0a000000 ff000000") },
        { type: 25, value: text("example.org") },
        { type: 3, value: none },
        { type: 28, value: fromHex("00") },
      ],
    },
  ];
  expect(printPayloads(payloads).split("\n")).toEqual([
    "  TSi",
    "    10.1.0.0-10.1.255.255",
    "    10.1.0.0-10.1.255.255[TCP/443]",
    "    10.1.0.0-10.1.255.255[UDP/1-9]",
    "    10.1.0.0-10.1.255.255[IPV6_ICMP]",
    "    10.1.0.0-10.1.255.255[SCTP/OPAQUE]",
    "    TS_SECLABEL",
    "  CP CFG_REPLY",
    "    INTERNAL_IP4_ADDRESS 10.77.0.5",
    "    INTERNAL_IP6_ADDRESS fd77::5/64",
    "    INTERNAL_IP4_SUBNET 10.0.0.0/255.0.0.0",
    '    INTERNAL_DNS_DOMAIN "example.org"',
    "    INTERNAL_IP4_DNS",
    "    ENCDNS_IP6 [1 octet]",
  ]);
});

describe("what a log must not hold", () => {
  test("transforms that cannot be named or chosen say so", () => {
    const sa: Payload = {
      kind: "security-association",
      critical: false,
      proposals: [
        {
          number: 1,
          protocolId: 3,
          spi: fromHex("c0000001"),
          transforms: [
            { type: 1, id: 9999, keyLength: 128 },
            { type: 3, id: 0 },
            { type: 5, id: 1 },
            { type: 6, id: 36 },
            { type: 99, id: 1, hasUnknownAttribute: true },
          ],
        },
      ],
    };
    expect(printPayloads([sa])).toBe(
      "  SA\n    1: ESP SPI c0000001: ENCR 9999 128, INTEG NONE, ESN, ADDKE1 ML_KEM_768, 99 1 with an unknown attribute",
    );
  });

  test("secrets show as a number of octets, neither in hex nor as text", () => {
    const secret = text("correct horse battery staple");
    const payloads: Payload[] = [
      { kind: "key-exchange", critical: false, group: 31, data: secret },
      { kind: "authentication", critical: false, method: 2, data: secret },
      { kind: "nonce", critical: false, nonce: secret },
      { kind: "eap", critical: false, octets: Uint8Array.of(2, 1, 0, 4 + secret.length, ...secret) },
      { kind: "unknown", critical: false, payloadType: 99, body: secret },
      { kind: "encrypted", critical: false, nextPayload: 0, aad: secret, body: secret },
      {
        kind: "encrypted-fragment",
        critical: false,
        fragmentNumber: 1,
        totalFragments: 2,
        nextPayload: 0,
        aad: secret,
        body: secret,
      },
      ...[16390, 16401, 16409, 16413, 16436].map((type) => notify(type, secret)),
    ];
    const printed = printPayloads(payloads);
    expect(printed.split("\n")).toHaveLength(payloads.length);
    expect(printed).not.toContain("horse");
    expect(printed).not.toContain(toHex(secret).slice(0, 8));
  });

  test("text of a peer can neither break the line nor move the cursor, and long text is cut", () => {
    const printed = printPayloads([
      id(2, text('a"\\\r\n\u001b[2J\u00e9')),
      id(2, new Uint8Array(5000).fill(0x61)),
    ]);
    expect(printed).toMatch(/^[\x20-\x7e\n]*$/);
    expect(printed.split("\n")).toHaveLength(2);
    expect(printed).toContain("a\\x22\\x5c\\x0d\\x0a\\x1b[2J");
    expect(printed).toContain("and 4744 more");
  });
});

function id(idType: number, data: Uint8Array): Payload {
  return { kind: "identification-initiator", critical: false, idType, data };
}

function notify(notifyType: number, data: Uint8Array): Payload {
  return { kind: "notify", critical: false, protocolId: 0, notifyType, spi: none, data };
}
