import fc from "fast-check";
import { expect, test } from "vitest";
import { fromHex, toHex } from "../../src/bytes/hex.ts";
import { NotifyType } from "../../src/iana/ikev2-parameters.ts";
import {
  decodeAdditionalAddresses,
  encodeAdditionalAddresses,
  encodeNoNatsAllowed,
  wasTranslated,
} from "../../src/ike/mobility/notifications.ts";
import { notify } from "../../src/ike/payloads.ts";

const { ADDITIONAL_IP4_ADDRESS, ADDITIONAL_IP6_ADDRESS, NO_ADDITIONAL_ADDRESSES } = NotifyType;

test("addresses travel as 4 and 16 octets, and their absence is said", () => {
  const payloads = encodeAdditionalAddresses(["192.0.2.7", "2001:db8::7"]);
  expect(payloads.map(({ notifyType, data }) => [notifyType, toHex(data)])).toEqual([
    [ADDITIONAL_IP4_ADDRESS, "c0000207"],
    [ADDITIONAL_IP6_ADDRESS, "20010db8000000000000000000000007"],
  ]);
  expect(decodeAdditionalAddresses(payloads, 8)).toEqual(["192.0.2.7", "2001:db8::7"]);
  const none = encodeAdditionalAddresses([]);
  expect(none.map(({ notifyType }) => notifyType)).toEqual([NO_ADDITIONAL_ADDRESSES]);
  expect(decodeAdditionalAddresses(none, 8)).toEqual([]);
  expect(decodeAdditionalAddresses([notify(NotifyType.COOKIE2)], 8)).toBeUndefined();
});

test("of many addresses some are taken, and of those at which nobody can be, or of a wrong length, none", () => {
  const many = Array.from({ length: 20 }, (_, i) => `192.0.2.${i + 1}`);
  expect(decodeAdditionalAddresses(encodeAdditionalAddresses(many), 8)).toEqual(many.slice(0, 8));
  const nowhere = ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "::", "::1", "ff02::1", "fe80::1"];
  expect(decodeAdditionalAddresses(encodeAdditionalAddresses(nowhere), 8)).toEqual([]);
  const odd = [
    notify(ADDITIONAL_IP4_ADDRESS, fromHex("c00002")),
    notify(ADDITIONAL_IP6_ADDRESS, fromHex("c0000207")),
  ];
  expect(decodeAdditionalAddresses(odd, 8)).toEqual([]);
});

test("whatever octets there are, what is read is at most so many addresses", () => {
  const any = fc.array(
    fc.record({
      type: fc.constantFrom(ADDITIONAL_IP4_ADDRESS, ADDITIONAL_IP6_ADDRESS, NO_ADDITIONAL_ADDRESSES),
      data: fc.uint8Array({ maxLength: 20 }),
    }),
    { maxLength: 30 },
  );
  fc.assert(
    fc.property(any, (all) => {
      const payloads = all.map(({ type, data }) => notify(type, data));
      expect((decodeAdditionalAddresses(payloads, 8) ?? []).length).toBeLessThanOrEqual(8);
    }),
  );
});

test("NO_NATS_ALLOWED names both addresses and ports, and shows a NAT that changes one", () => {
  const local = { address: "192.0.2.1", port: 500 };
  const remote = { address: "192.0.2.2", port: 4500 };
  const claim = encodeNoNatsAllowed({ local, remote });
  expect(toHex(claim.data)).toBe("c0000201c000020201f41194");
  const sixes = {
    local: { ...local, address: "2001:db8::1" },
    remote: { ...remote, address: "2001:db8::2" },
  };
  expect(encodeNoNatsAllowed(sixes).data).toHaveLength(36);

  const arrived = { local: remote, remote: local };
  expect(wasTranslated([claim], arrived)).toBe(false);
  expect(wasTranslated([claim], { ...arrived, remote: { ...local, port: 501 } })).toBe(true);
  expect(wasTranslated([claim], { ...arrived, remote: { ...local, address: "192.0.2.9" } })).toBe(true);
  expect(wasTranslated([notify(NotifyType.NO_NATS_ALLOWED)], arrived)).toBe(true);
  expect(wasTranslated([], arrived)).toBe(false);
});
