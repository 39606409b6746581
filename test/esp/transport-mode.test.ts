import { describe, expect, test } from "vitest";
import { sealEsp } from "../../src/esp/reference.ts";
import { innerPacket } from "../support/inner-packets.ts";
import { ACK, cutFrame, superFrame } from "../support/super-packets.ts";
import { trafficSelector } from "../support/traffic-selectors.ts";
import { ANY_IPV4, type Child, CIPHERS, EspBed, withTrailer } from "./esp-bed.ts";

const ENDS = {
  4: { local: "10.1.0.1", remote: "10.2.0.1", prefix: 32, headerLength: 20 },
  6: { local: "fd01::1", remote: "fd02::1", prefix: 128, headerLength: 40 },
} as const;

function bedWith(
  family: 4 | 6,
  cipher: (typeof CIPHERS)[number] = CIPHERS[0]!,
): { bed: EspBed; child: Child } {
  const { local, remote, prefix } = ENDS[family];
  const bed = new EspBed();
  const selectors = {
    local: [trafficSelector(`${local}/${prefix}`)],
    remote: [trafficSelector(`${remote}/${prefix}`)],
  };
  const child = bed.install({ cipher, selectors, isTransport: true });
  bed.protect(child);
  return { bed, child };
}

function opened({ outbound }: Child, octets: Uint8Array, sequence: bigint): Buffer {
  const { ivLength } = outbound.cipher;
  const iv = octets.subarray(8, 8 + ivLength);
  const sealed = octets.subarray(8 + ivLength);
  return Buffer.from(outbound.cipher.open({ spi: outbound.facts.spi, sequence, iv, sealed })!);
}

const cases = CIPHERS.flatMap((cipher) =>
  ([4, 6] as const).map((family) => ({ name: cipher.name, cipher, family })),
);

describe.each(cases)("transport mode with $name, IPv$family", ({ cipher, family }) => {
  const { local, remote, headerLength } = ENDS[family];

  test("leaves the IP header out, and names the protocol behind it", () => {
    const { bed, child } = bedWith(family, cipher);
    for (const length of [4, 8, 61, 1300]) {
      const payload = bed.random.octets(length);
      const packet = innerPacket({ source: local, destination: remote, protocol: 17, payload });
      const [sealed] = bed.encapsulate([packet]);
      const expected = withTrailer(child.outbound, packet.subarray(headerLength), 17);
      expect(Buffer.compare(opened(child, sealed!.octets, sealed!.sequence), expected)).toBe(0);
    }
  });

  test("gives what arrives a header between the SA's addresses, whole batches back to back", () => {
    const { bed, child } = bedWith(family, cipher);
    const payloads = [4, 8, 61, 1300].map((length) => bed.random.octets(length));
    const packets = payloads.map((payload, i) =>
      sealEsp(child.inbound.facts, {
        sequence: BigInt(i + 1),
        plaintext: withTrailer(child.inbound, payload, 17),
      }),
    );
    const results = bed.decapsulate(packets);
    results.forEach(({ status, octets }, i) => {
      expect(status).toBe("ok");
      const expected = innerPacket({
        source: remote,
        destination: local,
        protocol: 17,
        payload: payloads[i]!,
      });
      expect(octets.length).toBe(expected.length);
      expect(Buffer.compare(octets.subarray(headerLength), payloads[i]!)).toBe(0);
      const addresses = family === 4 ? 12 : 8;
      expect(
        Buffer.compare(octets.subarray(addresses, headerLength), expected.subarray(addresses, headerLength)),
      ).toBe(0);
      expect(octets[family === 4 ? 9 : 6]).toBe(17);
      if (family === 4) expect(onesSum(octets.subarray(0, 20))).toBe(0xffff);
    });
  });
});

describe("transport mode", () => {
  test("cuts super-packets like tunnel mode, each without its header", () => {
    const { bed, child } = bedWith(4);
    const payload = bed.random.octets(2500);
    const frame = superFrame({ version: 4, kind: "tcp", flags: ACK, payload }, 1000);
    const [result] = bed.encapsulateFrames([frame]);
    const texts = result!.esp.map((octets, i) => opened(child, octets, BigInt(i + 1)));
    const segments = cutFrame(frame);
    expect(
      texts.map((text, i) => Buffer.compare(text, withTrailer(child.outbound, segments[i]!.subarray(20), 6))),
    ).toEqual([0, 0, 0]);
  });

  test("carries no fragments (RFC 4303 section 3.3.4)", () => {
    const { bed } = bedWith(4);
    const packet = innerPacket({
      source: "10.1.0.1",
      destination: "10.2.0.1",
      protocol: 17,
      payload: new Uint8Array(64),
      fragmentOffset: 8,
    });
    expect(bed.encapsulate([packet])[0]!.status).toBe("runt");
  });

  test("is between one address and another", () => {
    expect(() => new EspBed().install({ selectors: ANY_IPV4, isTransport: true })).toThrow(
      /one address and another/,
    );
  });
});

function onesSum(octets: Uint8Array): number {
  const view = new DataView(octets.buffer, octets.byteOffset, octets.length);
  let sum = 0;
  for (let i = 0; i < octets.length; i += 2) sum += view.getUint16(i);
  return (sum & 0xffff) + (sum >>> 16);
}
