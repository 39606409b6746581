import { createSocket, type Socket } from "node:dgram";
import { isIPv6 } from "node:net";
import { wipe } from "../bytes/wipe.ts";
import { RadiusAttribute, RadiusCode } from "../iana/radius.ts";
import {
  isAccountingAnswerGenuine,
  isAnswerGenuine,
  signAccounting,
  signMessage,
  UNSIGNED,
} from "./authenticators.ts";
import {
  type Attribute,
  AUTHENTICATOR_LENGTH,
  decodeRadius,
  encodeRadius,
  HEADER_LENGTH,
  type RadiusPacket,
} from "./packet.ts";

export interface RadiusServer {
  readonly address: string;
  readonly port: number;
  readonly secret: Uint8Array;
}

export interface RadiusClientSettings {
  /** In order of preference; at least one. */
  readonly servers: readonly RadiusServer[];
  readonly random: { bytes(length: number): Uint8Array };
  readonly clock: { now(): number };
  /** How long each transmission of a request is waited for, one after another; then the next server is asked. */
  readonly patienceMs?: readonly number[];
}

/** RFC 5080 section 2.2.1 wants a couple of seconds; a person waits at the other end, and the client sends its own request again. */
const PATIENCE_MS = [1_000, 2_000, 3_000];
/** A server that was silent is passed over for so long, unless all are. */
const SILENT_FOR_MS = 60_000;
/** An identifier is one octet and belongs to a port of ours (RFC 2865 section 3). */
const IDENTIFIERS = 256;
const MOST_PORTS_PER_SERVER = 8;

export type RadiusAnswer =
  | {
      readonly kind: "answer";
      readonly packet: RadiusPacket;
      /** What a conversation that goes on is to go on with. */
      readonly server: RadiusServer;
      /** Authenticator of the request, under which keys in the answer are sealed. */
      readonly request: Uint8Array;
    }
  /** No server answered. `reason` is for the log. */
  | { readonly kind: "silence"; readonly reason: string };

/** Asks RADIUS servers (RFC 2865) over UDP: sends again, goes on to the next server, and hears only answers that are genuine. */
export class RadiusClient {
  readonly #settings: RadiusClientSettings;
  readonly #lines: ReadonlyMap<RadiusServer, ServerLine>;

  constructor(settings: RadiusClientSettings) {
    if (settings.servers.length === 0) throw new RangeError("a RADIUS client without a server");
    this.#settings = settings;
    this.#lines = new Map(settings.servers.map((server) => [server, new ServerLine(server)]));
  }

  /**
   * Sends an Access-Request or Accounting-Request and waits for its answer. `server` is the one whose State is among the attributes: nobody else can go on
   * with that (RFC 2865 section 5.24).
   */
  async ask(question: {
    readonly code: number;
    readonly attributes: readonly Attribute[];
    readonly server?: RadiusServer | undefined;
  }): Promise<RadiusAnswer> {
    const asked: string[] = [];
    for (const line of this.#candidates(question.server)) {
      const answer = await this.#askLine(line, question);
      if (answer === "closed") return { kind: "silence", reason: "the RADIUS client was closed" };
      if (answer !== undefined) {
        line.silentSince = undefined;
        return answer;
      }
      line.silentSince = this.#settings.clock.now();
      asked.push(`${line.server.address} port ${line.server.port}`);
    }
    return { kind: "silence", reason: `no answer from RADIUS server ${asked.join(", ")}` };
  }

  close(): void {
    for (const line of this.#lines.values()) line.close();
  }

  #candidates(fixed: RadiusServer | undefined): readonly ServerLine[] {
    const own = fixed && this.#lines.get(fixed);
    if (own !== undefined) return [own];
    const now = this.#settings.clock.now();
    const lines = [...this.#lines.values()];
    const lively = lines.filter(
      ({ silentSince }) => silentSince === undefined || now - silentSince >= SILENT_FOR_MS,
    );
    return lively.length > 0 ? lively : lines;
  }

  async #askLine(
    line: ServerLine,
    { code, attributes }: { readonly code: number; readonly attributes: readonly Attribute[] },
  ): Promise<RadiusAnswer | "closed" | undefined> {
    const place = line.reserve();
    if (place === undefined) return undefined;
    const { port, identifier } = place;
    const { server } = line;
    const { packet, request, isGenuine } = this.#sign({ code, identifier, attributes }, server);
    const isOurs = (octets: Uint8Array): RadiusPacket | undefined => {
      const decoded = decodeRadius(octets);
      if (decoded === undefined) return undefined;
      return isGenuine(octets, { request, secret: server.secret }) ? decoded : undefined;
    };
    try {
      const answer = await port.exchange(
        { packet, identifier, isOurs },
        this.#settings.patienceMs ?? PATIENCE_MS,
      );
      if (answer === "closed" || answer === undefined) return answer;
      return { kind: "answer", packet: answer, server, request };
    } finally {
      port.release(identifier);
      wipe(packet);
    }
  }

  /** The packet, and how its answers are told from forged ones by its Authenticator. */
  #sign(
    question: Omit<RadiusPacket, "authenticator">,
    { secret }: RadiusServer,
  ): {
    readonly packet: Uint8Array;
    readonly request: Uint8Array;
    readonly isGenuine: typeof isAnswerGenuine;
  } {
    if (question.code === RadiusCode.ACCOUNTING_REQUEST) {
      const packet = encodeRadius({ ...question, authenticator: UNSIGNED });
      signAccounting(packet, secret);
      const request = packet.slice(4, HEADER_LENGTH);
      return { packet, request, isGenuine: isAccountingAnswerGenuine };
    }
    const request = this.#settings.random.bytes(AUTHENTICATOR_LENGTH);
    const signature = { type: RadiusAttribute.MESSAGE_AUTHENTICATOR, value: UNSIGNED };
    // First, as the countermeasures against CVE-2024-3596 have it.
    const attributes = [signature, ...question.attributes];
    const packet = encodeRadius({ ...question, authenticator: request, attributes });
    signMessage(packet, secret);
    return { packet, request, isGenuine: isAnswerGenuine };
  }
}

/** A server and our ports towards it. */
class ServerLine {
  readonly server: RadiusServer;
  silentSince: number | undefined;
  readonly #ports: Port[] = [];

  constructor(server: RadiusServer) {
    this.server = server;
  }

  /** An identifier that no request of ours has; undefined when more are under way than there are. */
  reserve(): { readonly port: Port; readonly identifier: number } | undefined {
    for (const broken of this.#ports.filter(({ isBroken }) => isBroken)) {
      this.#ports.splice(this.#ports.indexOf(broken), 1);
      broken.close();
    }
    for (const port of this.#ports) {
      const identifier = port.reserve();
      if (identifier !== undefined) return { port, identifier };
    }
    if (this.#ports.length >= MOST_PORTS_PER_SERVER) return undefined;
    const port = new Port(this.server);
    this.#ports.push(port);
    return { port, identifier: port.reserve()! };
  }

  close(): void {
    for (const port of this.#ports.splice(0)) port.close();
  }
}

interface Waiting {
  readonly isOurs: (octets: Uint8Array) => RadiusPacket | undefined;
  readonly done: (answer: RadiusPacket | "closed" | undefined) => void;
}

/** One UDP socket, connected: the kernel lets in what comes from the server only. */
class Port {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, Waiting>();
  readonly #reserved = new Set<number>();
  readonly #connected: Promise<void>;
  #isBroken = false;
  #next = 0;

  constructor({ address, port }: RadiusServer) {
    const socket = createSocket(isIPv6(address) ? "udp6" : "udp4");
    this.#socket = socket;
    // ICMP says that nobody listens: the same as silence, and known already.
    socket.on("error", () => undefined);
    socket.on("message", (octets) => this.#received(new Uint8Array(octets)));
    this.#connected = new Promise((resolve) => {
      socket.connect(port, address, (fault?: Error) => {
        this.#isBroken = fault !== undefined;
        resolve();
      });
    });
    socket.unref();
  }

  /** There was no way to the server when it was made. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  reserve(): number | undefined {
    if (this.#reserved.size >= IDENTIFIERS) return undefined;
    while (this.#reserved.has(this.#next)) this.#next = (this.#next + 1) % IDENTIFIERS;
    const identifier = this.#next;
    this.#reserved.add(identifier);
    this.#next = (identifier + 1) % IDENTIFIERS;
    return identifier;
  }

  release(identifier: number): void {
    this.#reserved.delete(identifier);
  }

  async exchange(
    {
      packet,
      identifier,
      isOurs,
    }: {
      readonly packet: Uint8Array;
      readonly identifier: number;
      readonly isOurs: Waiting["isOurs"];
    },
    patienceMs: readonly number[],
  ): Promise<RadiusPacket | "closed" | undefined> {
    await this.#connected;
    if (this.#isBroken) return undefined;
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      const done = (answer: RadiusPacket | "closed" | undefined): void => {
        clearTimeout(timer);
        this.#waiting.delete(identifier);
        resolve(answer);
      };
      this.#waiting.set(identifier, { isOurs, done });
      const transmit = (attempt: number): void => {
        const patience = patienceMs[attempt];
        if (patience === undefined) {
          done(undefined);
          return;
        }
        this.#socket.send(packet, () => undefined);
        timer = setTimeout(() => transmit(attempt + 1), patience);
      };
      transmit(0);
    });
  }

  close(): void {
    for (const { done } of [...this.#waiting.values()]) done("closed");
    this.#socket.close();
  }

  #received(octets: Uint8Array): void {
    const waiting = this.#waiting.get(octets[1] ?? -1);
    const answer = waiting?.isOurs(octets);
    if (answer !== undefined) waiting?.done(answer);
  }
}
