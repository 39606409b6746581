import { isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";
import { TokenBucket } from "../ike/token-bucket.ts";
import type { OpenServiceSocket, ServiceSocket } from "../platform/udp/service-socket.ts";
import {
  type DisconnectClient,
  DisconnectServer,
  type DisconnectServerSettings,
  type Unheard,
} from "../radius/disconnect-server.ts";

/** Who may end what clients have, and where they are heard. */
export interface DisconnectPolicy {
  readonly clients: readonly DisconnectClient[];
  /** What the gateway calls itself, NAS-Identifier. */
  readonly nasIdentifier: string;
  /** Undefined: every address of the families that the clients' addresses are of. */
  readonly address: string | undefined;
  readonly port: number;
}

/** Packets that are looked at closely. Whoever forges the address of a RADIUS server gets no more of our time. */
const PACKETS_PER_SECOND = 100;
/** What was not heard is told of so often. */
const WARNING_EVERY_MS = 600_000;

/** Listens to RADIUS servers that end sessions (RFC 5176), for as long as the configuration has some. */
export class DisconnectListener {
  readonly #open: OpenServiceSocket;
  readonly #clock: { now(): number };
  readonly #onWarning: (message: string) => void;
  readonly #server: DisconnectServer;
  readonly #unheard = new Map<Unheard, number>();
  #policy: DisconnectPolicy | undefined;
  #sockets: readonly ServiceSocket[] = [];
  /** A port was taken. */
  #isDeaf = false;
  #warnedAt = Number.NEGATIVE_INFINITY;

  constructor(
    facts: Pick<DisconnectServerSettings, "wallClock" | "end"> & {
      readonly open: OpenServiceSocket;
      readonly clock: { now(): number };
      readonly onWarning: (message: string) => void;
    },
  ) {
    const { open, clock, onWarning, wallClock, end } = facts;
    this.#open = open;
    this.#clock = clock;
    this.#onWarning = onWarning;
    const rate = new TokenBucket(PACKETS_PER_SECOND);
    this.#server = new DisconnectServer({ wallClock, end, hasTime: () => rate.take(clock.now()) });
  }

  /** Hears whom this names from now on. A port that is taken is told of: nobody is heard, then. */
  async apply(policy: DisconnectPolicy | undefined): Promise<void> {
    const before = this.#policy;
    this.#policy = policy;
    if (isSamePlace(before, policy) && !this.#isDeaf) return;
    await this.#closeSockets();
    if (policy === undefined) return;
    const { port } = policy;
    const sockets: ServiceSocket[] = [];
    this.#sockets = sockets;
    this.#isDeaf = false;
    try {
      for (const address of placesOf(policy)) {
        const socket = await this.#open({ port, address, isShared: false }, (octets, from) => {
          const answer = this.#receive(new Uint8Array(octets), from.address);
          if (answer !== undefined) socket.send(answer, from);
        });
        sockets.push(socket);
      }
    } catch (error) {
      this.#isDeaf = true;
      const reason = error instanceof Error ? error.message : String(error);
      this.#onWarning(`RADIUS servers cannot end sessions: ${reason}`);
    }
  }

  async close(): Promise<void> {
    this.#policy = undefined;
    await this.#closeSockets();
  }

  async #closeSockets(): Promise<void> {
    const sockets = this.#sockets;
    this.#sockets = [];
    await Promise.all(sockets.map((socket) => socket.close()));
  }

  #receive(octets: Uint8Array, from: string): Uint8Array | undefined {
    if (this.#policy === undefined) return undefined;
    const { clients, nasIdentifier } = this.#policy;
    const outcome = this.#server.receive(octets, from, { clients, nasIdentifier, isOwnAddress });
    if (outcome.kind === "answer") return outcome.octets;
    this.#count(outcome.reason);
    return undefined;
  }

  #count(reason: Unheard): void {
    this.#unheard.set(reason, (this.#unheard.get(reason) ?? 0) + 1);
    const now = this.#clock.now();
    if (now - this.#warnedAt < WARNING_EVERY_MS) return;
    this.#warnedAt = now;
    const counts = [...this.#unheard].map(([why, count]) => `${count} ${why}`).join(", ");
    this.#unheard.clear();
    this.#onWarning(`requests to end sessions were not heard: ${counts}`);
  }
}

function isSamePlace(one: DisconnectPolicy | undefined, other: DisconnectPolicy | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return one.port === other.port && placesOf(one).join() === placesOf(other).join();
}

function placesOf({ address, clients }: DisconnectPolicy): readonly string[] {
  if (address !== undefined) return [address];
  const families = [
    { every: "0.0.0.0", isUsed: clients.some((client) => !isIPv6(client.address)) },
    { every: "::", isUsed: clients.some((client) => isIPv6(client.address)) },
  ];
  return families.filter(({ isUsed }) => isUsed).map(({ every }) => every);
}

function isOwnAddress(address: string): boolean {
  return Object.values(networkInterfaces()).some((link) => link?.some((own) => own.address === address));
}
