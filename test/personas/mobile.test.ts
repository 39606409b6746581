import { expect, test } from "vitest";
import { ExchangeType, KeyExchangeMethod } from "../../src/iana/ikev2-parameters.ts";
import { deleteChildSas } from "../../src/ike/payloads.ts";
import { expectClean } from "../support/simulator/expectations.ts";
import { accessTo, credential } from "./access.ts";
import { ANDROID } from "./android.ts";
import { IOS } from "./ios.ts";
import { esp } from "./persona.ts";
import { StockClient } from "./stock-client.ts";

// What phones alone do. No real device was tried (personas.test.ts).

test("an iPhone that sleeps too long is taken for dead, and its address is free again", async () => {
  const client = new StockClient(IOS, accessTo({ seed: 1 }));
  client.init();
  await client.logIn();
  client.isAwake = false;
  client.wait(2 * 3_600_000);
  const { gateway, pools } = client.access;
  expect(new Set(client.asked)).toEqual(new Set([ExchangeType.INFORMATIONAL]));
  expectClean(gateway);
  expect(pools.leaseCount).toBe(0);
});

test("an iPhone that comes again from anew takes its own place, with the same address", async () => {
  const access = accessTo({ seed: 2 });
  const [before, after] = [new StockClient(IOS, access, 1), new StockClient(IOS, access, 2)];
  before.init();
  await before.logIn();
  const addresses = access.gateway.ikeSas[0]!.internalAddresses;
  after.init();
  await after.logIn();
  before.hear();
  const established = access.gateway.ikeSas.filter(({ state }) => state === "established");
  expect(established.map(({ internalAddresses }) => internalAddresses)).toEqual([addresses]);
  expect(access.pools.leaseCount).toBe(1);
});

test("a group that is too weak for the IKE SA is so for a child SA", async () => {
  const client = new StockClient(IOS, accessTo({ seed: 3 }));
  client.init();
  await client.logIn();
  const weak = { proposals: esp("aes256-sha256-modp1024"), group: KeyExchangeMethod.MODP_1024 };
  expect(await client.rekeyChild(weak)).toBe("NO_PROPOSAL_CHOSEN");
  const second = { proposals: esp("aes256-sha256-modp1024-ecp256"), group: KeyExchangeMethod.MODP_1024 };
  expect(await client.rekeyChild(second)).toBe("INVALID_KE_PAYLOAD");
  // The old child SA has stayed.
  expect(
    await client.ask(ExchangeType.INFORMATIONAL, [deleteChildSas([client.child!.inboundSpi])]),
  ).toHaveLength(1);
});

test("Android comes to X25519 by one more round trip where nothing else is wanted, with AES-CBC or AES-CTR", async () => {
  const ike = ["aes256-sha256-x25519"];
  const client = new StockClient(ANDROID, accessTo({ seed: 4, ike }));
  expect(client.init()).toBeUndefined();
  expect(client.groups).toEqual([KeyExchangeMethod.MODP_4096, KeyExchangeMethod.CURVE25519]);
  await client.logIn();
  expect(client.access.gateway.ikeSas[0]!.proposal).toBe("aes256-sha256-x25519");
});

test("Android gets RSA although it names no CA, also where a certificate on a curve is there", async () => {
  const credentials = [credential("p256"), credential("rsa")];
  const client = new StockClient(ANDROID, accessTo({ seed: 5, credentials }));
  client.init();
  expect((await client.logIn()).auth.method).toBe(14);
});
