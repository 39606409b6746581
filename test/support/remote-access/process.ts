import { randomBytes } from "node:crypto";
import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { judgeByTrust } from "../../../src/auth/eap-tls-judge.ts";
import { ntHash } from "../../../src/crypto/nt-hash.ts";
import { createEapClient } from "../../../src/eap/client.ts";
import { LoginGuard } from "../../../src/eap/login-guard.ts";
import { mschapv2Client } from "../../../src/eap/mschapv2/client.ts";
import { mschapv2Server } from "../../../src/eap/mschapv2/server.ts";
import { createEapServer } from "../../../src/eap/server.ts";
import { eapTlsClient } from "../../../src/eap/tls/client.ts";
import { eapTlsServer } from "../../../src/eap/tls/server.ts";
import type { JudgePeer } from "../../../src/eap/tls/verdict.ts";
import { Engine } from "../../../src/engine/engine.ts";
import { createLinuxHost } from "../../../src/engine/linux-host.ts";
import { readCertificates } from "../../../src/pki/certificate-files.ts";
import { type Credential, readCredential } from "../../../src/pki/credential.ts";
import { TrustAnchors } from "../../../src/pki/trust-anchors.ts";
import type {
  ConnectionPolicy,
  LocalAuthentication,
  RemoteAuthentication,
} from "../../../src/policy/connection.ts";
import { parseIdentity } from "../../../src/policy/identity.ts";
import { parseEspProposal, parseIkeProposal } from "../../../src/policy/keywords.ts";
import { selectorsFromPrefixes } from "../../../src/policy/traffic-selectors.ts";
import { RadiusClient } from "../../../src/radius/radius-client.ts";
import { radiusEapServer } from "../../../src/radius/radius-eap-server.ts";

// An engine as a process of its own, in the network of a test host, with one connection for remote access. Its one argument is JSON;
// commands are lines of JSON on standard input, and each is answered by a line.

export interface RemoteAccessArgument {
  /** Of events.log and state; files of credentials are relative to it. */
  readonly directory: string;
  readonly local: {
    readonly id: string;
    readonly way:
      | { readonly kind: "certificate"; readonly names: readonly string[] }
      | { readonly kind: "eap"; readonly user: string; readonly password: string }
      | { readonly kind: "eap-tls"; readonly name: string };
  };
  readonly remote: {
    readonly address?: string;
    readonly id?: string;
    readonly ways: readonly ("certificate" | "eap" | "eap-tls" | "radius")[];
    /** Of the RADIUS server on 127.0.0.1. */
    readonly radiusSecret?: string;
  };
  /** Who may log in, with their passwords. */
  readonly users?: Readonly<Record<string, string>>;
  /** A gateway's; a client asks for addresses. */
  readonly pools?: readonly string[];
  readonly ike: string;
  readonly esp: string;
  readonly inside: readonly string[];
  /** For Windows as it comes. */
  readonly compat?: boolean;
}

export type RemoteAccessCommand =
  | { readonly kind: "up" }
  | { readonly kind: "down" }
  | { readonly kind: "status" };

const argument: RemoteAccessArgument = JSON.parse(process.argv[2]!);
const { directory, pools } = argument;
const isGateway = pools !== undefined;
const random = { bytes: (length: number) => new Uint8Array(randomBytes(length)) };
const file = (name: string): string => join(directory, name);

const anchors = new TrustAnchors(readCertificates(readFileSync(file("ca.pem"), "utf8"), "ca.pem"));

function localWay(): LocalAuthentication {
  const { way } = argument.local;
  if (way.kind === "eap") {
    const { user, password } = way;
    const methods = [mschapv2Client({ user, ntHash: ntHash(password), random })];
    return { kind: "eap", client: createEapClient({ identity: user, methods }) };
  }
  if (way.kind === "eap-tls") {
    const identity = argument.local.id;
    const credential = credentialOf(way.name);
    const methods = [eapTlsClient({ credentials: [credential], identity, judge: judgeOf("server") })];
    return { kind: "eap", client: createEapClient({ identity, methods }) };
  }
  return { kind: "certificate", credentials: way.names.map(credentialOf) };
}

function credentialOf(name: string): Credential {
  const files = { certificate: file(`${name}.pem`), key: file(`${name}.key`) };
  return readCredential({
    certificates: readFileSync(files.certificate, "utf8"),
    key: readFileSync(files.key, "utf8"),
    passphrase: undefined,
    files,
    roots: anchors,
  });
}

function judgeOf(purpose: "client" | "server"): JudgePeer {
  return judgeByTrust({ trust: { anchors, purpose }, wallClock: Date.now });
}

async function remoteWay(
  kind: RemoteAccessArgument["remote"]["ways"][number],
): Promise<RemoteAuthentication> {
  if (kind === "radius") {
    const secret = Buffer.from(argument.remote.radiusSecret!);
    const client = new RadiusClient({
      servers: [{ address: "127.0.0.1", port: 1812, secret }],
      random,
      clock: performance,
      patienceMs: [500, 1_000],
    });
    return { kind: "eap", server: radiusEapServer({ client, nasIdentifier: argument.local.id, random }) };
  }
  if (kind === "eap-tls") {
    const { way } = argument.local;
    if (way.kind !== "certificate") throw new TypeError("a gateway without a certificate");
    const credential = credentialOf(way.names[0]!);
    const methods = [eapTlsServer({ credentials: [credential], judge: judgeOf("client") })];
    return { kind: "eap", server: createEapServer({ methods, random }) };
  }
  if (kind === "certificate") {
    return { kind, trust: { anchors, purpose: isGateway ? "client" : "server" } };
  }
  const find = (name: string) => {
    const password = argument.users?.[name];
    return password === undefined ? undefined : { name, ntHash: ntHash(password) };
  };
  const guard = new LoginGuard({ now: () => Date.now() });
  const method = mschapv2Server({ users: { find }, guard, name: argument.local.id, random });
  return { kind, server: createEapServer({ methods: [method], random }) };
}

const anywhere = selectorsFromPrefixes(["0.0.0.0/0", "::/0"]);
const connection: ConnectionPolicy = {
  name: "access",
  start: "respond",
  local: {
    address: undefined,
    identity: parseIdentity(argument.local.id),
    authentication: localWay(),
  },
  remote: {
    address: argument.remote.address,
    port: 500,
    identity: argument.remote.id === undefined ? undefined : parseIdentity(argument.remote.id),
    authentication: await Promise.all(argument.remote.ways.map(remoteWay)),
  },
  ikeProposals: [parseIkeProposal(argument.ike)],
  children: [
    {
      name: "all",
      local: isGateway ? selectorsFromPrefixes(argument.inside) : anywhere,
      remote: selectorsFromPrefixes(pools ?? argument.inside),
      espProposals: [parseEspProposal(argument.esp)],
      replayWindowPackets: 1024,
    },
  ],
  ...(argument.compat === true && { compat: ["windows-default"] }),
  ...(isGateway
    ? { gives: { dns: ["10.1.0.1"], subnets: argument.inside, domains: [] } }
    : { asks: { ipv4: true, ipv6: true } }),
};

const engine = await Engine.start({
  config: {
    connections: [connection],
    listen: { addresses: ["0.0.0.0", "::"], port: 500, natTraversalPort: 4500 },
    tun: { name: "ikebana0", mtu: 1400 },
    ...(isGateway && { gateway: { pools, masquerades: false, reachEachOther: false } }),
    stateDirectory: file("state"),
  },
  host: createLinuxHost(),
  onEvent: (event) => appendFileSync(file("events.log"), `${event.name}: ${event.message}\n`),
});
console.log(JSON.stringify("ready"));
for await (const line of createInterface({ input: process.stdin })) {
  const command: RemoteAccessCommand = JSON.parse(line);
  console.log(JSON.stringify(await obey(command)));
}
await engine.stop();

async function obey({ kind }: RemoteAccessCommand): Promise<unknown> {
  if (kind === "up") return engine.up("access");
  return kind === "down" ? engine.down("access") : engine.status();
}
