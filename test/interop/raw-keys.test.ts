import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type IkebanaDaemon, runIkebana, startIkebana } from "../support/ikebana.ts";
import { requireRoot } from "../support/namespace.ts";
import { signingKeys } from "../support/signing-keys.ts";
import { requireStrongswan, type Strongswan, startStrongswan } from "../support/strongswan.ts";
import { createSites, LEFT_INSIDE, ping, RIGHT_INSIDE, type Sites } from "./sites.ts";

// Both sides have the other's public key in a file, and nothing else of it: ours is ECDSA, strongSwan's RSA.

const WHAT = "raw public keys with strongSwan";
const mayRun = requireRoot(WHAT) && requireStrongswan(WHAT);

describe.skipIf(!mayRun)(WHAT, () => {
  if (!mayRun) return;
  let directory: string;
  let sites: Sites;
  let strongswan: Strongswan;
  let ikebana: IkebanaDaemon;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "ikebana-raw-keys-"));
    const [ours, theirs] = [signingKeys("p256"), signingKeys("rsa")];
    const pem = (key: typeof ours.publicKey): string =>
      String(key.export({ type: key.type === "private" ? "pkcs8" : "spki", format: "pem" } as never));
    writeFileSync(join(directory, "own.key"), pem(ours.privateKey), { mode: 0o600 });
    writeFileSync(join(directory, "peer.pub"), pem(theirs.publicKey));
    sites = await createSites();
    strongswan = await startStrongswan(sites.right, {
      configuration: THEIRS,
      credentials: {
        "pubkey/ikebana.pem": pem(ours.publicKey),
        "pubkey/own.pem": pem(theirs.publicKey),
        "private/own.key": pem(theirs.privateKey),
      },
    });
    ikebana = await startIkebana(sites.left, OURS, { directory, keepDirectory: true });
  });
  afterAll(async () => {
    await ikebana?.stop();
    await strongswan?.stop();
    await sites?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  async function expectTunnel(): Promise<void> {
    expect((await ikebana.connection()).state).toBe("established");
    expect(await ping(sites.left, { from: LEFT_INSIDE[0], to: RIGHT_INSIDE[0], count: 5 })).toEqual([]);
  }

  test("strongSwan begins, then we do", async () => {
    const { code, out } = await strongswan.initiate("lan");
    expect(code, `${out}\n${strongswan.log}\n${ikebana.log}`).toBe(0);
    expect(strongswan.log).toContain("authentication of 'a.example.org' with ECDSA_WITH_SHA256");
    await expectTunnel();
    await strongswan.terminate({ ike: "ikebana" });
    const up = await runIkebana(sites.left, "up", "office", "--socket", ikebana.socket);
    expect(up.code, `${up.error}\n${strongswan.log}\n${ikebana.log}`).toBe(0);
    await expectTunnel();
  });
});

const OURS = `
socket: ikebana.sock
state: state
connections:
  office:
    local: { address: 192.0.2.1, id: a.example.org, privateKey: own.key }
    remote: { address: 192.0.2.2, id: b.example.org, publicKey: peer.pub }
    start: respond
    children: { lan: { local: 10.1.0.0/24, remote: 10.2.0.0/24, esp: aes256gcm16 } }
`;

const THEIRS = `connections {
  ikebana {
    version = 2
    local_addrs = 192.0.2.2
    remote_addrs = 192.0.2.1
    encap = yes
    local {
      auth = pubkey
      id = b.example.org
      pubkeys = own.pem
    }
    remote {
      auth = pubkey
      id = a.example.org
      pubkeys = ikebana.pem
    }
    children {
      lan {
        local_ts = 10.2.0.0/24
        remote_ts = 10.1.0.0/24
        esp_proposals = aes256gcm16
      }
    }
  }
}
`;
