import {
  decodeSessionState,
  encodeSessionState,
  type SessionState,
} from "../../../src/ike/resumption/session-state.ts";
import { SpentFamilies, type SpentFamily } from "../../../src/ike/resumption/spent-families.ts";
import { type TicketKey, TicketKeys } from "../../../src/ike/resumption/ticket-keys.ts";
import { TicketOffice } from "../../../src/ike/resumption/ticket-office.ts";
import { type OwnTicket, TicketWallet } from "../../../src/ike/resumption/ticket-wallet.ts";
import type { ConnectionPolicy } from "../../../src/policy/connection.ts";
import { Link } from "./link.ts";
import { INITIATOR_ADDRESS, initiatorPolicy, RESPONDER_ADDRESS, responderPolicy } from "./policies.ts";
import { SeededRandom } from "./seeded-random.ts";
import { SimulatedMachine } from "./simulated-machine.ts";

type MachineFacts = ConstructorParameters<typeof SimulatedMachine>[0];
type Life = Partial<Pick<MachineFacts, "limits" | "addresses">> & {
  readonly connections?: readonly ConnectionPolicy[];
  /** Whether there is TCP as well. */
  readonly hasTcp?: boolean;
};

/** A client and a gateway whose lives follow one another. What each keeps on its disk is kept here. */
export class ResumptionLab {
  readonly link = new Link();
  /** Milliseconds since 1970, beside what the link's clock adds. */
  readonly dates = { client: 1_700_000_000_000, gateway: 1_700_000_000_000 };
  /** What is on the gateway's disk, and on the client's. */
  keys: readonly TicketKey[] = [];
  spent: readonly SpentFamily[] = [];
  tickets: readonly { readonly ticket: Uint8Array; readonly session: Uint8Array }[] = [];
  client: SimulatedMachine;
  gateway: SimulatedMachine;
  /** The client's. */
  wallet!: TicketWallet;
  #seed: number;

  constructor(seed: number, lives: { readonly client?: Life; readonly gateway?: Life } = {}) {
    this.#seed = seed * 1000;
    this.client = this.#start("client", lives.client ?? {});
    this.gateway = this.#start("gateway", lives.gateway ?? {});
  }

  /** The gateway is killed and started again, with its keys, and whatever it finds on its disk. */
  restartGateway(life: Life = {}): void {
    this.gateway = this.#start("gateway", life);
  }

  restartClient(life: Life = {}): void {
    this.client = this.#start("client", life);
  }

  /** The client finds out that the gateway has lost its IKE SA. */
  async noticeRestart(): Promise<void> {
    this.client.handle({ kind: "liveness", connection: "tunnel" });
    await this.link.settle();
  }

  async connect(): Promise<void> {
    this.client.connect();
    await this.link.settle();
  }

  /** Connected, and the gateway started again behind the client's back; then the client comes again. */
  async comeBack(life: Life = {}): Promise<void> {
    await this.connect();
    this.restartGateway(life);
    await this.noticeRestart();
    await this.connect();
  }

  /** The client's ticket becomes another one. */
  changeTicket(
    change: (own: OwnTicket) => { readonly ticket?: Uint8Array; readonly session?: SessionState },
  ): void {
    this.tickets = this.tickets.map(({ ticket, session }) => {
      const own = { ticket, session: decodeSessionState(session) };
      const changed = { ...own, ...change(own) };
      return { ticket: changed.ticket, session: encodeSessionState(changed.session) };
    });
  }

  #start(name: "client" | "gateway", { hasTcp = false, ...life }: Life): SimulatedMachine {
    const isClient = name === "client";
    const seed = this.#seed++;
    const wallClock = (): number => this.dates[name] + this.link.now;
    const random = new SeededRandom(seed);
    const save = (keys: readonly TicketKey[]): void => {
      this.keys = keys.map((key) => ({ ...key, key: key.key.slice() }));
    };
    const keys = new TicketKeys({ kept: isClient ? [] : this.keys, wallNow: wallClock(), random, save });
    const spent = new SpentFamilies({
      kept: { families: isClient ? [] : this.spent, refusedUntil: 0 },
      save: (family) => {
        this.spent = [...this.spent, family];
      },
    });
    const wallet = new TicketWallet({
      kept: this.tickets.map(({ ticket, session }) => ({ ticket, session: decodeSessionState(session) })),
      wallClock,
      save: (tickets) => {
        this.tickets = tickets.map(({ ticket, session }) => ({
          ticket,
          session: encodeSessionState(session),
        }));
      },
    });
    if (isClient) this.wallet = wallet;
    const machine: SimulatedMachine = new SimulatedMachine({
      name,
      address: isClient ? INITIATOR_ADDRESS : RESPONDER_ADDRESS,
      connections: [isClient ? initiatorPolicy() : responderPolicy()],
      seed,
      crashSecret: new Uint8Array(32).fill(isClient ? 1 : 2),
      ...(isClient ? { wallet } : { tickets: new TicketOffice({ keys, spent, random, wallClock }) }),
      clock: this.link,
      transmit: (octets, path) => this.link.transmit(machine, octets, path),
      ...(hasTcp && { openStream: (ends) => this.link.openStream(machine, ends) }),
      ...life,
    });
    this.link.add(machine);
    return machine;
  }
}
