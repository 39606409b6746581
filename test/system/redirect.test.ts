import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { joinNamespaces } from "../../src/platform/namespaces.ts";
import { createLinuxSystemCalls } from "../../src/platform/system-calls/linux-system-calls.ts";
import { runOn } from "../support/host-process.ts";
import { type IkebanaDaemon, startIkebana } from "../support/ikebana.ts";
import { createHost, requireRoot, type TestHost } from "../support/namespace.ts";
import { requireStrongswan, type Strongswan, startStrongswan } from "../support/strongswan.ts";
import { until } from "../support/waiting.ts";

// A client with a wire to each of two gateways, which are the same to it:
//
//              wire0  192.0.2.1 ======== 192.0.2.2     [ first ]   10.2.0.1
//   [ client ]
//   10.1.0.1   wire1  198.51.100.1 ===== 198.51.100.2  [ second ]  10.2.0.1
//
// The tunnel is for a network too that has the second gateway in it, and more of a route there than the wire is.

const FIRST = "192.0.2.2";
const SECOND = "198.51.100.2";
const SECRET = "correct horse battery staple";
const BEHIND = '["10.2.0.0/24", "198.51.100.0/25"]';

const gatewayConfiguration = (address: string, more = ""): string => `
socket: ikebana.sock
state: state
connections:
  office:
    local: { address: ${address}, id: gw.example.org, psk: ${SECRET} }
    remote: { id: client.example.org }${more}
    children: { lan: { local: ${BEHIND}, remote: [10.1.0.0/24] } }
`;

const CLIENT = `
socket: ikebana.sock
state: state
connections:
  office:
    local: { id: client.example.org, psk: ${SECRET} }
    remote: { address: ${FIRST}, id: gw.example.org }
    children: { lan: { local: [10.1.0.0/24], remote: ${BEHIND} } }
`;

describe.skipIf(!requireRoot("redirects between two gateways"))("a client of two gateways", () => {
  let hosts: { readonly client: TestHost; readonly first: TestHost; readonly second: TestHost };
  let first: IkebanaDaemon;
  let second: IkebanaDaemon;

  beforeAll(async () => {
    const [client, one, two] = await Promise.all([createHost(), createHost(), createHost()]);
    hosts = { client, first: one, second: two };
    wire("wire0", one, ["192.0.2.1/24", `${FIRST}/24`]);
    wire("wire1", two, ["198.51.100.1/24", `${SECOND}/24`]);
    for (const [host, inside] of [
      [client, "10.1.0.1"],
      [one, "10.2.0.1"],
      [two, "10.2.0.1"],
    ] as const)
      host.run("ip", ["addr", "add", `${inside}/24`, "dev", "lo"]);
    const away = `\n    redirectTo: { host: ${SECOND}, when: init }`;
    [first, second] = await Promise.all([
      startIkebana(one, gatewayConfiguration(FIRST, away)),
      startIkebana(two, gatewayConfiguration(SECOND)),
    ]);
  }, 120_000);

  afterAll(async () => {
    await Promise.all([first?.stop("SIGKILL"), second?.stop("SIGKILL")]);
    await Promise.all(Object.values(hosts ?? {}).map((host) => host.close()));
  });

  function wire(link: string, gateway: TestHost, [ours, theirs]: readonly [string, string]): void {
    joinNamespaces(
      createLinuxSystemCalls(),
      { pid: hosts.client.pid, link, prefixes: [ours] },
      { pid: gateway.pid, link: "wire0", prefixes: [theirs] },
    );
  }

  async function reaches(): Promise<boolean> {
    const words = ["ping", "-c", "3", "-i", "0.2", "-W", "5", "-I", "10.1.0.1", "10.2.0.1"] as const;
    return (await runOn(hosts.client, words)).code === 0;
  }

  /** The one gateway has the tunnel, and the other nothing of it. */
  async function untilAt(
    gateway: IkebanaDaemon,
    other: IkebanaDaemon,
    describe: () => string,
  ): Promise<void> {
    const count = async (daemon: IkebanaDaemon) => (await daemon.connection()).ikeSa?.children.length ?? 0;
    await until(
      "the tunnel is there alone",
      async () => (await count(gateway)) === 1 && (await count(other)) === 0,
      { describe, timeoutMs: 45_000 },
    );
  }

  test("goes where it is sent at first, and later, but not where a kill switch does not let it", {
    timeout: 240_000,
  }, async () => {
    const client = await startIkebana(hosts.client, CLIENT);
    const describe = (): string => client.log;
    try {
      await untilAt(second, first, describe);
      expect(client.log).toContain(`sends us to ${SECOND}`);
      expect(await reaches()).toBe(true);

      // The first gateway does not send back who comes from there.
      expect(await second.client.redirect("office", FIRST)).toMatchObject({ kind: "done" });
      await untilAt(first, second, describe);
      expect(await reaches()).toBe(true);

      const record = join(client.directory, "killswitch.json");
      const gateways = [{ address: FIRST, ports: [500, 4500], isRaw: true }];
      writeFileSync(record, JSON.stringify({ link: "ikebana0", gateways, opensLan: false }));
      expect(await first.client.redirect("office", SECOND)).toMatchObject({ kind: "done" });
      await client.logged(`the kill switch is on and does not let ${SECOND} through`, 45_000);
      expect(await reaches()).toBe(true);
      expect((await first.connection()).ikeSa?.children).toHaveLength(1);
      rmSync(record);

      expect(await first.client.redirect("office", SECOND)).toMatchObject({ kind: "done" });
      await untilAt(second, first, describe);
      expect(await reaches()).toBe(true);
      expect(await first.client.redirect("office", SECOND)).toMatchObject({ reason: "not-established" });
      expect(await first.client.redirect("office", "no host")).toMatchObject({ reason: "configuration" });
    } finally {
      await client.stop();
    }
  });

  test.skipIf(!requireStrongswan("a strongSwan that is sent elsewhere"))(
    "that is a strongSwan goes where it is sent",
    { timeout: 150_000 },
    async () => {
      const strongswan: Strongswan = await startStrongswan(hosts.client, {
        configuration: `
connections {
  office {
    version = 2
    remote_addrs = ${FIRST}
    proposals = aes256gcm16-prfsha384-x25519
    local { auth = psk
      id = client.example.org }
    remote { auth = psk
      id = gw.example.org }
    children { lan {
      local_ts = 10.1.0.0/24
      remote_ts = 10.2.0.0/24
      esp_proposals = aes256gcm16 } }
  }
}
secrets { ike-office { secret = "${SECRET}" } }
`,
      });
      const describe = (): string => strongswan.log;
      try {
        expect((await strongswan.initiate("lan")).code, strongswan.log).toBe(0);
        await untilAt(second, first, describe);
        expect(await reaches()).toBe(true);
        expect(await second.client.redirect("office", FIRST)).toMatchObject({ kind: "done" });
        await untilAt(first, second, describe);
        expect(await reaches()).toBe(true);
      } finally {
        await strongswan.stop();
      }
    },
  );
});
