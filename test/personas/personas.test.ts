import { verify, X509Certificate } from "node:crypto";
import { describe, expect, test } from "vitest";
import { formatAddress } from "../../src/bytes/ip-address.ts";
import { ConfigurationAttribute, ExchangeType } from "../../src/iana/ikev2-parameters.ts";
import { formatProposal } from "../../src/policy/keywords.ts";
import { formatTrafficSelectors } from "../../src/policy/traffic-selectors.ts";
import { expectClean } from "../support/simulator/expectations.ts";
import { type AccessOptions, accessTo, ROOT } from "./access.ts";
import { ANDROID } from "./android.ts";
import { APPLE_PROFILE } from "./apple.ts";
import { IOS } from "./ios.ts";
import { MACOS } from "./macos.ts";
import { NETWORK_MANAGER } from "./network-manager.ts";
import { GATEWAY_NAME, type Persona } from "./persona.ts";
import { type Admission, StockClient } from "./stock-client.ts";
import { STRONGSWAN_APP } from "./strongswan-app.ts";
import { Tunnel } from "./tunnel.ts";
import { WINDOWS_DEFAULT, WINDOWS_PROFILE } from "./windows.ts";

// No real device was tried: the personas say what is published about these clients, and what was seen of them by others.

interface Expectation {
  readonly persona: Persona;
  readonly access?: Partial<AccessOptions>;
  readonly ike: string;
  readonly esp: string;
  readonly client: string;
  /** 1 is RSA with SHA-1, for a client that announces no hash; 14 is RSASSA-PKCS1-v1_5 with SHA-256. */
  readonly method: 1 | 14;
}

const CLIENTS: readonly Expectation[] = [
  {
    persona: WINDOWS_DEFAULT,
    client: "windows",
    access: { compat: ["windows-default"] },
    ike: "aes256-sha384-modp1024",
    esp: "aes256-sha1",
    method: 1,
  },
  {
    persona: WINDOWS_PROFILE,
    client: "windows",
    ike: "aes256gcm16-prfsha256-ecp256",
    esp: "aes256gcm16",
    method: 1,
  },
  {
    persona: APPLE_PROFILE,
    client: "apple",
    ike: "aes256gcm16-prfsha256-ecp256",
    esp: "aes256gcm16",
    method: 1,
  },
  { persona: IOS, client: "apple", ike: "aes256-sha256-modp2048", esp: "aes256-sha256", method: 1 },
  { persona: MACOS, client: "apple", ike: "aes256-sha256-modp2048", esp: "aes256-sha256", method: 1 },
  {
    persona: ANDROID,
    client: "android",
    ike: "aes256gcm16-prfsha256-modp4096",
    esp: "aes256gcm16",
    method: 14,
  },
  {
    persona: STRONGSWAN_APP,
    client: "strongswan",
    ike: "aes256gcm16-prfsha256-ecp256",
    esp: "aes256gcm16",
    method: 14,
  },
  {
    persona: NETWORK_MANAGER,
    client: "strongswan",
    ike: "aes256gcm16-prfsha256-ecp256",
    esp: "aes256gcm16",
    method: 14,
  },
];

async function connected({ persona, access }: Expectation, seed = 1) {
  const client = new StockClient(persona, accessTo({ seed, ...access }), seed + 100);
  expect(client.init()).toBeUndefined();
  return { client, admission: await client.logIn() };
}

/** Both families, through the tunnel and back. */
function expectTraffic(client: StockClient): void {
  const [ipv4, ipv6] = client.access.gateway.ikeSas.at(-1)!.internalAddresses;
  const tunnel = new Tunnel(client);
  expect(tunnel.carry(ipv4!, "10.2.0.1")).toEqual({ up: "ok", down: "ok" });
  expect(tunnel.carry(ipv6!, "2001:db8::1")).toEqual({ up: "ok", down: "ok" });
}

/** As a client does it that trusts the root alone, and knows the name that the user has typed in. */
function expectVerifiable({ auth, certificates, gateway }: Admission, method: 1 | 14): void {
  const [leaf, intermediate] = certificates.map((der) => new X509Certificate(der));
  expect(certificates).toHaveLength(2);
  expect(leaf!.verify(intermediate!.publicKey) && intermediate!.verify(ROOT.publicKey)).toBe(true);
  expect([leaf!.checkHost(GATEWAY_NAME), Buffer.from(gateway.data).toString()]).toEqual([
    GATEWAY_NAME,
    GATEWAY_NAME,
  ]);
  expect(auth.method).toBe(method);
  // RFC 7427 section 3: the AlgorithmIdentifier of sha256WithRSAEncryption, behind its length.
  const identifier = Buffer.from("0f300d06092a864886f70d01010b0500", "hex");
  const [head, signature] =
    method === 1
      ? [Buffer.alloc(0), auth.data]
      : [Buffer.from(auth.data.subarray(0, 16)), auth.data.subarray(16)];
  if (method === 14) expect(head).toEqual(identifier);
  expect(verify(method === 1 ? "sha1" : "sha256", auth.octets, leaf!.publicKey, signature)).toBe(true);
}

describe.each(CLIENTS)("$persona.name", (expectation) => {
  const { persona } = expectation;

  test("logs in, has addresses and carries packets", async () => {
    const { client, admission } = await connected(expectation);
    const { gateway, pools } = client.access;
    const [ikeSa] = gateway.ikeSas;
    expect(ikeSa).toMatchObject({
      state: "established",
      user: "anna",
      client: expectation.client,
      proposal: expectation.ike,
      signsWithSha1: expectation.method === 1,
      isPeerBehindNat: true,
    });
    expect(formatProposal(client.child!.proposal)).toBe(expectation.esp);
    expectVerifiable(admission, expectation.method);
    // EAP-Identity: Windows goes no further without it.
    expect(admission.firstEapType).toBe(1);
    expect(client.groups).toEqual([persona.init.group]);
    expect(formatTrafficSelectors(client.child!.local)).toBe("10.77.0.2/32, fd77::2/128");
    expect(formatTrafficSelectors(client.child!.remote)).toBe("0.0.0.0/0, ::/0");
    expect(addressesIn(admission)).toEqual(["10.77.0.2", "10.77.0.1", "fd77::2", "fd77::1"]);
    expect(pools.leaseCount).toBe(1);
    expectTraffic(client);
    await client.disconnect();
    gateway.handle({ kind: "timer" });
    client.access.link.run({ until: client.access.link.now + 60_000 });
    expectClean(gateway);
    expect(pools.leaseCount).toBe(0);
  });

  const rekeys = persona.childRekeys.map((rekey) => ({
    rekey,
    key: rekey.group === undefined ? "no key exchange" : "a key exchange",
  }));
  test.each(rekeys)("rekeys its child SA with $key, and goes on", async ({ rekey }) => {
    const { client } = await connected(expectation);
    expect(await client.rekeyChild(rekey)).toBeUndefined();
    expect(client.child!.hasKeyExchange).toBe(rekey.group !== undefined);
    expectTraffic(client);
    expect(client.access.gateway.installed.size).toBe(1);
  });

  test("stays by rekeying at its own pace, and the gateway begins none", async () => {
    const { client } = await connected(expectation);
    const { link, gateway, pools } = client.access;
    const { childRekeyMs, ikeRekeyMs, childRekeys } = persona;
    let [childAt, ikeAt] = [childRekeyMs, ikeRekeyMs];
    while (link.now < 2.1 * Math.max(childRekeyMs, ikeRekeyMs)) {
      client.wait(Math.min(childAt, ikeAt) - link.now);
      if (ikeAt <= link.now) {
        expect(await client.rekeyIke()).toBeUndefined();
        ikeAt += ikeRekeyMs;
      }
      if (childAt <= link.now) {
        expect(await client.rekeyChild(childRekeys[0]!)).toBeUndefined();
        childAt += childRekeyMs;
      }
    }
    // It may be asked whether it is there.
    expect(client.asked.filter((type) => type !== ExchangeType.INFORMATIONAL)).toEqual([]);
    expect([gateway.ikeSas.length, gateway.installed.size, pools.leaseCount]).toEqual([1, 1, 1]);
    expectTraffic(client);
  });

  test("has its probes answered", async () => {
    const { client } = await connected(expectation);
    expect(await client.ask(ExchangeType.INFORMATIONAL, [])).toEqual([]);
  });
});

/** Addresses and resolvers in the order IPv4, IPv6. */
function addressesIn({ attributes }: Admission): string[] {
  const { INTERNAL_IP4_ADDRESS, INTERNAL_IP4_DNS, INTERNAL_IP6_ADDRESS, INTERNAL_IP6_DNS } =
    ConfigurationAttribute;
  return [INTERNAL_IP4_ADDRESS, INTERNAL_IP4_DNS, INTERNAL_IP6_ADDRESS, INTERNAL_IP6_DNS].map((wanted) => {
    const { value } = attributes.find(({ type }) => type === wanted)!;
    return formatAddress(value.subarray(0, value.length === 17 ? 16 : value.length));
  });
}
