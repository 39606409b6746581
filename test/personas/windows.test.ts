import { expect, test } from "vitest";
import { parseAddress } from "../../src/bytes/ip-address.ts";
import { answerInform } from "../../src/engine/inform-answers.ts";
import { ExchangeType, NotifyType } from "../../src/iana/ikev2-parameters.ts";
import { deleteChildSas, find, notify } from "../../src/ike/payloads.ts";
import { formatTrafficSelectors } from "../../src/policy/traffic-selectors.ts";
import { type DhcpMessage, decodeDhcpMessage, encodeDhcpMessage } from "../../src/wire/dhcp-message.ts";
import { accessTo, credential } from "./access.ts";
import { MACOS } from "./macos.ts";
import { StockClient } from "./stock-client.ts";
import { Tunnel } from "./tunnel.ts";
import { WINDOWS_DEFAULT, WINDOWS_PROFILE } from "./windows.ts";

// What Windows alone does. No real device was tried (personas.test.ts).

test("is refused with its own proposals, and the log says what to do", () => {
  const client = new StockClient(WINDOWS_DEFAULT, accessTo({ seed: 1 }));
  expect(client.init()).toBe("NO_PROPOSAL_CHOSEN");
  const { gateway } = client.access;
  const { message } = gateway.event("refused")!;
  expect(message).toContain('the script of "ikebana profile --for windows"');
  expect(message).toContain('"compat: windows-default"');
  expect(gateway.ikeSas).toEqual([]);
});

test("comes in twenty-nine fragments", async () => {
  const client = new StockClient(WINDOWS_DEFAULT, accessTo({ seed: 2, compat: ["windows-default"] }));
  client.init();
  expect((await client.logIn()).datagrams).toBe(29);
});

test("gets the certificate on a curve when it names the CA, be it as the last of hundreds, and by the method of RFC 4754", async () => {
  const credentials = [credential("rsa"), credential("p256")];
  const access = accessTo({ seed: 3, credentials, compat: ["windows-default"] });
  const client = new StockClient(WINDOWS_DEFAULT, access);
  client.init();
  expect((await client.logIn()).auth.method).toBe(9);
  expect(access.gateway.ikeSas[0]!.signsWithSha1).toBe(false);
});

test("gets RSA when it does not name the CA", async () => {
  const credentials = [credential("p256"), credential("rsa")];
  const { authorityCount: _, ...auth } = WINDOWS_PROFILE.auth;
  const client = new StockClient({ ...WINDOWS_PROFILE, auth }, accessTo({ seed: 4, credentials }));
  client.init();
  expect((await client.logIn()).auth.method).toBe(1);
});

test("gives up what it has carried enough through, and takes up another one", async () => {
  const client = new StockClient(WINDOWS_PROFILE, accessTo({ seed: 5 }));
  client.init();
  await client.logIn();
  const { gateway } = client.access;
  const { inboundSpi, outboundSpi } = client.child!;
  const answer = await client.ask(ExchangeType.INFORMATIONAL, [deleteChildSas([inboundSpi])]);
  expect(find(answer, "delete")!.spis).toHaveLength(1);
  expect(gateway.installed.has(outboundSpi)).toBe(false);
  expect(await client.createChild(WINDOWS_PROFILE.childRekeys[0]!)).toBeUndefined();
  const [from] = gateway.ikeSas[0]!.internalAddresses;
  expect(new Tunnel(client).carry(from!, "10.2.0.1")).toEqual({ up: "ok", down: "ok" });
});

test("tells of an error of its own, and keeps its connection", async () => {
  const client = new StockClient(WINDOWS_PROFILE, accessTo({ seed: 6 }));
  client.init();
  await client.logIn();
  // ERROR_IPSEC_IKE_INVALID_SITUATION.
  const status = notify(NotifyType.MS_STATUS, Uint8Array.of(0, 0, 0x36, 0x27));
  expect(await client.ask(ExchangeType.INFORMATIONAL, [status])).toEqual([]);
  expect(client.access.gateway.state).toBe("established");
  expect(await client.rekeyChild(WINDOWS_PROFILE.childRekeys[0]!)).toBeUndefined();
});

test("reaches the gateway with the question which networks lie behind it, and hears the answer", async () => {
  const subnets = ["192.168.4.0/22"];
  const client = new StockClient(WINDOWS_PROFILE, accessTo({ seed: 7, subnets }));
  client.init();
  await client.logIn();
  const [from] = client.access.gateway.ikeSas[0]!.internalAddresses;
  const tunnel = new Tunnel(client);
  expect(tunnel.carry(from!, "192.168.4.9")).toEqual({ up: "ok", down: "ok" });
  expect(tunnel.carry(from!, "255.255.255.255").up).toBe("ok");
  expect(tunnel.carry(from!, "10.77.0.1").down).toBe("ok");
  expect(tunnel.carry(from!, "10.77.0.9").up).not.toBe("ok");
  // It stays so when the child SA is rekeyed.
  expect(await client.rekeyChild(WINDOWS_PROFILE.childRekeys[0]!)).toBeUndefined();
  expect(new Tunnel(client).carry(from!, "255.255.255.255").up).toBe("ok");

  const inform: DhcpMessage = {
    op: 1,
    transactionId: 0x0bad_cafe,
    clientAddress: parseAddress(from!)!,
    hardwareType: 8,
    hardwareLength: 6,
    hardwareAddress: new Uint8Array(16),
    options: new Map([
      [53, Uint8Array.of(8)],
      [55, Uint8Array.of(6, 44, 43, 77, 252, 249, 15)],
    ]),
  };
  const answer = answerInform(encodeDhcpMessage(inform), from!, { pools: ["10.77.0.0/24"], subnets });
  expect(decodeDhcpMessage(answer!).options.get(249)).toEqual(Uint8Array.of(22, 192, 168, 4, 10, 77, 0, 1));
});

test("alone reaches the broadcast address", async () => {
  const client = new StockClient(MACOS, accessTo({ seed: 8, subnets: ["192.168.4.0/22"] }));
  client.init();
  await client.logIn();
  expect(formatTrafficSelectors(client.child!.remote)).toBe("192.168.4.0/22");
});
