import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { ntHash } from "../../../src/crypto/nt-hash.ts";
import { createEapClient } from "../../../src/eap/client.ts";
import { mschapv2Client } from "../../../src/eap/mschapv2/client.ts";
import { Engine } from "../../../src/engine/engine.ts";
import { createLinuxHost } from "../../../src/engine/linux-host.ts";
import { readCertificates } from "../../../src/pki/certificate-files.ts";
import { TrustAnchors } from "../../../src/pki/trust-anchors.ts";
import type { ConnectionPolicy } from "../../../src/policy/connection.ts";
import { parseIdentity } from "../../../src/policy/identity.ts";
import { parseEspProposal, parseIkeProposal } from "../../../src/policy/keywords.ts";
import { selectorsFromPrefixes } from "../../../src/policy/traffic-selectors.ts";

// Many clients of one gateway as one engine, in the network of a test host: a connection for each of them, from an address of its own,
// with a login of its own. Its one argument is JSON; commands are lines of JSON on standard input, and each is answered by a line.

export interface CrowdArgument {
  /** Of the state. */
  readonly directory: string;
  /** A file. */
  readonly authority: string;
  readonly gateway: { readonly address: string; readonly domain: string };
  readonly inside: readonly string[];
  readonly clients: readonly CrowdClient[];
}

export interface CrowdClient {
  readonly address: string;
  readonly user: string;
  readonly password: string;
}

/** Clients are those of the argument, by their places in it. */
export type CrowdCommand =
  /** All of them at once. Answers with what they were told, "" from whoever is in. */
  | { readonly kind: "up"; readonly clients: readonly number[] }
  | { readonly kind: "down"; readonly clients: readonly number[] }
  /**
   * Each again and again until there were so many attempts, spread evenly over so many seconds, or as fast as they are answered. Answers
   * with a `GuessReport`.
   */
  | { readonly kind: "guess"; readonly count: number; readonly seconds: number }
  /** Answers with the addresses that the gateway has given, client by client. */
  | { readonly kind: "addresses" }
  /** Answers with those whose session was resumed and carries a child SA. */
  | { readonly kind: "resumed" };

export interface GuessReport {
  readonly seconds: number;
  /** How often each thing was told. */
  readonly told: Readonly<Record<string, number>>;
}

const argument: CrowdArgument = JSON.parse(process.argv[2]!);
const { authority, directory, gateway, inside, clients } = argument;
const random = { bytes: (length: number) => new Uint8Array(randomBytes(length)) };
const anchors = new TrustAnchors(readCertificates(readFileSync(authority, "utf8"), authority));

const engine = await Engine.start({
  config: {
    connections: clients.map(connectionOf),
    listen: { addresses: ["0.0.0.0"], port: 500, natTraversalPort: 4500 },
    tun: { name: "ikebana0", mtu: 1400 },
    stateDirectory: join(directory, "state"),
  },
  host: createLinuxHost(),
  onEvent: () => {},
});
console.log(JSON.stringify("ready"));
for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await obey(JSON.parse(line))));
}
await engine.stop();

async function obey(command: CrowdCommand): Promise<unknown> {
  switch (command.kind) {
    case "up":
      return Promise.all(command.clients.map(comeUp));
    case "down":
      return Promise.all(command.clients.map((client) => engine.down(String(client))));
    case "guess":
      return guess(command);
    case "resumed":
      return engine
        .status()
        .connections.filter(({ ikeSa }) => ikeSa?.resumed === true && ikeSa.children.length === 1)
        .map(({ name }) => Number(name));
    case "addresses":
      return engine.status().connections.map(({ ikeSa }) => ikeSa?.internalAddresses ?? []);
  }
}

async function comeUp(client: number): Promise<string> {
  const outcome = await engine.up(String(client));
  return outcome.kind === "done" ? "" : outcome.message;
}

async function guess(facts: { readonly count: number; readonly seconds: number }): Promise<GuessReport> {
  const { count, seconds } = facts;
  const told: Record<string, number> = {};
  const begunAt = performance.now();
  let begun = 0;
  const guessAs = async (client: number): Promise<void> => {
    while (begun < count) {
      const dueAt = begunAt + (begun++ / count) * seconds * 1000;
      await sleep(Math.max(0, dueAt - performance.now()));
      const answer = await comeUp(client);
      told[answer] = (told[answer] ?? 0) + 1;
    }
  };
  await Promise.all(clients.map((_, client) => guessAs(client)));
  return { seconds: (performance.now() - begunAt) / 1000, told };
}

function connectionOf({ address, user, password }: CrowdClient, index: number): ConnectionPolicy {
  const methods = [mschapv2Client({ user, ntHash: ntHash(password), random })];
  return {
    name: String(index),
    start: "respond",
    local: {
      address,
      identity: parseIdentity(`device-${index}.example.org`),
      authentication: { kind: "eap", client: createEapClient({ identity: user, methods }) },
    },
    remote: {
      address: gateway.address,
      port: 500,
      identity: parseIdentity(gateway.domain),
      authentication: [{ kind: "certificate", trust: { anchors, purpose: "server" } }],
    },
    ikeProposals: [parseIkeProposal("aes256gcm16-prfsha384-x25519")],
    children: [
      {
        name: "all",
        local: selectorsFromPrefixes(["0.0.0.0/0"]),
        remote: selectorsFromPrefixes(inside),
        espProposals: [parseEspProposal("aes256gcm16")],
        replayWindowPackets: 1024,
      },
    ],
    asks: { ipv4: true, ipv6: false },
  };
}
