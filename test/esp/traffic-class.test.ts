import { describe, expect, test } from "vitest";
import { sealEsp } from "../../src/esp/reference.ts";
import type { CopyDscp } from "../../src/policy/connection.ts";
import { transportPacket } from "../support/super-packets.ts";
import { ANY, type Child, EspBed, withTrailer } from "./esp-bed.ts";

const DSCP = 0xb8; // expedited forwarding
const OTHER_DSCP = 0x28;
const [NOT_ECT, ECT_1, ECT_0, CE] = [0, 1, 2, 3];

const payload = new Uint8Array(100).fill(7);
const packetWith = (version: 4 | 6, trafficClass: number): Uint8Array =>
  transportPacket({ version, kind: "udp", trafficClass, payload });

describe.each([4, 6] as const)("IPv%i inside", (version) => {
  test.each([
    ["out", true],
    ["in", false],
    ["yes", true],
    ["no", false],
  ] as const)(
    "outbound ECN is copied to the outer header, and DSCP with copyDscp %s: %s",
    (copyDscp, copies) => {
      const bed = new EspBed();
      bed.protect(bed.install({ selectors: ANY, copyDscp }));
      const classes = Array.from({ length: 64 }, (_, i) => i * 4 + (i % 4));
      const results = bed.encapsulate(classes.map((each) => packetWith(version, each)));
      expect(results.map(({ trafficClass }) => trafficClass)).toEqual(
        classes.map((each) => (copies ? each : each & 3)),
      );
    },
  );

  // RFC 6040 figure 4.
  test.each([
    [NOT_ECT, NOT_ECT, NOT_ECT],
    [NOT_ECT, ECT_0, NOT_ECT],
    [NOT_ECT, ECT_1, NOT_ECT],
    [NOT_ECT, CE, "ceOnNotEct"],
    [ECT_0, NOT_ECT, ECT_0],
    [ECT_0, ECT_0, ECT_0],
    [ECT_0, ECT_1, ECT_1],
    [ECT_0, CE, CE],
    [ECT_1, NOT_ECT, ECT_1],
    [ECT_1, ECT_0, ECT_1],
    [ECT_1, ECT_1, ECT_1],
    [ECT_1, CE, CE],
    [CE, NOT_ECT, CE],
    [CE, ECT_0, CE],
    [CE, ECT_1, CE],
    [CE, CE, CE],
  ])("inbound ECN %i inside and %i outside becomes %s", (inner, outer, expected) => {
    const bed = new EspBed();
    const child = bed.install({ selectors: ANY });
    const result = arrive(bed, child, {
      inner: packetWith(version, DSCP | inner),
      outer: OTHER_DSCP | outer,
    });
    if (typeof expected === "string") {
      expect(result.status).toBe(expected);
      expect(bed.sad.traffic(child.inboundSpi)!.inbound).toMatchObject({
        packets: 0,
        drops: { ceOnNotEct: 1 },
      });
    } else {
      // All of it: checksums too.
      expect(result.octets).toEqual(packetWith(version, DSCP | expected));
    }
  });

  test.each([
    ["out", DSCP],
    ["in", OTHER_DSCP],
    ["yes", OTHER_DSCP],
    ["no", DSCP],
  ] as const)("inbound DSCP with copyDscp %s", (copyDscp: CopyDscp, expected) => {
    const bed = new EspBed();
    const child = bed.install({ selectors: ANY, copyDscp });
    const inner = packetWith(version, DSCP | ECT_0);
    expect(arrive(bed, child, { inner, outer: OTHER_DSCP | CE }).octets).toEqual(
      packetWith(version, expected | CE),
    );
  });
});

test("a mark does not repair an IPv4 header whose checksum was wrong", () => {
  const bed = new EspBed();
  const child = bed.install({ selectors: ANY });
  const [wrong, right] = [packetWith(4, ECT_0), packetWith(4, CE)];
  wrong[10]! ^= 0x40;
  const { octets } = arrive(bed, child, { inner: wrong, outer: CE });
  expect(octets[1]).toBe(CE);
  expect(octets.subarray(10, 12)).not.toEqual(right.subarray(10, 12));
});

/** The bed's only packet of the batch, sealed as the peer would. */
function arrive(
  bed: EspBed,
  child: Child,
  { inner, outer }: { readonly inner: Uint8Array; readonly outer: number },
) {
  const nextHeader = inner[0]! >> 4 === 4 ? 4 : 41;
  const plaintext = withTrailer(child.inbound, inner, nextHeader);
  return bed.decapsulate([sealEsp(child.inbound.facts, { sequence: 1n, plaintext })], [outer])[0]!;
}
