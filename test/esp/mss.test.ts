import { describe, expect, test } from "vitest";
import { sealEsp } from "../../src/esp/reference.ts";
import {
  ACK,
  cutFrame,
  plainFrame,
  SYN,
  type TransportFacts,
  transportPacket,
  unsummedFrame,
} from "../support/super-packets.ts";
import { ANY, type Child, EspBed, withTrailer } from "./esp-bed.ts";

const INNER_MTU = 1300;
const LIMIT = { 4: 1260, 6: 1240 } as const;

const mssOption = (mss: number): number[] => [2, 4, mss >> 8, mss & 0xff];

function syn(version: 4 | 6, options: readonly number[], flags = SYN): TransportFacts {
  const padding = new Array<number>(-options.length & 3).fill(0);
  return {
    version,
    kind: "tcp",
    flags,
    options: Uint8Array.from([...options, ...padding]),
    payload: new Uint8Array(0),
  };
}

/** What the bed seals, opened again. */
function passOut(bed: EspBed, child: Child, frame: Uint8Array): Uint8Array {
  const [{ status, esp }] = bed.encapsulateFrames([frame]) as [{ status: string; esp: Uint8Array[] }];
  expect(status).toBe("ok");
  const { cipher } = child.outbound;
  const opened = cipher.open({
    spi: child.outboundSpi,
    sequence: BigInt(new DataView(esp[0]!.buffer, esp[0]!.byteOffset).getUint32(4)),
    iv: esp[0]!.subarray(8, 16),
    sealed: esp[0]!.subarray(16),
  })!;
  return Uint8Array.from(opened.subarray(0, opened.length - 2 - opened.at(-2)!));
}

function passIn(bed: EspBed, child: Child, packet: Uint8Array): Uint8Array {
  const nextHeader = packet[0]! >> 4 === 4 ? 4 : 41;
  const plaintext = withTrailer(child.inbound, packet, nextHeader);
  return bed.decapsulate([sealEsp(child.inbound.facts, { sequence: 1n, plaintext })])[0]!.octets;
}

describe.each([4, 6] as const)("a TCP SYN over IPv%i", (version) => {
  const limit = LIMIT[version];

  test.each([
    ["larger than fits is lowered", mssOption(1460), mssOption(limit)],
    ["that fits stays", mssOption(limit), mssOption(limit)],
    ["at an odd place is lowered", [1, ...mssOption(1460)], [1, ...mssOption(limit)]],
    ["behind others is lowered", [4, 2, 3, 3, 7, ...mssOption(65_535)], [4, 2, 3, 3, 7, ...mssOption(limit)]],
    ["behind the end of options is none", [0, ...mssOption(1460)], [0, ...mssOption(1460)]],
    ["behind an option of no length is left", [3, 0, ...mssOption(1460)], [3, 0, ...mssOption(1460)]],
    [
      "that authentication covers is left",
      [...mssOption(1460), 29, 4, 0, 0],
      [...mssOption(1460), 29, 4, 0, 0],
    ],
    ["cut off is left", [1, 1, 2, 4], [1, 1, 2, 4]],
  ])("whose MSS %s, in both directions, with its checksum", (_, before, after) => {
    for (const flags of [SYN, SYN | ACK]) {
      const [given, expected] = [
        transportPacket(syn(version, before, flags)),
        transportPacket(syn(version, after, flags)),
      ];
      const bed = new EspBed();
      const child = bed.install({ selectors: ANY, innerMtu: INNER_MTU });
      bed.protect(child);
      expect(passOut(bed, child, plainFrame(given))).toEqual(expected);
      expect(passIn(bed, child, given)).toEqual(expected);
      // Where the device leaves the checksum to us.
      const unsummed = unsummedFrame(syn(version, before, flags));
      expect(passOut(bed, child, unsummed)).toEqual(expected);
      const count = Buffer.compare(given, expected) === 0 ? {} : { mssClamped: 2 };
      expect(bed.sad.traffic(child.inboundSpi)!.outbound.events).toEqual(count);
    }
  });

  test("passes as it is where no path is known, and other segments do anyway", () => {
    const bed = new EspBed();
    const [unknown, known] = [
      bed.install({ selectors: ANY }),
      bed.install({ selectors: ANY, innerMtu: INNER_MTU }),
    ];
    const first = transportPacket(syn(version, mssOption(1460)));
    expect(passIn(bed, unknown, first)).toEqual(first);
    const later = transportPacket(syn(version, mssOption(1460), ACK));
    expect(passIn(bed, known, later)).toEqual(later);
  });

  test("with a wrong checksum keeps a wrong one", () => {
    const bed = new EspBed();
    const child = bed.install({ selectors: ANY, innerMtu: INNER_MTU });
    const wrong = transportPacket(syn(version, mssOption(1460)));
    const field = (version === 4 ? 20 : 40) + 16;
    wrong[field]! ^= 0x55;
    const result = passIn(bed, child, wrong);
    const [right] = cutFrame(unsummedFrame(syn(version, mssOption(limit))));
    expect(result.slice(field + 2)).toEqual(right!.slice(field + 2));
    expect(result.slice(field, field + 2)).not.toEqual(right!.slice(field, field + 2));
  });
});

test("an SA that was told so does not clamp", () => {
  const bed = new EspBed();
  const child = bed.install({ selectors: ANY, innerMtu: INNER_MTU, clampsMss: false });
  const packet = transportPacket(syn(4, mssOption(1460)));
  expect(passIn(bed, child, packet)).toEqual(packet);
});
