import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { HostProcess } from "../support/host-process.ts";
import { startMachine } from "../support/machine.ts";
import { requireRoot } from "../support/namespace.ts";
import { command } from "../support/routed-tunnel.ts";
import { requireStrongswan, type Strongswan, startStrongswan } from "../support/strongswan.ts";
import { until } from "../support/waiting.ts";
import { createSites, LEFT_INSIDE, ping, RIGHT_INSIDE, type Sites } from "./sites.ts";

// We are on the left, strongSwan on the right; whoever is the client gets an address of each family from the other.

/** Our network, and ourselves in that of our clients. */
const INSIDE_OURS = ["10.1.0.0/24", "fd01::/64", "10.77.0.1/32", "fd77::1/128"];

const WHAT = "virtual addresses with strongSwan";
const mayRun = requireRoot(WHAT) && requireStrongswan(WHAT);

describe.skipIf(!mayRun)(WHAT, () => {
  let directory: string;
  let sites: Sites;
  let strongswan: Strongswan | undefined;
  let ikebana: HostProcess | undefined;

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), "ikebana-addresses-"));
    sites = await createSites();
    writeFileSync(join(directory, "resolv.conf"), "nameserver 203.0.113.53\n");
    command(sites.left, "mount", ["--bind", join(directory, "resolv.conf"), "/etc/resolv.conf"]);
  });
  afterEach(async () => {
    if (ikebana?.ending === undefined) await ikebana?.stop();
    await strongswan?.stop();
    await sites.close();
    rmSync(directory, { recursive: true });
  });

  test("as its gateway: two addresses out of our pools, the same again for the next login, and our resolver", async () => {
    ikebana = await startMachine(sites.left, {
      directory,
      name: "gateway",
      configuration: ours(
        `[${INSIDE_OURS.map((prefix) => `"${prefix}"`).join(", ")}]`,
        '["10.77.0.0/24", "fd77::/64"]',
        "respond",
      ),
      additions: {
        gateway: { pools: ["10.77.0.0/24", "fd77::/64"], masquerades: false, reachEachOther: false },
        connections: { peer: { gives: { dns: ["10.77.0.1", "fd77::1"], subnets: [], domains: [] } } },
      },
    });
    const theirNames = join(directory, "their-resolv.conf");
    strongswan = await startStrongswan(sites.right, {
      settings: resolvePlugin(theirNames),
      configuration: theirs({
        connection: "vips = 0.0.0.0,::",
        local: "dynamic",
        remote: INSIDE_OURS.join(","),
      }),
    });
    for (const login of [1, 2]) {
      expect(await strongswan.initiate("lan")).toMatchObject({ code: 0 });
      const list = await strongswan.listSas();
      expect(list).toContain("[10.77.0.2 fd77::2]");
      expect(list).toMatch(/local +10\.77\.0\.2\/32 fd77::2\/128/);
      for (const [from, to] of [
        ["10.77.0.2", LEFT_INSIDE[0]],
        ["fd77::2", LEFT_INSIDE[1]],
        ["10.77.0.2", "10.77.0.1"],
        ["fd77::2", "fd77::1"],
      ] as const) {
        expect(await ping(sites.right, { from, to, count: 3 })).toEqual([]);
      }
      for (const server of ["10.77.0.1", "fd77::1"])
        expect(readFileSync(theirNames, "utf8")).toContain(`nameserver ${server}`);
      if (login === 1) await strongswan.terminate({ ike: "ikebana" });
    }
  });

  test("as its client: what it gives is on our device, in our routes and with our resolver, until we are done", async () => {
    strongswan = await startStrongswan(sites.right, {
      configuration: theirs({
        connection: "pools = v4,v6",
        local: "10.2.0.0/24,fd02::/64",
        remote: "dynamic",
        more: "pools { v4 { addrs = 10.77.0.7/32\n dns = 10.2.0.1 }\n v6 { addrs = fd77::7/128 } }",
      }),
    });
    ikebana = await startMachine(sites.left, {
      directory,
      name: "client",
      configuration: ours('["0.0.0.0/0", "::/0"]', '["0.0.0.0/0", "::/0"]', "start"),
      additions: { connections: { peer: { asks: { ipv4: true, ipv6: true } } } },
    });
    const names = (): string => readFileSync(join(directory, "resolv.conf"), "utf8");
    await until("we are connected", () => names().includes("nameserver 10.2.0.1\n"), {
      describe: () => `${ikebana?.out}\n${strongswan?.log}`,
    });
    // The gateway takes packets for its networks only, whatever we offered.
    expect(sites.leftRoutes("ikebana0")).toEqual(["10.2.0.0/24", "fd02::/64", "fd77::7/128"]);
    for (const [from, to] of [
      ["10.77.0.7", RIGHT_INSIDE[0]],
      ["fd77::7", RIGHT_INSIDE[1]],
    ] as const) {
      expect(await ping(sites.left, { from, to, count: 3 })).toEqual([]);
    }
    await ikebana.stop();
    expect(names()).toBe("nameserver 203.0.113.53\n");
  });
});

function ours(local: string, remote: string, start: string): string {
  return `
socket: ikebana.sock
state: state
connections:
  peer:
    local: { address: 192.0.2.1, id: a.example.org, psk: "correct horse battery staple" }
    remote: { address: 192.0.2.2, id: b.example.org }
    start: ${start}
    children: { lan: { local: ${local}, remote: ${remote}, esp: [aes256gcm16] } }
`;
}

/** Which writes the file of the C library: without it, strongSwan asks for no resolver. */
function resolvePlugin(file: string): string {
  return `charon-systemd {
  load = random nonce aes aesni sha1 sha2 hmac kdf gcm openssl curve25519 chapoly gmp pem pkcs1 x509 kernel-libipsec kernel-netlink socket-default vici updown resolve
  plugins {
    resolve {
      file = ${file}
    }
  }
}`;
}

function theirs(facts: {
  readonly connection: string;
  readonly local: string;
  readonly remote: string;
  readonly more?: string;
}): string {
  return `
connections {
  ikebana {
    version = 2
    local_addrs = 192.0.2.2
    remote_addrs = 192.0.2.1
    proposals = aes256gcm16-prfsha384-x25519
    encap = yes
    ${facts.connection}
    local {
      auth = psk
      id = b.example.org
    }
    remote {
      auth = psk
      id = a.example.org
    }
    children {
      lan {
        local_ts = ${facts.local}
        remote_ts = ${facts.remote}
        esp_proposals = aes256gcm16
      }
    }
  }
}
${facts.more ?? ""}
secrets {
  ike-peer {
    id-a = a.example.org
    id-b = b.example.org
    secret = "correct horse battery staple"
  }
}
`;
}
