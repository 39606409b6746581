import { join } from "node:path";
import { expect, test } from "vitest";
import { ntHash } from "../../src/crypto/nt-hash.ts";
import { changeUsers } from "../../src/users/users-file.ts";
import { progress } from "../support/campaign.ts";
import { type IkebanaDaemon, startIkebana } from "../support/ikebana.ts";
import { requireRoot } from "../support/namespace.ts";
import { makeLabCertificates } from "../support/remote-access/lab-certificates.ts";
import { requireStrongswan, type Strongswan, startStrongswan } from "../support/strongswan.ts";
import { until } from "../support/waiting.ts";
import { createSites, LEFT_INSIDE, ping } from "./sites.ts";

// strongSwan resumes no sessions and knows nothing of RFC 6290: it asks for a sign of life each two seconds (dpd_delay), asks twice more when
// there is none, and calls again six seconds after the first time (retransmit_*, dpd_action).

const WHAT = "strongSwan's client of a gateway that is killed";
const USERS = ["anna"] as const;
const PASSWORD = "correct horse";
const RETRANSMISSIONS = 2;

test.skipIf(!requireRoot(WHAT) || !requireStrongswan(WHAT))(
  "a gateway that is killed and started again gets strongSwan's client back as soon as it has missed it, with the address that it had",
  { timeout: 120_000 },
  async () => {
    const certificates = await makeLabCertificates([
      { name: "gateway", altName: "vpn.example.org", purpose: "server", kind: "p256" },
    ]);
    changeUsers(join(certificates.directory, "users.yaml"), (users) => {
      for (const name of USERS) {
        users.put({
          name,
          ntHash: ntHash(PASSWORD),
          isDisabled: false,
          devices: undefined,
          expires: undefined,
        });
      }
    });
    const sites = await createSites();
    const start = (): Promise<IkebanaDaemon> =>
      startIkebana(sites.left, GATEWAY, { directory: certificates.directory, keepDirectory: true });
    let gateway: IkebanaDaemon | undefined;
    let strongswan: Strongswan | undefined;
    const log = (): string => `${gateway?.log}\n${strongswan?.log}`;
    /** Of those that are connected, by name. */
    const addresses = async (): Promise<ReadonlyMap<string, string>> => {
      const { clients = [] } = await gateway!.connection("gateway");
      return new Map(clients.map(({ user, internalAddresses }) => [user!, internalAddresses![0]!]));
    };
    const carries = async (): Promise<boolean> => {
      const all = [...(await addresses()).values()];
      const lost = await Promise.all(
        all.map((from) => ping(sites.right, { from, to: LEFT_INSIDE[0], count: 1 })),
      );
      return all.length === USERS.length && lost.flat().length === 0;
    };
    try {
      gateway = await start();
      strongswan = await startStrongswan(sites.right, {
        configuration: CLIENTS,
        settings: SETTINGS,
        credentials: { "x509ca/ca.pem": certificates.files["ca.pem"]! },
      });
      for (const name of USERS) {
        const { code, out } = await strongswan.initiate(name);
        expect(code, `${out}\n${log()}`).toBe(0);
      }
      await until("it is connected", carries, { describe: log });
      const before = await addresses();

      await gateway.stop("SIGKILL");
      gateway = await start();
      const readyAt = performance.now();
      await until("it is connected again", carries, { timeoutMs: 60_000, describe: log });
      progress(`a strongSwan client back ${Math.round(performance.now() - readyAt)} ms after the gateway`);
      expect(await addresses()).toEqual(before);
      // Each has given up what it had, and no attempt to come back.
      const givenUp = strongswan.log.split(`giving up after ${RETRANSMISSIONS} retransmits`).length - 1;
      expect(givenUp, log()).toBe(USERS.length);
      expect((await gateway.connection("gateway")).clients).toHaveLength(USERS.length);
    } finally {
      await gateway?.stop("SIGKILL");
      await strongswan?.stop();
      await sites.close();
      certificates.remove();
    }
  },
);

const GATEWAY = `
socket: ikebana.sock
state: state
gateway:
  domain: vpn.example.org
  certificate: gateway.pem
  key: gateway.key
  users: users.yaml
  pool: 10.77.0.0/24
  subnets: 10.1.0.0/24
`;

const SETTINGS = `charon-systemd {
  retransmit_tries = ${RETRANSMISSIONS}
  retransmit_timeout = 2
  retransmit_base = 1
}
`;

const CLIENTS = `connections {
${USERS.map(client).join("")}}
secrets {
${USERS.map((name) => `  eap-${name} {\n    id = ${name}\n    secret = "${PASSWORD}"\n  }\n`).join("")}}
`;

function client(name: string): string {
  return `  ${name} {
    version = 2
    local_addrs = 192.0.2.2
    remote_addrs = 192.0.2.1
    vips = 0.0.0.0
    proposals = aes256gcm16-prfsha384-curve25519
    dpd_delay = 2s
    local {
      auth = eap-mschapv2
      eap_id = ${name}
      id = ${name}@example.org
    }
    remote {
      auth = pubkey
      id = vpn.example.org
    }
    children {
      ${name} {
        remote_ts = 10.1.0.0/24
        esp_proposals = aes256gcm16
        dpd_action = restart
      }
    }
  }
`;
}
