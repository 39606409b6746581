import { describe, expect, test } from "vitest";
import { parseAddress } from "../../src/bytes/ip-address.ts";
import { Payload } from "../../src/demo/payload.ts";
import { createMarker, INNER_PAIRS, MACHINES } from "../../src/demo/plan.ts";
import { IpProtocol } from "../../src/iana/ip-protocols.ts";
import { PlaintextDetector } from "../../src/platform/plaintext-detector.ts";
import { encodeIpHeader } from "../../src/wire/ip-header.ts";
import { SeededRandom } from "../support/kernel.ts";

const marker = createMarker();
const detector = new PlaintextDetector({ marker, innerPairs: INNER_PAIRS });
const { client, gateway } = MACHINES;

describe("the watcher's eye", () => {
  test.each([0, 1])("sees an inner header of family %i in either direction, wherever it begins", (family) => {
    const ends = [client, gateway].map(({ innerAddresses }) => parseAddress(innerAddresses[family]!)!);
    for (const [source, destination] of [ends, ends.toReversed()]) {
      const header = encodeIpHeader({
        source: source!,
        destination: destination!,
        protocol: IpProtocol.TCP,
        payloadLength: 0,
      });
      expect(detector.isIn(Buffer.concat([Buffer.alloc(59), header, Buffer.alloc(7)]))).toBe(true);
    }
  });

  test("sees the payload in every piece of a transfer that fills half a packet", () => {
    const blocks = Buffer.concat([new Payload(marker, 65_536).next(), new Payload(marker, 1372).next()]);
    for (let at = 0; at + 700 <= blocks.length; at += 331) {
      expect(detector.isIn(blocks.subarray(at, at + 700))).toBe(true);
    }
  });

  test("sees nothing in random octets, nor in the outer addresses", () => {
    expect(detector.isIn(new SeededRandom(3).octets(1_000_000))).toBe(false);
    const source = parseAddress(client.outerAddress)!;
    const destination = parseAddress(gateway.outerAddress)!;
    const header = encodeIpHeader({ source, destination, protocol: IpProtocol.UDP, payloadLength: 0 });
    expect(detector.isIn(header)).toBe(false);
  });

  test("does not take the payload of another run for ours", () => {
    expect(detector.isIn(new Payload(createMarker(), 1400).next())).toBe(false);
  });
});
