import { X509Certificate } from "node:crypto";
import { Duplex } from "node:stream";
import { connect } from "node:tls";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { concat } from "../../src/bytes/concat.ts";
import { createEapClient } from "../../src/eap/client.ts";
import { createEapServer } from "../../src/eap/server.ts";
import type { EapServer, EapSession } from "../../src/eap/session.ts";
import { eapTlsClient } from "../../src/eap/tls/client.ts";
import { IncomingMessage, OutgoingMessage } from "../../src/eap/tls/fragments.ts";
import { eapTlsServer } from "../../src/eap/tls/server.ts";
import { type TlsCredential, TlsEndpoint } from "../../src/eap/tls/tls-endpoint.ts";
import type { JudgePeer } from "../../src/eap/tls/verdict.ts";
import { EapCode, EapType } from "../../src/iana/eap.ts";
import { lab } from "./certificates.ts";
import { converse, countedRandom, passwordClient, request, response, result } from "./conversation.ts";

let ours: Awaited<ReturnType<typeof lab>>;
let theirs: typeof ours;
let rsa: typeof ours;
beforeAll(async () => {
  [ours, theirs, rsa] = await Promise.all([lab(), lab(), lab("rsa")]);
});

/** Trusts whom this lab has certified. */
const issuedBy =
  (issuer: typeof ours): JudgePeer =>
  (chain) => {
    const leaf = new X509Certificate(chain[0]!);
    if (!leaf.verify(new X509Certificate(issuer.authority.certificate).publicKey)) {
      return { kind: "refused", reason: "issued by a stranger" };
    }
    return { kind: "trusted", identity: leaf.subjectAltName! };
  };

interface Settings {
  readonly credentials?: readonly TlsCredential[];
  readonly judge?: JudgePeer;
  readonly highestVersion?: "TLSv1.2" | "TLSv1.3";
}

function tlsServer(settings: Settings = {}): EapServer {
  const method = eapTlsServer({ credentials: [ours.server], judge: issuedBy(ours), ...settings });
  return createEapServer({ methods: [method], random: countedRandom() });
}

const IDENTITY = "anna@example.org";

function tlsClient(settings: Settings = {}): EapSession {
  const method = eapTlsClient({
    credentials: [ours.client],
    judge: issuedBy(ours),
    identity: IDENTITY,
    ...settings,
  });
  return createEapClient({ identity: IDENTITY, methods: [method] }).begin();
}

describe.each(["TLSv1.2", "TLSv1.3"] as const)("over %s", (highestVersion) => {
  test("both know each other by their certificates, and have the same 64 octets", async () => {
    const { client, server } = await converse(tlsServer({ highestVersion }), tlsClient());
    expect(server).toMatchObject({ kind: "success", identity: `email:${IDENTITY}` });
    expect(client).toMatchObject({ kind: "success", identity: IDENTITY });
    const msk = server?.kind === "success" ? server.msk! : new Uint8Array(0);
    expect(msk).toHaveLength(64);
    expect(new Set(msk).size).toBeGreaterThan(20);
    expect(client.kind === "success" && client.msk).toEqual(msk);
  });

  test("flights that are longer than a packet travel in fragments, both ways", async () => {
    // Certificates that nobody needs make a chain long.
    const ballast = Array.from({ length: 20 }, () => ours.authority.certificate);
    const long = (credential: TlsCredential) => ({ ...credential, chain: [...credential.chain, ...ballast] });
    const { client, server, packets } = await converse(
      tlsServer({ highestVersion, credentials: [long(ours.server)] }),
      tlsClient({ credentials: [long(ours.client)] }),
    );
    expect(server?.kind).toBe("success");
    expect(client.kind).toBe("success");
    const fragments = (code: number) =>
      packets.filter((packet) => packet[0] === code && (packet[5]! & 0x40) !== 0);
    expect(fragments(EapCode.REQUEST).length).toBeGreaterThan(5);
    expect(fragments(EapCode.RESPONSE).length).toBeGreaterThan(5);
    expect(Math.max(...packets.map((packet) => packet.length))).toBeLessThan(1050);
  });

  test("a client with a stranger's certificate is refused, and never told of success", async () => {
    const { client, server, packets } = await converse(
      tlsServer({ highestVersion }),
      tlsClient({ credentials: [theirs.client] }),
    );
    expect(server).toMatchObject({ kind: "failure", reason: "issued by a stranger" });
    expect(client).toMatchObject({ kind: "failure" });
    expect(packets.some((packet) => packet[0] === EapCode.SUCCESS)).toBe(false);
  });

  test("a client shows no certificate to a server that it does not trust", async () => {
    const judged: number[] = [];
    const judge: JudgePeer = (chain) => {
      judged.push(chain.length);
      return { kind: "refused", reason: "not the one" };
    };
    const { client, packets } = await converse(tlsServer({ highestVersion }), tlsClient({ judge }));
    expect(client).toEqual({ kind: "failure", reason: "not the one" });
    expect(judged).toEqual([2]);
    // Identity and ClientHello are all that it has said, and that it has fragments of the server's.
    const responses = packets.filter((packet) => packet[0] === EapCode.RESPONSE);
    for (const packet of responses.slice(2)) expect(packet.subarray(5)).toEqual(Uint8Array.of(0));
  });

  test("a certificate whose key the client does not have is no login", async () => {
    const credential = { chain: ours.client.chain, key: theirs.client.key };
    expect(() => tlsClient({ credentials: [credential] })).toThrow("key values mismatch");
  });

  test("a judge that throws refuses", async () => {
    const judge: JudgePeer = () => Promise.reject(new Error("no anchors"));
    const { server } = await converse(tlsServer({ highestVersion, judge }), tlsClient());
    expect(server).toMatchObject({ kind: "failure", reason: "type 13: Error: no anchors" });
  });

  test("an octet of the server's TLS that is changed on the way ends in no login for either", async () => {
    const flips = fc.asyncProperty(fc.integer({ min: 1, max: 4 }), fc.nat(1500), async (which, at) => {
      let count = 0;
      let isChanged = false;
      const change = (packet: Uint8Array): Uint8Array => {
        if (count++ !== which || packet.length < 40) return packet;
        isChanged = true;
        const changed = packet.slice();
        const place = 15 + (at % (changed.length - 15));
        changed[place] = changed[place]! ^ 1;
        return changed;
      };
      const { session, first } = tlsServer({ highestVersion }).begin({ address: "192.0.2.7" });
      const receive = async (packet: Uint8Array) => {
        const step = await session.receive(packet);
        return step.kind === "send" ? { ...step, packet: change(step.packet) } : step;
      };
      const link = { session: { receive, dispose: () => session.dispose() }, first };
      const ends = await converse({ begin: () => link }, tlsClient());
      const kinds = [ends.client.kind, ends.server?.kind];
      if (isChanged) expect(kinds).not.toContain("success");
      else expect(kinds).toEqual(["success", "success"]);
    });
    await fc.assert(flips, { seed: 5216, numRuns: 25 });
  });
});

describe("a server with an RSA and an ECDSA certificate", () => {
  test.each([
    ["ecdsa_secp256r1_sha256", "ec"],
    ["rsa_pss_rsae_sha256", "rsa"],
  ])(
    "shows a client that verifies %s alone the one with the %s key, with its own chain",
    async (sigalgs, type) => {
      for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
        const endpoint = new TlsEndpoint(
          { credentials: [ours.server, rsa.server, theirs.server], highestVersion: version },
          "server",
        );
        const chain = await chainShownTo(endpoint, sigalgs);
        expect(chain.map((octets) => new X509Certificate(octets).publicKey.asymmetricKeyType)).toEqual([
          type,
          type,
        ]);
        // Of two of one type the first one stands.
        expect(chain).toEqual((type === "ec" ? ours : rsa).server.chain.map((der) => Buffer.from(der)));
        endpoint.close();
      }
    },
  );

  /** What somebody with these signature algorithms gets to see. */
  async function chainShownTo(endpoint: TlsEndpoint, sigalgs: string): Promise<Buffer[]> {
    const sent: Uint8Array[] = [];
    const wire = new Duplex({
      read: () => undefined,
      write: (chunk: Uint8Array, _, done) => {
        sent.push(chunk);
        done();
      },
    });
    const { chain, key } = ours.client;
    const client = connect({
      socket: wire,
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
      sigalgs,
      cert: `-----BEGIN CERTIFICATE-----\n${Buffer.from(chain[0]!).toString("base64")}\n-----END CERTIFICATE-----\n`,
      key: key.export({ type: "pkcs8", format: "pem" }),
    });
    client.on("error", () => undefined);
    for (let turn = 0; turn < 20; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
      const answer = await endpoint.exchange(concat(...sent.splice(0)));
      if (answer.length > 0) wire.push(answer);
    }
    const leaf = client.getPeerCertificate(true);
    client.destroy();
    return [leaf.raw, leaf.issuerCertificate.raw];
  }
});

describe("a server", () => {
  test("refuses who shows no certificate, what is not TLS, and fragments without end", async () => {
    const begin = async () => {
      const { session, first } = tlsServer().begin({ address: "192.0.2.7" });
      const start = await session.receive(
        response(first[1]!, EapType.IDENTITY, new TextEncoder().encode("a")),
      );
      if (start.kind !== "send") throw new Error(start.kind);
      expect(start.packet.subarray(4)).toEqual(Uint8Array.of(EapType.EAP_TLS, 0x20));
      return { session, identifier: start.packet[1]! };
    };
    const garbage = await begin();
    const alert = await garbage.session.receive(
      response(garbage.identifier, EapType.EAP_TLS, concat(Uint8Array.of(0), new Uint8Array(200).fill(0x55))),
    );
    const end =
      alert.kind === "send"
        ? await garbage.session.receive(response(alert.packet[1]!, 13, Uint8Array.of(0)))
        : alert;
    expect(end).toMatchObject({ kind: "failure", reason: expect.stringContaining("TLS: ") });

    const empty = await begin();
    expect(await empty.session.receive(response(empty.identifier, 13, Uint8Array.of(0)))).toMatchObject({
      kind: "failure",
      reason: "TLS has no answer to what the peer sent",
    });

    const endless = await begin();
    let step = await endless.session.receive(response(endless.identifier, 13, fragment()));
    for (let i = 0; i < 80 && step.kind === "send"; i++) {
      step = await endless.session.receive(response(step.packet[1]!, 13, fragment()));
    }
    expect(step).toMatchObject({ kind: "failure", reason: "a message of TLS longer than 65536 octets" });
  });

  test("ends with a peer that has other methods only", async () => {
    const { server } = await converse(tlsServer(), passwordClient("anna", "x"));
    expect(server).toMatchObject({ kind: "failure", reason: "no method in common: the peer takes 26" });
  });
});

describe("a client", () => {
  test("takes no success before the handshake is through", async () => {
    const client = tlsClient();
    await client.receive(request(1, EapType.EAP_TLS, Uint8Array.of(0x20)));
    expect(await client.receive(result(EapCode.SUCCESS, 1))).toMatchObject({
      kind: "failure",
      reason: "EAP-Success came before it was due",
    });
  });

  test("wants a Start first", async () => {
    expect(await tlsClient().receive(request(1, EapType.EAP_TLS, Uint8Array.of(0)))).toMatchObject({
      kind: "failure",
    });
  });

  test("takes no success in TLS 1.3 without the server's word that nothing else comes (RFC 9190 section 2.5)", async () => {
    const { session, first } = tlsServer().begin({ address: "192.0.2.7" });
    const client = tlsClient();
    let forClient = first;
    let forServer: Uint8Array = first;
    for (let i = 0; i < 3; i++) {
      const ours = await client.receive(forClient);
      if (ours.kind !== "send") throw new Error(ours.kind);
      forServer = ours.packet;
      const theirs = await session.receive(forServer);
      if (theirs.kind !== "send") throw new Error(theirs.kind);
      forClient = theirs.packet;
    }
    // The handshake is through for the client, and the next packet would be the server's word.
    expect(await client.receive(result(EapCode.SUCCESS, forServer[1]))).toMatchObject({ kind: "failure" });
  });
});

describe("messages in fragments", () => {
  test("come out as they went in, whatever their length", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 5000 }), (message) => {
        const out = new OutgoingMessage(message);
        const into = new IncomingMessage();
        for (;;) {
          const step = into.receive(out.next());
          if (step.kind === "acknowledge") continue;
          expect(step).toEqual({ kind: "message", message });
          return;
        }
      }),
      { seed: 13, numRuns: 200 },
    );
  });

  test.each([
    ["a length that is cut off", [Uint8Array.of(0x80, 0, 0)], "a length of 2 octets"],
    ["more than was announced", [Uint8Array.of(0x80, 0, 0, 0, 1, 7, 7)], "longer than 1 octets"],
    [
      "less than was announced",
      [Uint8Array.of(0x80, 0, 0, 0, 9, 7)],
      "1 octets of TLS where 9 were announced",
    ],
    ["4 GB announced", [Uint8Array.of(0xc0, 0xff, 0xff, 0xff, 0xff, 7)], "longer than 65536 octets"],
    ["two lengths", [Uint8Array.of(0xc0, 0, 0, 0, 9, 7), Uint8Array.of(0x80, 0, 0, 0, 8, 7)], "two lengths"],
    ["a fragment of nothing", [Uint8Array.of(0x40)], "a fragment without data"],
  ])("with %s are refused", (_, packets, reason) => {
    const incoming = new IncomingMessage();
    const last = packets.map((packet) => incoming.receive(packet)).at(-1);
    expect(last).toMatchObject({ kind: "failure", reason: expect.stringContaining(reason) });
  });
});

function fragment(): Uint8Array {
  return concat(Uint8Array.of(0x40), new Uint8Array(1024));
}
