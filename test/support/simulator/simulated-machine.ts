import { Authenticator } from "../../../src/auth/authenticator.ts";
import type { AuthenticationJob, AuthenticationResult } from "../../../src/auth/jobs.ts";
import { SeededCryptoProvider } from "../../../src/crypto/key-exchange/seeded-crypto-provider.ts";
import { IkeEndpoint } from "../../../src/ike/endpoint.ts";
import type { Impair } from "../../../src/ike/impair.ts";
import type {
  IkeEvent,
  IkeInput,
  IkeOutput,
  LocatedGateway,
  NegotiatedChildSa,
} from "../../../src/ike/io.ts";
import type { Limits } from "../../../src/ike/limits.ts";
import type { AddressSource, Traffic } from "../../../src/ike/machine.ts";
import type { TicketOffice } from "../../../src/ike/resumption/ticket-office.ts";
import type { TicketWallet } from "../../../src/ike/resumption/ticket-wallet.ts";
import type { OpenStream } from "../../../src/ike/streams.ts";
import type { IkeSaView } from "../../../src/ike/view.ts";
import type { Path } from "../../../src/platform/address.ts";
import type { ConnectionPolicy } from "../../../src/policy/connection.ts";
import type { InternalConfiguration } from "../../../src/policy/internal-configuration/configuration.ts";
import { SeededRandom } from "./seeded-random.ts";

/** An IKE machine with a data plane that only remembers, a crypto provider that answers at once, and an ear for events. */
export class SimulatedMachine {
  readonly name: string;
  readonly address: string;
  readonly endpoint: IkeEndpoint;
  readonly events: IkeEvent[] = [];
  /** What the data plane holds, by inbound SPI. */
  readonly installed = new Map<number, NegotiatedChildSa>();
  readonly reserved = new Set<number>();
  /** Inbound SPIs that open what is late, and until when. */
  readonly lingering = new Map<number, number>();
  /** What the data plane says that child SAs have carried, by inbound SPI; nothing unless a test says so. */
  readonly traffic = new Map<number, Traffic>();
  /** What the data plane was told that paths carry, by inbound SPI. */
  readonly pathMtus = new Map<number, number | undefined>();
  /** The largest packet that leaves this machine; undefined for one that does not probe paths. */
  linkMtu: number | undefined;
  /** What the networks behind peers give, by connection. */
  readonly configurations = new Map<string, InternalConfiguration>();
  /** Beginnings and ends of clients' sessions. */
  readonly sessions: Extract<IkeOutput, { kind: "session-began" | "session-ended" }>[] = [];
  /** Where keepalives went, and when. */
  readonly keepalives: { readonly path: Path; readonly at: number }[] = [];
  /** Its addresses, those that are preferred first; undefined for one that has `address` and never moves. */
  owned: readonly string[] | undefined;
  /** Whether jobs wait until `finishJobs`. */
  holdsJobs = false;
  /** Held jobs that are done. */
  finishedJobs = 0;
  /** Where gateways are found that it is sent to; without an entry, an address is where it says, and a name nowhere. */
  readonly hosts = new Map<string, string>();
  /** Whether the data plane has inbound SPIs to give. */
  hasSpis = true;

  readonly #transmit: (octets: Uint8Array, path: Path) => void;
  readonly #provider: SeededCryptoProvider;
  /** Kinds of the jobs about who somebody is that have gone out. */
  readonly logins: AuthenticationJob["kind"][] = [];
  readonly #authenticator: Authenticator;
  readonly #pendingLogins: {
    readonly id: number;
    readonly result: AuthenticationResult | Promise<AuthenticationResult>;
  }[] = [];
  readonly #heldJobs: Extract<IkeOutput, { kind: "compute" }>[] = [];
  readonly #clock: { readonly now: number };
  /** Inbound SPIs that replace others, and carry nothing out until the peer has sent something through them. */
  readonly #waiting = new Set<number>();
  /** Inbound SPIs in the order in which outbound traffic prefers them, the last first. */
  readonly #preferred: number[] = [];
  readonly #giveSpi: () => number | undefined;
  #nextSpi: number;

  constructor(facts: {
    readonly name: string;
    readonly address: string;
    readonly connections: readonly ConnectionPolicy[];
    readonly seed: number;
    readonly limits?: Partial<Limits>;
    readonly linkMtu?: number | undefined;
    readonly owned?: readonly string[] | undefined;
    readonly impair?: Impair;
    /** The same in each of its lives. */
    readonly crashSecret?: Uint8Array | undefined;
    readonly tickets?: TicketOffice;
    readonly wallet?: TicketWallet;
    readonly clock: { readonly now: number };
    /** Milliseconds since 1970. */
    readonly wallClock?: () => number;
    /** For peers of connections that give addresses. */
    readonly addresses?: AddressSource;
    /** Opens TCP connections. */
    readonly openStream?: OpenStream;
    /** Of a data plane that gives out SPIs of its own. */
    readonly allocateSpi?: () => number | undefined;
    readonly transmit: (octets: Uint8Array, path: Path) => void;
  }) {
    this.name = facts.name;
    this.address = facts.address;
    this.#clock = facts.clock;
    this.linkMtu = facts.linkMtu;
    this.owned = facts.owned;
    this.#authenticator = new Authenticator(facts.wallClock ?? Date.now);
    this.#transmit = facts.transmit;
    this.#provider = new SeededCryptoProvider(facts.seed);
    this.#giveSpi = facts.allocateSpi ?? (() => this.#nextSpi++);
    this.#nextSpi = 0x1000_0000 + (facts.seed % 1000) * 0x1_0000;
    this.endpoint = new IkeEndpoint({
      connections: facts.connections,
      random: new SeededRandom(facts.seed),
      allocateSpi: () => this.#allocateSpi(),
      traffic: (inboundSpi) => this.traffic.get(inboundSpi),
      limits: facts.limits ?? {},
      ...(facts.linkMtu !== undefined && { pathMtu: () => this.linkMtu }),
      ...(facts.impair && { impair: facts.impair }),
      ...(facts.crashSecret && { crashSecret: facts.crashSecret }),
      ...(facts.tickets && { tickets: facts.tickets }),
      ...(facts.wallet && { wallet: facts.wallet }),
      ...(facts.addresses && { addresses: facts.addresses }),
      ...(facts.openStream && { openStream: facts.openStream }),
      ...(facts.owned && {
        network: {
          sourceTo: (address) => this.owned?.find((own) => own.includes(":") === address.includes(":")),
          has: (address) => this.owned?.includes(address) === true,
          addresses: () => this.owned ?? [],
        },
      }),
    });
  }

  connect(connection = "tunnel"): void {
    this.handle({ kind: "initiate", connection });
  }

  disconnect(connection = "tunnel"): void {
    this.handle({ kind: "terminate", connection });
  }

  /** Its addresses are these from now on, and it hears of it. */
  renumber(...owned: readonly string[]): void {
    this.owned = owned;
    this.handle({ kind: "network-changed" });
  }

  /** Whether a datagram may leave from the address, or arrive at it. */
  isAt(address: string): boolean {
    return this.owned === undefined || this.owned.includes(address);
  }

  /** Hands the machine an input at the present time, and does what it asks for. */
  handle(input: IkeInput): void {
    this.endpoint.handle(input, this.#clock.now);
    for (let output = this.endpoint.poll(); output !== undefined; output = this.endpoint.poll()) {
      this.#perform(output);
    }
  }

  finishJobs(): void {
    for (let left = this.#heldJobs.length; left > 0; left--) this.finishJob();
  }

  /** The oldest job alone is done. */
  finishJob(): void {
    const held = this.#heldJobs.shift();
    if (held === undefined) throw new Error(`${this.name} has nothing to compute`);
    this.finishedJobs++;
    this.handle({ kind: "computed", id: held.id, result: this.#provider.compute(held.job) });
  }

  /** The provider cannot do what it was asked. */
  failJobs(reason: string): void {
    for (const { id } of this.#heldJobs.splice(0)) {
      this.handle({ kind: "computed", id, result: { kind: "failed", reason } });
    }
  }

  get heldJobs(): number {
    return this.#heldJobs.length;
  }

  get ikeSas(): readonly IkeSaView[] {
    return this.endpoint.ikeSas;
  }

  /** State of the newest IKE SA, "none" without one. */
  get state(): string {
    return this.ikeSas.at(-1)?.state ?? "none";
  }

  get childSas() {
    return this.ikeSas.flatMap(({ childSas }) => childSas);
  }

  rekey(what: "children" | "ike", connection = "tunnel"): void {
    this.handle({ kind: "rekey", connection, what });
  }

  /** The SPI that a packet of the child goes out with now; undefined when none carries it. */
  outboundSpi(child = "lan"): number | undefined {
    const spi = this.#preferred.findLast((inboundSpi) => this.installed.get(inboundSpi)?.child === child);
    return spi === undefined ? undefined : this.installed.get(spi)?.outboundSpi;
  }

  /** A packet has arrived: "opened", "held" until its SPI is keyed, or "lost". What waited for the peer's first packet is used from now on. */
  receivePacket(inboundSpi: number): "opened" | "held" | "lost" {
    if (this.installed.has(inboundSpi)) {
      if (this.#waiting.delete(inboundSpi)) this.#prefer(inboundSpi);
      return "opened";
    }
    if ((this.lingering.get(inboundSpi) ?? 0) > this.#clock.now) return "opened";
    return this.reserved.has(inboundSpi) ? "held" : "lost";
  }

  #prefer(inboundSpi: number): void {
    const index = this.#preferred.indexOf(inboundSpi);
    if (index >= 0) this.#preferred.splice(index, 1);
    this.#preferred.push(inboundSpi);
  }

  eventNames(): readonly string[] {
    return this.events.map(({ name }) => name);
  }

  event(name: IkeEvent["name"]): IkeEvent | undefined {
    return this.events.find((event) => event.name === name);
  }

  #perform(output: IkeOutput): void {
    switch (output.kind) {
      case "transmit":
        this.#transmit(output.octets, output.path);
        return;
      case "keepalive":
        this.keepalives.push({ path: output.path, at: this.#clock.now });
        return;
      case "compute":
        if (this.holdsJobs) this.#heldJobs.push(output);
        else this.handle({ kind: "computed", id: output.id, result: this.#provider.compute(output.job) });
        return;
      case "authenticate":
        this.#authenticate(output);
        return;
      case "locate": {
        const address = this.hosts.get(output.host) ?? output.host;
        const found: LocatedGateway = /[a-z]/.test(address)
          ? { kind: "refused", reason: "it is nowhere" }
          : { kind: "found", address };
        this.handle({ kind: "located", id: output.id, found });
        return;
      }
      case "install-child-sa":
        this.#install(output.childSa);
        return;
      case "remove-child-sa":
        if (!this.installed.delete(output.inboundSpi)) {
          throw new Error(`${this.name} removes an SA that it has not installed`);
        }
        this.reserved.delete(output.inboundSpi);
        this.pathMtus.delete(output.inboundSpi);
        this.#waiting.delete(output.inboundSpi);
        this.#preferred.splice(this.#preferred.indexOf(output.inboundSpi), 1);
        if (output.lingerMs > 0) this.lingering.set(output.inboundSpi, this.#clock.now + output.lingerMs);
        return;
      case "move-child-sa": {
        const childSa = this.installed.get(output.inboundSpi);
        if (childSa === undefined) throw new Error(`${this.name} moves an SA that it has not installed`);
        this.installed.set(output.inboundSpi, { ...childSa, path: output.path });
        this.pathMtus.delete(output.inboundSpi);
        return;
      }
      case "fit-child-sa":
        if (!this.installed.has(output.inboundSpi)) {
          throw new Error(`${this.name} fits an SA that it has not installed`);
        }
        this.pathMtus.set(output.inboundSpi, output.pathMtu);
        return;
      case "use-child-sa":
        if (!this.installed.has(output.inboundSpi)) {
          throw new Error(`${this.name} uses an SA that it has not installed`);
        }
        this.#waiting.delete(output.inboundSpi);
        this.#prefer(output.inboundSpi);
        return;
      case "release-spi":
        if (!this.reserved.delete(output.inboundSpi)) throw new Error(`${this.name} releases a free SPI`);
        return;
      case "configured":
        this.configurations.set(output.connection, output.configuration);
        return;
      case "unconfigured":
        if (!this.configurations.delete(output.connection))
          throw new Error(`${this.name} gives up a configuration that it does not have`);
        return;
      case "session-began":
      case "session-ended":
        this.sessions.push(output);
        return;
      case "event":
        this.events.push(output.event);
        return;
    }
  }

  /** What is there at once comes at once, as in the engine; the rest waits for `finishLogins`. */
  #authenticate({ id, job }: Extract<IkeOutput, { kind: "authenticate" }>): void {
    this.logins.push(job.kind);
    const result = this.#authenticator.run(job);
    if (result instanceof Promise || this.holdsJobs) this.#pendingLogins.push({ id, result });
    else this.handle({ kind: "authenticated", id, result });
  }

  get pendingLogins(): number {
    return this.#pendingLogins.length;
  }

  /** Signatures and the like that are under way come back, in the order in which they left. */
  async finishLogins(): Promise<void> {
    for (const { id, result } of this.#pendingLogins.splice(0)) {
      this.handle({ kind: "authenticated", id, result: await result });
    }
  }

  #install(childSa: NegotiatedChildSa): void {
    if (!this.reserved.has(childSa.inboundSpi))
      throw new Error(`${this.name} installs an SPI it does not own`);
    if (this.installed.has(childSa.inboundSpi)) throw new Error(`${this.name} installs an SPI twice`);
    this.installed.set(childSa.inboundSpi, childSa);
    if (childSa.pathMtu !== undefined) this.pathMtus.set(childSa.inboundSpi, childSa.pathMtu);
    if (childSa.carriesOutbound) {
      this.#prefer(childSa.inboundSpi);
    } else {
      this.#waiting.add(childSa.inboundSpi);
      this.#preferred.unshift(childSa.inboundSpi);
    }
  }

  #allocateSpi(): number | undefined {
    if (!this.hasSpis) return undefined;
    const spi = this.#giveSpi();
    if (spi !== undefined) this.reserved.add(spi);
    return spi;
  }
}
