import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { Authenticator } from "../../auth/authenticator.ts";
import { fromHex } from "../../bytes/hex.ts";
import { wipe } from "../../bytes/wipe.ts";
import { NodeCryptoProvider } from "../../crypto/key-exchange/node-crypto-provider.ts";
import { IkeDriver } from "../../engine/ike-driver.ts";
import { Wakefulness } from "../../engine/wakefulness.ts";
import { IkeEndpoint, type IkeOutput, STANDARD_PORTS } from "../../ike/index.ts";
import { createMonotonicClock, systemUptime } from "../../platform/clock.ts";
import { openMontgomeryCurves } from "../../platform/native-curves/montgomery-curves.ts";
import { systemRandom } from "../../platform/random.ts";
import type { ConnectionPolicy } from "../../policy/connection.ts";
import { parseIdentity } from "../../policy/identity.ts";
import { parseEspProposal, parseIkeProposal } from "../../policy/keywords.ts";
import { selectorsFromPrefixes } from "../../policy/traffic-selectors.ts";
import { encodeNonEspMarker, NON_ESP_MARKER_LENGTH } from "../../wire/udp-encapsulation.ts";
import { ESP_PROPOSAL, type GroupName, ikeProposal } from "./groups.ts";
import { OUTSIDE, type Peer, RESPONDER_IDENTITY } from "./peers.ts";
import { AT_A_TIME, type SetUps, type Tally } from "./set-ups.ts";

type Stage = "idle" | "connecting" | "connected" | "leaving";

/** Peers in one process and one IKE machine, without a data plane. Those who stay answer what they are asked. */
export class Crowd implements SetUps {
  readonly #endpoint: IkeEndpoint;
  readonly #driver: IkeDriver;
  readonly #crypto = new NodeCryptoProvider({ groups: openMontgomeryCurves(() => {}) });
  readonly #sockets: ReadonlyMap<number, Socket>;
  readonly #stages = new Map<string, Stage>();
  readonly #startedAt = new Map<string, number>();
  readonly #leaving = new Set<string>();
  /** Those that do not leave, and those of them whose turn has not come. */
  readonly #staying = new Set<string>();
  readonly #waiting: string[] = [];
  #nextSpi = FIRST_SPI;
  #tally = newTally();
  #isEnding = true;
  #onQuiet: () => void = () => {};

  /** Opens UDP ports 500 and 4500 in the network namespace of this process. */
  static async open(facts: {
    readonly peers: readonly Peer[];
    readonly group: GroupName;
    readonly psk: string;
  }): Promise<Crowd> {
    const ports = [STANDARD_PORTS.ike, STANDARD_PORTS.natTraversal];
    const sockets = new Map(ports.map((port) => [port, createSocket("udp4")]));
    for (const [port, socket] of sockets) {
      socket.bind(port, OUTSIDE.initiator);
      await once(socket, "listening");
    }
    return new Crowd({ ...facts, sockets });
  }

  private constructor(facts: {
    readonly peers: readonly Peer[];
    readonly group: GroupName;
    readonly psk: string;
    readonly sockets: ReadonlyMap<number, Socket>;
  }) {
    this.#sockets = facts.sockets;
    this.#endpoint = new IkeEndpoint({
      connections: facts.peers.map((peer) => connectionOf(peer, facts)),
      random: systemRandom,
      allocateSpi: () => this.#nextSpi++,
    });
    this.#driver = new IkeDriver({
      endpoint: this.#endpoint,
      clock: new Wakefulness(createMonotonicClock(), systemUptime),
      crypto: this.#crypto,
      authenticator: new Authenticator(Date.now),
      perform: (output) => this.#perform(output),
      afterwards: () => this.#settle(),
      onFault: (error) => {
        throw error;
      },
    });
    for (const [port, socket] of facts.sockets) {
      socket.on("message", (octets, { address, port: remotePort }) => {
        const path = {
          local: { address: OUTSIDE.initiator, port },
          remote: { address, port: remotePort },
        };
        const isMarked = port === STANDARD_PORTS.natTraversal;
        const message = isMarked ? octets.subarray(NON_ESP_MARKER_LENGTH) : octets;
        this.#driver.feed({ kind: "datagram", octets: message, path });
      });
    }
  }

  async connect(peers: readonly Peer[]): Promise<Tally> {
    if (peers.length === 0) return newTally();
    const quiet = this.#start();
    for (const { name } of peers) this.#waiting.push(name);
    for (let i = 0; i < AT_A_TIME; i++) this.#connectNext();
    await quiet;
    return this.#tally;
  }

  async run(peers: readonly Peer[], ms: number): Promise<Tally> {
    const quiet = this.#start();
    this.#isEnding = false;
    const end = setTimeout(() => {
      this.#isEnding = true;
      this.#settle();
    }, ms);
    for (const { name } of peers) this.#begin(name);
    await quiet;
    clearTimeout(end);
    return this.#tally;
  }

  async disconnect(): Promise<void> {
    const names = [...this.#staying];
    this.#staying.clear();
    if (names.length === 0) return;
    const quiet = this.#start();
    for (const name of names) this.#leave(name);
    await quiet;
  }

  async close(): Promise<void> {
    this.#driver.stop();
    for (const socket of this.#sockets.values()) socket.close();
    await this.#crypto.close();
  }

  #start(): Promise<void> {
    this.#tally = newTally();
    return new Promise((resolve) => {
      this.#onQuiet = resolve;
    });
  }

  #connectNext(): void {
    const name = this.#waiting.pop();
    if (name === undefined) return;
    this.#staying.add(name);
    this.#begin(name);
  }

  #begin(name: string): void {
    this.#stages.set(name, "connecting");
    this.#startedAt.set(name, performance.now());
    this.#driver.feed({ kind: "initiate", connection: name });
  }

  #perform(output: Exclude<IkeOutput, { kind: "compute" | "authenticate" }>): void {
    switch (output.kind) {
      case "transmit": {
        const { octets, path } = output;
        const { port } = path.local;
        this.#tally.datagrams++;
        const datagram = port === STANDARD_PORTS.natTraversal ? encodeNonEspMarker(octets) : octets;
        this.#sockets.get(port)!.send(datagram, path.remote.port, path.remote.address);
        break;
      }
      case "install-child-sa": {
        const { connection, inboundKey, outboundKey } = output.childSa;
        wipe(inboundKey, outboundKey);
        if (this.#stages.get(connection) !== "connecting") break;
        this.#tally.setUpMs.push(performance.now() - this.#startedAt.get(connection)!);
        if (this.#staying.has(connection)) this.#stay(connection);
        else this.#leave(connection);
        break;
      }
      case "event": {
        const { name, connection, message } = output.event;
        if (name !== "ike-sa-failed" && name !== "child-sa-failed") break;
        this.#tally.failure ??= message;
        this.#isEnding = true;
        this.#waiting.length = 0;
        if (connection !== undefined) this.#leave(connection);
        break;
      }
    }
  }

  #stay(name: string): void {
    this.#stages.set(name, "connected");
    setImmediate(() => {
      this.#connectNext();
      this.#settle();
    });
  }

  #leave(name: string): void {
    const stage = this.#stages.get(name);
    if (stage !== "connecting" && stage !== "connected") return;
    this.#stages.set(name, "leaving");
    this.#leaving.add(name);
    this.#driver.feed({ kind: "terminate", connection: name });
  }

  /** Whoever is gone comes again, or not. */
  #settle(): void {
    for (const name of this.#leaving) {
      // One that has answered something stays a while to answer it again.
      if (this.#endpoint.statesOf(name).some((state) => state !== "closed")) continue;
      this.#leaving.delete(name);
      this.#stages.set(name, "idle");
      this.#tally.count++;
      // Not from within what the driver is doing.
      if (!this.#isEnding) setImmediate(() => this.#begin(name));
    }
    if (this.#isEnding && this.#waiting.length === 0 && this.#underWay() === 0) this.#onQuiet();
  }

  #underWay(): number {
    let count = 0;
    for (const stage of this.#stages.values()) if (stage === "connecting" || stage === "leaving") count++;
    return count;
  }
}

/** Smaller ones are reserved (RFC 4303 section 2.1). */
const FIRST_SPI = 0x1000;

function newTally(): Tally & { datagrams: number } {
  return { setUpMs: [], count: 0, datagrams: 0, failure: undefined };
}

function connectionOf(
  { name, identity, address }: Peer,
  { group, psk }: { readonly group: GroupName; readonly psk: string },
): ConnectionPolicy {
  const key = { kind: "psk", key: fromHex(psk) } as const;
  return {
    name,
    start: "respond",
    local: { address: OUTSIDE.initiator, identity: parseIdentity(identity), authentication: key },
    remote: {
      address: OUTSIDE.responder,
      port: STANDARD_PORTS.ike,
      identity: parseIdentity(RESPONDER_IDENTITY),
      authentication: [key],
    },
    ikeProposals: [parseIkeProposal(ikeProposal(group))],
    children: [
      {
        name: "lan",
        local: selectorsFromPrefixes([address]),
        remote: selectorsFromPrefixes([OUTSIDE.network]),
        espProposals: [parseEspProposal(ESP_PROPOSAL)],
        replayWindowPackets: 1024,
      },
    ],
  };
}
