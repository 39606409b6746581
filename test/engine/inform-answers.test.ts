import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseAddress } from "../../src/bytes/ip-address.ts";
import { answerInform, type InformPolicy } from "../../src/engine/inform-answers.ts";
import { type DhcpMessage, decodeDhcpMessage, encodeDhcpMessage } from "../../src/wire/dhcp-message.ts";

const POLICY: InformPolicy = {
  pools: ["fd77::/64", "10.77.0.0/24"],
  dns: ["10.77.0.1", "fd77::1", "198.51.100.53"],
  domains: ["corp.example.org", "lab.example.org"],
  subnets: ["10.0.0.0/8", "192.168.4.0/22", "198.51.100.7/32", "0.0.0.0/0", "fd00::/8"],
};

const INFORM: DhcpMessage = {
  op: 1,
  transactionId: 0xcafe_babe,
  clientAddress: Uint8Array.of(10, 77, 0, 5),
  hardwareType: 8,
  hardwareLength: 6,
  hardwareAddress: Uint8Array.from({ length: 16 }, (_, i) => i),
  options: new Map([
    [53, Uint8Array.of(8)],
    [55, Uint8Array.of(6, 44, 43, 77, 252, 249, 15)],
  ]),
};

function answer(message: DhcpMessage, sender = "10.77.0.5", policy = POLICY): DhcpMessage | undefined {
  const octets = answerInform(encodeDhcpMessage(message), sender, policy);
  return octets && decodeDhcpMessage(octets);
}

describe("a DHCPINFORM of a client", () => {
  test("is answered with routes as Windows reads them, resolvers and the domain", () => {
    const given = answer(INFORM)!;
    expect({ ...given, options: undefined }).toEqual({ ...INFORM, op: 2, options: undefined });
    const router = [10, 77, 0, 1];
    const routes = Uint8Array.of(
      8,
      10,
      ...router,
      22,
      192,
      168,
      4,
      ...router,
      32,
      198,
      51,
      100,
      7,
      ...router,
    );
    expect([...given.options]).toEqual([
      [53, Uint8Array.of(5)],
      [54, Uint8Array.of(...router)],
      [1, Uint8Array.of(255, 255, 255, 255)],
      [6, Uint8Array.of(...router, 198, 51, 100, 53)],
      [15, new TextEncoder().encode("corp.example.org")],
      [121, routes],
      [249, routes],
    ]);
  });

  test("with more routes than an option holds gets them in parts", () => {
    const subnets = Array.from({ length: 60 }, (_, i) => `10.${i}.0.0/16`);
    expect(answer(INFORM, "10.77.0.5", { ...POLICY, subnets })!.options.get(249)).toHaveLength(60 * 7);
    const bare = answer(INFORM, "10.77.0.5", { pools: POLICY.pools })!;
    expect([...bare.options.keys()]).toEqual([53, 54, 1]);
  });
});

describe("nobody answers", () => {
  const withOptions = (...options: readonly [number, Uint8Array][]): DhcpMessage => ({
    ...INFORM,
    options: new Map(options),
  });

  test.each<[string, DhcpMessage, string]>([
    ["a DHCPDISCOVER", withOptions([53, Uint8Array.of(1)]), "10.77.0.5"],
    ["what has no type", withOptions(), "10.77.0.5"],
    ["an answer", { ...INFORM, op: 2 }, "10.77.0.5"],
    ["what says another address than it comes from", INFORM, "10.77.0.6"],
    ["somebody of another network", { ...INFORM, clientAddress: parseAddress("192.0.2.5")! }, "192.0.2.5"],
  ])("%s", (_, message, sender) => expect(answer(message, sender)).toBeUndefined());

  test("octets that make no sense", () => {
    const whole = encodeDhcpMessage(INFORM);
    for (let length = 0; length < whole.length - 1; length++) {
      const cut = whole.subarray(0, length);
      const given = answerInform(cut, "10.77.0.5", POLICY);
      // What is cut behind the type of message is still a question.
      if (length < 243) expect(given).toBeUndefined();
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (octets) => {
        expect(answerInform(octets, "10.77.0.5", POLICY)).toBeUndefined();
      }),
      { seed: 2131, numRuns: 500 },
    );
  });
});
