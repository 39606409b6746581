import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createEapClient } from "../../src/eap/client.ts";
import type { EapSession } from "../../src/eap/session.ts";
import { eapTlsClient } from "../../src/eap/tls/client.ts";
import { RadiusClient } from "../../src/radius/radius-client.ts";
import { radiusEapServer } from "../../src/radius/radius-eap-server.ts";
import { lab } from "../eap/certificates.ts";
import { converse, passwordClient } from "../eap/conversation.ts";
import { type Freeradius, requireFreeradius, startFreeradius } from "../support/freeradius.ts";
import { enterFreshNamespace, raiseLoopback, requireRoot } from "../support/namespace.ts";

const what = "logins by FreeRADIUS";
const canRun = requireRoot(what) && requireFreeradius(what);
const SECRET = "between us";
const random = { bytes: (length: number) => new Uint8Array(randomBytes(length)) };
const USERS = `
anna Cleartext-Password := "open sesame"
    Framed-IP-Address = 10.9.0.7,
    Class = 0x7374616666,
    Session-Timeout = 3600
`;

describe.runIf(canRun)(what, () => {
  let freeradius: Freeradius;
  let client: RadiusClient;
  let certificates: Awaited<ReturnType<typeof lab>>;

  beforeAll(async () => {
    enterFreshNamespace();
    raiseLoopback([]);
    certificates = await lab("p256");
    const { server, authority } = certificates;
    freeradius = await startFreeradius({
      secret: SECRET,
      users: USERS,
      tls: {
        certificate: server.chain.map(pem).join(""),
        key: server.key.export({ type: "pkcs8", format: "pem" }).toString(),
        ca: pem(authority.certificate),
      },
    });
    client = radiusClient(SECRET);
  });
  afterAll(async () => {
    client?.close();
    await freeradius?.stop();
  });

  const gateway = (through = client) =>
    radiusEapServer({ client: through, nasIdentifier: "gw.example.org", random });

  test("name and password: our client and the RADIUS server's keys agree, and its grants come along", async () => {
    const ends = await converse(gateway(), passwordClient("anna", "open sesame"));
    expect(ends.server).toMatchObject({
      kind: "success",
      identity: "anna",
      grants: { address: "10.9.0.7", class: [new TextEncoder().encode("staff")], sessionSeconds: 3600 },
    });
    const msk = ends.server?.kind === "success" ? ends.server.msk : undefined;
    expect(msk).toHaveLength(64);
    expect(ends.client.kind === "success" && ends.client.msk).toEqual(msk);
  });

  test("a wrong password, and a user that nobody knows, end in EAP-Failure", async () => {
    for (const [name, password] of [
      ["anna", "open barley"],
      ["nobody", "open sesame"],
    ] as const) {
      const ends = await converse(gateway(), passwordClient(name, password));
      expect(ends.server).toMatchObject({
        kind: "failure",
        reason: expect.stringContaining(`refuses "${name}"`),
      });
      expect(ends.client).toMatchObject({ kind: "failure" });
    }
  });

  test.each(["TLSv1.2", "TLSv1.3"] as const)(
    "EAP-TLS over %s, chosen by a Nak, in fragments",
    async (highestVersion) => {
      const ends = await converse(gateway(), tlsClient(highestVersion));
      expect(ends.client).toMatchObject({ kind: "success" });
      const msk = ends.server?.kind === "success" ? ends.server.msk : undefined;
      expect(msk).toHaveLength(64);
      expect(ends.client.kind === "success" && ends.client.msk).toEqual(msk);
      const fragments = ends.packets.filter((packet) => packet[0] === 1 && (packet[5]! & 0x40) !== 0);
      expect(fragments.length).toBeGreaterThan(1);
    },
  );

  test("a server that does not share our secret is silent to us", async () => {
    const stranger = radiusClient("another secret", [50, 50]);
    const ends = await converse(gateway(stranger), passwordClient("anna", "open sesame"));
    stranger.close();
    expect(ends.server).toMatchObject({
      kind: "failure",
      reason: "no answer from RADIUS server 127.0.0.1 port 1812",
    });
  });

  test("a server that is dead ends the login", async () => {
    await freeradius.stop("SIGKILL");
    const impatient = radiusClient(SECRET, [50, 50]);
    const ends = await converse(gateway(impatient), passwordClient("anna", "open sesame"));
    impatient.close();
    expect(ends.server).toMatchObject({ kind: "failure", reason: expect.stringContaining("no answer") });
  });

  function tlsClient(highestVersion: "TLSv1.2" | "TLSv1.3"): EapSession {
    const identity = "anna";
    const judge = () => ({ kind: "trusted", identity: "radius" }) as const;
    const method = eapTlsClient({ credentials: [certificates.client], identity, judge, highestVersion });
    return createEapClient({ identity, methods: [method] }).begin();
  }
});

function radiusClient(secret: string, patienceMs = [2_000, 2_000, 2_000]): RadiusClient {
  const server = { address: "127.0.0.1", port: 1812, secret: Buffer.from(secret) };
  return new RadiusClient({ servers: [server], random, clock: performance, patienceMs });
}

function pem(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n");
}
