import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ControlClient } from "../../src/control/client.ts";
import { LinuxNetwork } from "../../src/platform/network/linux-network.ts";
import { createLinuxSystemCalls } from "../../src/platform/system-calls/linux-system-calls.ts";
import { requireFreeradius, startFreeradius } from "../support/freeradius.ts";
import { HostProcess } from "../support/host-process.ts";
import { startIkebana } from "../support/ikebana.ts";
import { requireRoot } from "../support/namespace.ts";
import { type RemoteAccess, startRemoteAccess } from "../support/remote-access/engine.ts";
import { type LabCertificates, makeLabCertificates } from "../support/remote-access/lab-certificates.ts";
import { makeLongChain } from "../support/remote-access/long-chain.ts";
import type { RemoteAccessArgument } from "../support/remote-access/process.ts";
import { command } from "../support/routed-tunnel.ts";
import { requireStrongswan, type Strongswan, startStrongswan } from "../support/strongswan.ts";
import { until } from "../support/waiting.ts";
import { createSites, LEFT_INSIDE, ping, RIGHT_INSIDE, type Sites } from "./sites.ts";

const WHAT = "remote access with strongSwan";
const MAIN = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));
const IKE = "aes256gcm16-prfsha384-x25519";

let certificates: LabCertificates;
let sites: Sites;

function credentialsFor(name: string): Readonly<Record<string, string>> {
  const { files } = certificates;
  return {
    "x509ca/ca.pem": files["ca.pem"]!,
    [`x509/${name}.pem`]: files[`${name}.pem`]!,
    [`private/${name}.key`]: files[`${name}.key`]!,
  };
}

describe.skipIf(!requireRoot(WHAT) || !requireStrongswan(WHAT))("remote access", () => {
  beforeAll(async () => {
    certificates = await makeLabCertificates([
      { name: "rsa", altName: "vpn.example.org", purpose: "server", kind: "rsa" },
      { name: "ecdsa", altName: "vpn.example.org", purpose: "server", kind: "p256" },
      { name: "tls", altName: "tls@example.org", purpose: "client", kind: "p256" },
      { name: "client", altName: "anna@example.org", purpose: "client", kind: "p256" },
      { name: "only", altName: "only@example.org", purpose: "client", kind: "p256" },
    ]);
    sites = await createSites();
    writeFileSync(join(certificates.directory, "hosts"), "192.0.2.2 vpn.example.org\n");
    command(sites.left, "mount", ["--bind", join(certificates.directory, "hosts"), "/etc/hosts"]);
  });
  afterAll(async () => {
    await sites?.close();
    certificates?.remove();
  });

  describe("strongSwan as the client of our gateway", () => {
    let strongswan: Strongswan;
    beforeAll(async () => {
      const { root, key, chain } = makeLongChain("vpn.example.org", 4);
      writeFileSync(join(certificates.directory, "long.pem"), chain);
      writeFileSync(join(certificates.directory, "long.key"), key, { mode: 0o600 });
      strongswan = await startStrongswan(sites.right, {
        configuration: CLIENTS,
        credentials: { ...credentialsFor("client"), "x509ca/root.pem": root },
      });
    });
    afterAll(() => strongswan?.stop());

    test.each([
      { child: "login", certificate: "ecdsa", says: "ECDSA_WITH_SHA256" },
      { child: "login", certificate: "rsa", says: "RSA_EMSA_PKCS1_SHA2_256" },
      { child: "certificate", certificate: "ecdsa", says: "ECDSA_WITH_SHA256" },
    ])("$child, with a gateway certificate of $certificate: addresses, and packets", async (facts) => {
      const { child, certificate, says } = facts;
      const gateway = await startRemoteAccess(sites.left, gatewayWith(certificate));
      try {
        const { code, out } = await strongswan.initiate(child);
        expect(code, `${out}\n${strongswan.log}\n${gateway.log}`).toBe(0);
        expect(strongswan.log).toContain(`authentication of 'vpn.example.org' with ${says}`);
        const [client] = await clientsOf(gateway);
        expect(client).toMatchObject(
          child === "login" ? { user: "anna" } : { remote: { identity: "anna@example.org" } },
        );
        const [ipv4, ipv6] = client!.internalAddresses!;
        expect(await ping(sites.right, { from: ipv4!, to: LEFT_INSIDE[0], count: 10 })).toEqual([]);
        expect(await ping(sites.right, { from: ipv6!, to: LEFT_INSIDE[1], count: 10 })).toEqual([]);
        await strongswan.terminate({ ike: child });
        await untilNobodyIsIn(gateway);
      } finally {
        await gateway.stop();
      }
    });

    test("EAP-TLS: both know each other by their certificates, and packets", async () => {
      const gateway = await startRemoteAccess(sites.left, {
        ...gatewayWith("ecdsa"),
        remote: { ways: ["eap-tls"] },
      });
      try {
        const { code, out } = await strongswan.initiate("tls");
        expect(code, `${out}\n${strongswan.log}\n${gateway.log}`).toBe(0);
        const [client] = await clientsOf(gateway);
        expect(client).toMatchObject({ user: "anna@example.org" });
        const [ipv4] = client!.internalAddresses!;
        expect(await ping(sites.right, { from: ipv4!, to: LEFT_INSIDE[0], count: 10 })).toEqual([]);
        await strongswan.terminate({ ike: "tls" });
        await untilNobodyIsIn(gateway);
      } finally {
        await gateway.stop();
      }
    });

    test("EAP-TLS alone, at a gateway of the configuration that has an RSA and an ECDSA certificate", async () => {
      const gateway = await startIkebana(sites.left, EAP_ONLY_GATEWAY, {
        directory: certificates.directory,
        keepDirectory: true,
      });
      try {
        const { code, out } = await strongswan.initiate("only");
        expect(code, `${out}\n${strongswan.log}\n${gateway.log}`).toBe(0);
        // No certificate, and no AUTH, before the login.
        expect(strongswan.log).toContain("parsed IKE_AUTH response 1 [ IDr EAP/REQ/ID ]");
        const [client] = (await gateway.connection("gateway")).clients!;
        expect(client).toMatchObject({ user: "anna@example.org" });
        const [ipv4] = client!.internalAddresses!;
        expect(await ping(sites.right, { from: ipv4!, to: LEFT_INSIDE[0], count: 5 })).toEqual([]);
        await strongswan.terminate({ ike: "only" });
        await until("nobody is in", async () => (await gateway.connection("gateway")).clients?.length === 0, {
          describe: () => gateway.log,
        });
      } finally {
        await gateway.stop();
      }
    });

    test.skipIf(!requireFreeradius(WHAT))(
      "FreeRADIUS decides: the address that it gives, and packets; nobody whom it refuses, and nobody when it is dead",
      async () => {
        const { files } = certificates;
        const freeradius = await startFreeradius({
          host: sites.left,
          secret: "between us",
          users: 'anna Cleartext-Password := "correct horse"\n    Framed-IP-Address = 10.77.0.77\n',
          tls: { certificate: files["ecdsa.pem"]!, key: files["ecdsa.key"]!, ca: files["ca.pem"]! },
        });
        const gateway = await startRemoteAccess(sites.left, {
          ...gatewayWith("ecdsa"),
          remote: { ways: ["radius"], radiusSecret: "between us" },
        });
        try {
          const { code, out } = await strongswan.initiate("login");
          expect(code, `${out}\n${strongswan.log}\n${gateway.log}\n${freeradius.log}`).toBe(0);
          const [client] = await clientsOf(gateway);
          expect(client).toMatchObject({ user: "anna" });
          expect(client!.internalAddresses).toContain("10.77.0.77");
          expect(await ping(sites.right, { from: "10.77.0.77", to: LEFT_INSIDE[0], count: 10 })).toEqual([]);
          await strongswan.terminate({ ike: "login" });
          expect((await strongswan.initiate("wrong")).code).not.toBe(0);
          await freeradius.stop("SIGKILL");
          expect((await strongswan.initiate("login")).code).not.toBe(0);
          await logged(gateway, "no answer from RADIUS server 127.0.0.1 port 1812");
          expect(await clientsOf(gateway)).toEqual([]);
        } finally {
          await gateway.stop();
          await freeradius.stop();
        }
      },
    );

    test("a gateway certificate below four others goes in fragments", async () => {
      const gateway = await startRemoteAccess(sites.left, gatewayWith("long"));
      try {
        expect((await strongswan.initiate("login")).code, `${strongswan.log}\n${gateway.log}`).toBe(0);
        for (const number of [0, 1, 2, 3])
          expect(strongswan.log).toMatch(new RegExp(`received issuer cert "O=.*CN=intermediate${number}"`));
        expect(strongswan.log).toMatch(/parsed IKE_AUTH response 1 \[ EF\([5-9]\/[5-9]\) \]/);
        const [ipv4] = (await clientsOf(gateway))[0]!.internalAddresses!;
        expect(await ping(sites.right, { from: ipv4!, to: LEFT_INSIDE[0], count: 10 })).toEqual([]);
        await strongswan.terminate({ ike: "login" });
      } finally {
        await gateway.stop();
      }
    });

    test("a wrong password, refused with nothing left of it", async () => {
      const gateway = await startRemoteAccess(sites.left, gatewayWith("ecdsa"));
      try {
        expect((await strongswan.initiate("wrong")).code).not.toBe(0);
        await logged(gateway, "does not go on with its login");
        expect(await clientsOf(gateway)).toEqual([]);
      } finally {
        await gateway.stop();
      }
    });
  });

  test("strongSwan that offers what Windows does by default, and announces no hash, gets in under compat alone", async () => {
    const strongswan = await startStrongswan(sites.right, {
      configuration: CLIENTS.replaceAll(
        "aes256gcm16-prfsha384-curve25519",
        "aes256-sha1-modp1024",
      ).replaceAll("esp_proposals = aes256gcm16", "esp_proposals = aes256-sha1"),
      settings: "charon-systemd {\n signature_authentication = no\n}\n",
      credentials: credentialsFor("client"),
    });
    try {
      const strict = await startRemoteAccess(sites.left, gatewayWith("rsa"));
      expect((await strongswan.initiate("login")).code).not.toBe(0);
      await logged(strict, "compat: windows-default");
      await strict.stop();
      const gateway = await startRemoteAccess(sites.left, { ...gatewayWith("rsa"), compat: true });
      expect((await strongswan.initiate("login")).code, `${strongswan.log}\n${gateway.log}`).toBe(0);
      const [client] = await clientsOf(gateway);
      expect(client!.weak).toEqual(["sha1", "modp1024", "sha1-signature"]);
      const [ipv4] = client!.internalAddresses!;
      expect(await ping(sites.right, { from: ipv4!, to: LEFT_INSIDE[0], count: 10 })).toEqual([]);
      await gateway.stop();
    } finally {
      await strongswan.stop();
    }
  });

  describe("our client at strongSwan's gateway", () => {
    let strongswan: Strongswan;
    beforeAll(async () => {
      strongswan = await startStrongswan(sites.right, {
        configuration: GATEWAY,
        credentials: credentialsFor("rsa"),
      });
    });
    afterAll(() => strongswan?.stop());

    test.each([
      { way: "login", local: { id: "anna", way: LOGIN } },
      {
        way: "certificate",
        local: { id: "anna@example.org", way: { kind: "certificate", names: ["client"] } },
      },
      { way: "EAP-TLS", local: { id: "tls@example.org", way: { kind: "eap-tls", name: "tls" } } },
    ] as const)("by $way: addresses, and packets", async ({ local }) => {
      const client = await startRemoteAccess(sites.left, { ...clientWith(local) });
      try {
        const outcome = await client.up();
        expect(outcome.kind, `${outcome.message}\n${client.log}\n${strongswan.log}`).toBe("done");
        const [connection] = (await client.status()).connections;
        const addresses = connection!.ikeSa!.internalAddresses!;
        expect(addresses).toHaveLength(2);
        sites.left.inside(() => {
          const network = new LinuxNetwork(createLinuxSystemCalls());
          for (const address of addresses)
            network.addAddress("ikebana0", `${address}/${address.includes(":") ? 128 : 32}`);
          network.close();
        });
        expect(await ping(sites.left, { from: addresses[0]!, to: RIGHT_INSIDE[0], count: 10 })).toEqual([]);
        expect(await ping(sites.left, { from: addresses[1]!, to: RIGHT_INSIDE[1], count: 10 })).toEqual([]);
        await client.down();
        await until("strongSwan has no SA", async () => (await strongswan.listSas()) === "");
      } finally {
        await client.stop();
      }
    });

    test.each([
      { name: "tls", flags: [] },
      { name: "only", flags: ["--eap-only"] },
    ])("by `ikebana connect` with a certificate ($name)", async ({ name, flags }) => {
      const at = (file: string): string => join(certificates.directory, file);
      const client = new HostProcess(sites.left, [
        process.execPath,
        ...[MAIN, "connect", "vpn.example.org", "--ca", at("ca.pem"), ...flags],
        ...["--certificate", at(`${name}.pem`), "--key", at(`${name}.key`), "--network", "10.2.0.0/24"],
        ...["-s", at("connect.sock"), "--state", at("connect-state")],
      ]);
      try {
        await until(
          "we are connected",
          () => client.error.includes("connected with") || client.ending !== undefined,
          {
            describe: () => `${client.out}\n${strongswan.log}`,
          },
        );
        expect(client.error).toContain(`connected with vpn.example.org as ${name}@example.org`);
        const answer = name === "only" ? "IDr EAP/REQ/" : "IDr CERT AUTH EAP/REQ/";
        expect(strongswan.log).toContain(`generating IKE_AUTH response 1 [ ${answer}`);
        const [connection] = (await new ControlClient(at("connect.sock")).status()).connections;
        const from = connection!.ikeSa!.internalAddresses![0]!;
        expect(await ping(sites.left, { from, to: RIGHT_INSIDE[0], count: 5 })).toEqual([]);
      } finally {
        await client.stop();
      }
      await until("strongSwan has no SA", async () => (await strongswan.listSas()) === "");
    });

    test("with a wrong password is refused", async () => {
      const way = { ...LOGIN, password: "wrong" };
      const client = await startRemoteAccess(sites.left, clientWith({ id: "anna", way }));
      try {
        expect(await client.up()).toMatchObject({ kind: "failed", reason: "authentication-failed" });
      } finally {
        await client.stop();
      }
    });
  });
});

const LOGIN = { kind: "eap", user: "anna", password: "correct horse" } as const;

function gatewayWith(certificate: string): RemoteAccessArgument {
  return {
    directory: certificates.directory,
    local: { id: "vpn.example.org", way: { kind: "certificate", names: [certificate] } },
    remote: { ways: ["eap", "certificate"] },
    users: { anna: "correct horse" },
    pools: ["10.77.0.0/24", "fd77::/64"],
    inside: ["10.1.0.0/24", "fd01::/64"],
    ike: IKE,
    esp: "aes256gcm16",
  };
}

function clientWith(local: RemoteAccessArgument["local"]): RemoteAccessArgument {
  return {
    directory: certificates.directory,
    local,
    remote: { address: "192.0.2.2", id: "vpn.example.org", ways: ["certificate"] },
    inside: ["10.2.0.0/24", "fd02::/64"],
    ike: IKE,
    esp: "aes256gcm16",
  };
}

async function clientsOf(gateway: RemoteAccess) {
  const [connection] = (await gateway.status()).connections;
  return connection!.clients!;
}

function untilNobodyIsIn(gateway: RemoteAccess): Promise<void> {
  return until("nobody is in", async () => (await clientsOf(gateway)).length === 0, {
    describe: () => gateway.log,
  });
}

function logged(gateway: RemoteAccess, text: string): Promise<void> {
  return until(`the gateway says "${text}"`, () => gateway.log.includes(text), {
    describe: () => gateway.log,
  });
}

const CHILD = "remote_ts = 10.1.0.0/24, fd01::/64\n esp_proposals = aes256gcm16";

function client(name: string, local: string): string {
  return `  ${name} {
    version = 2
    local_addrs = 192.0.2.2
    remote_addrs = 192.0.2.1
    vips = 0.0.0.0, ::
    proposals = aes256gcm16-prfsha384-curve25519
    local {
      ${local}
    }
    remote {
      auth = pubkey
      id = vpn.example.org
    }
    children {
      ${name} {
        ${CHILD}
      }
    }
  }
`;
}

const CLIENTS = `connections {
${client("login", "auth = eap-mschapv2\n eap_id = anna\n id = 192.168.1.7")}
${client("wrong", "auth = eap-mschapv2\n eap_id = bert\n id = 192.168.1.8")}
${client("tls", "auth = eap-tls\n certs = client.pem\n id = anna@example.org\n eap_id = anna@example.org")}
${client("only", "auth = eap-tls\n certs = client.pem\n id = anna@example.org\n eap_id = anna@example.org").replace("auth = pubkey", "auth = eap-tls")}
${client("certificate", "auth = pubkey\n certs = client.pem\n id = anna@example.org")}
}
secrets {
  eap-anna {
    id = anna
    secret = "correct horse"
  }
  eap-bert {
    id = bert
    secret = "a guess"
  }
}
`;

/** Beside the socket and state of the other tests. */
const EAP_ONLY_GATEWAY = `gateway:
  domain: vpn.example.org
  certificates: [{ certificate: rsa.pem, key: rsa.key }, { certificate: ecdsa.pem, key: ecdsa.key }]
  auth: eap-tls
  eapOnly: true
  ca: ca.pem
  pool: [10.77.0.0/24, "fd77::/64"]
socket: ikebana.sock
state: eap-only-state
`;

function door(name: string, remote: string): string {
  return `  ${name} {
    version = 2
    local_addrs = 192.0.2.2
    pools = ipv4, ipv6
    proposals = aes256gcm16-prfsha384-curve25519
    local {
      auth = pubkey
      certs = rsa.pem
      id = vpn.example.org
    }
    remote {
      ${remote}
    }
    children {
      all {
        local_ts = 10.2.0.0/24, fd02::/64
        esp_proposals = aes256gcm16
      }
    }
  }
`;
}

const GATEWAY = `connections {
${door("only", "auth = eap-tls\n id = only@example.org\n eap_id = %any").replace("auth = pubkey", "auth = eap-tls")}
${door("login", "auth = eap-mschapv2\n id = anna\n eap_id = %any")}
${door("tls", "auth = eap-tls\n id = tls@example.org\n eap_id = %any")}
${door("certificate", "auth = pubkey\n id = anna@example.org")}
}
pools {
  ipv4 {
    addrs = 10.78.0.0/24
    dns = 10.2.0.53
  }
  ipv6 {
    addrs = fd78::/120
  }
}
secrets {
  eap-anna {
    id = anna
    secret = "correct horse"
  }
}
`;
