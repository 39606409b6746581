import fc from "fast-check";
import type { HeaderFields, Payload, Proposal, TrafficSelector, Transform } from "../../src/wire/index.ts";

const u8 = fc.nat(0xff);
const u16 = fc.nat(0xffff);
const critical = fc.boolean();
const octets = (maxLength: number, minLength = 0): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength, maxLength });

const transform: fc.Arbitrary<Transform> = fc.record(
  { type: u8, id: u16, keyLength: u16 },
  { requiredKeys: ["type", "id"] },
);

const proposal: fc.Arbitrary<Proposal> = fc.record({
  number: u8,
  protocolId: u8,
  spi: fc.oneof(octets(0), octets(8, 8), octets(4, 4), octets(255)),
  transforms: fc.array(transform, { minLength: 1, maxLength: 12 }),
});

const ports = fc.oneof(
  fc.tuple(u16, u16).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const),
  fc.constantFrom([0, 65535] as const, [65535, 0] as const, [443, 443] as const),
);

const trafficSelector: fc.Arbitrary<TrafficSelector> = fc.boolean().chain((isIpv6) => {
  const address = octets(isIpv6 ? 16 : 4, isIpv6 ? 16 : 4);
  return fc.tuple(u8, ports, address, address).map(([protocol, [startPort, endPort], a, b]) => {
    const [startAddress, endAddress] = Buffer.compare(a, b) <= 0 ? [a, b] : [b, a];
    return { type: isIpv6 ? 8 : 7, protocol, startPort, endPort, startAddress, endAddress };
  });
});

const identity = fc.oneof(
  fc.record({ idType: fc.constant(1), data: octets(4, 4) }),
  fc.record({ idType: fc.constant(5), data: octets(16, 16) }),
  fc.record({ idType: fc.constant(13), data: octets(0) }),
  fc.record({ idType: fc.constantFrom(0, 2, 3, 9, 10, 11, 12, 201, 255), data: octets(80) }),
);

const deletion = fc.oneof(
  fc.record({ protocolId: fc.constant(1), spis: fc.constant([]) }),
  fc.record({ protocolId: fc.constantFrom(2, 3), spis: fc.array(octets(4, 4), { maxLength: 20 }) }),
  fc.record({ protocolId: fc.constant(6), spis: fc.array(octets(16, 16), { maxLength: 3 }) }),
);

const eap = fc.tuple(u8, u8, octets(60)).map(([code, identifier, rest]) => {
  const length = 4 + rest.length;
  return { octets: Uint8Array.of(code, identifier, length >>> 8, length, ...rest) };
});

const selectors = fc.array(trafficSelector, { minLength: 1, maxLength: 8 });
const attributes = fc.array(fc.record({ type: fc.nat(0x7fff), value: octets(24) }), { maxLength: 12 });
const unknownType = fc.oneof(
  fc.integer({ min: 1, max: 32 }),
  fc.integer({ min: 55, max: 255 }),
  fc.constantFrom(49, 54),
);

/** Any payload that may stand inside a message or inside SK. */
export const arbitraryPayload: fc.Arbitrary<Payload> = fc.oneof(
  fc.record({
    kind: fc.constant("security-association" as const),
    critical,
    proposals: fc.array(proposal, { minLength: 1, maxLength: 6 }),
  }),
  fc.record({ kind: fc.constant("key-exchange" as const), critical, group: u16, data: octets(300, 1) }),
  fc
    .tuple(
      fc.constantFrom("identification-initiator" as const, "identification-responder" as const),
      critical,
      identity,
    )
    .map(([kind, isCritical, value]) => ({ kind, critical: isCritical, ...value })),
  fc.record({
    kind: fc.constantFrom("certificate" as const, "certificate-request" as const),
    critical,
    encoding: u8,
    data: octets(200),
  }),
  fc.record({ kind: fc.constant("authentication" as const), critical, method: u8, data: octets(80) }),
  fc.record({ kind: fc.constant("nonce" as const), critical, nonce: octets(256, 16) }),
  fc.record({
    kind: fc.constant("notify" as const),
    critical,
    protocolId: u8,
    notifyType: fc.oneof(u16, fc.integer({ min: 16384, max: 16446 }), fc.nat(48)),
    spi: fc.oneof(octets(0), octets(4, 4), octets(255)),
    data: octets(40),
  }),
  fc
    .tuple(critical, deletion)
    .map(([isCritical, value]) => ({ kind: "delete" as const, critical: isCritical, ...value })),
  fc.record({ kind: fc.constant("vendor-id" as const), critical, data: octets(40) }),
  fc.record({
    kind: fc.constantFrom("traffic-selectors-initiator" as const, "traffic-selectors-responder" as const),
    critical,
    selectors,
  }),
  fc.record({ kind: fc.constant("configuration" as const), critical, configurationType: u8, attributes }),
  fc
    .tuple(critical, eap)
    .map(([isCritical, value]) => ({ kind: "eap" as const, critical: isCritical, ...value })),
  fc.record({ kind: fc.constant("unknown" as const), critical, payloadType: unknownType, body: octets(40) }),
);

/** SK or SKF. Its `aad` is empty: it is what stands in front, and only decoding knows it. */
const arbitraryEncrypted: fc.Arbitrary<Payload> = fc
  .record({ critical, nextPayload: u8, body: octets(200), isFragment: fc.boolean(), a: u16, b: u16 })
  .map(({ isFragment, a, b, ...rest }) => {
    const payload = { ...rest, aad: new Uint8Array(0) };
    if (!isFragment) return { kind: "encrypted", ...payload };
    const [fragmentNumber, totalFragments] = [Math.max(1, Math.min(a, b)), Math.max(1, a, b)];
    return { kind: "encrypted-fragment", fragmentNumber, totalFragments, ...payload };
  });

/** Any message: payloads, then perhaps SK or SKF. */
export const arbitraryMessage: fc.Arbitrary<HeaderFields & { readonly payloads: readonly Payload[] }> = fc
  .record({
    initiatorSpi: fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }),
    responderSpi: fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }),
    exchangeType: u8,
    isInitiator: fc.boolean(),
    isResponse: fc.boolean(),
    messageId: fc.integer({ min: 0, max: 0xffff_ffff }),
    clear: fc.array(arbitraryPayload, { maxLength: 10 }),
    encrypted: fc.option(arbitraryEncrypted),
  })
  .map(({ clear, encrypted, ...header }) => ({
    ...header,
    payloads: encrypted === null ? clear : [...clear, encrypted],
  }));
