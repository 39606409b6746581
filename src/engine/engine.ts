import { join } from "node:path";
import { Authenticator } from "../auth/authenticator.ts";
import type { IkeDatagram, TrapCall } from "../esp/index.ts";
import { IkeEndpoint } from "../ike/endpoint.ts";
import type { IkeEvent, IkeOutput, NegotiatedChildSa } from "../ike/io.ts";
import { isGatewayHost } from "../ike/redirect/notifications.ts";
import type { OpenStream } from "../ike/streams.ts";
import { TokenBucket } from "../ike/token-bucket.ts";
import type { Path } from "../platform/address.ts";
import { BorrowedSettings, isBorrowed } from "../platform/kernel-settings/borrowed-settings.ts";
import { StateFile } from "../platform/state-file.ts";
import type { ConnectionPolicy } from "../policy/connection.ts";
import { selectorsOfPacket } from "../policy/packet-selectors.ts";
import { formatTrafficSelector } from "../policy/traffic-selectors.ts";
import { LeaseFile } from "../pool/lease-file.ts";
import type { AccountedSession } from "../radius/accounting-record.ts";
import { encodeKeepalive, encodeNonEspMarker } from "../wire/udp-encapsulation.ts";
import { ChildSas } from "./child-sas.ts";
import { areShutters, ClientNetwork } from "./client-network.ts";
import { ClientSessions } from "./client-sessions.ts";
import { ConnectionState } from "./connection-state.ts";
import type { EngineControl, LivenessOutcome, Outcome } from "./control-surface.ts";
import { crashSecretIn } from "./crash-secret.ts";
import { DisconnectListener } from "./disconnect-listener.ts";
import type { EngineConfig } from "./engine-config.ts";
import { GatewayAddresses } from "./gateway-addresses.ts";
import { GatewayNetwork } from "./gateway-network.ts";
import type { Host, IkeListener, OpenHost } from "./host.ts";
import { IkeDriver, type Perform } from "./ike-driver.ts";
import { InformAnswers } from "./inform-answers.ts";
import { LocalAddresses } from "./local-addresses.ts";
import { locateGateway, PLAIN_FINDER } from "./locate-gateway.ts";
import { TunnelRoutes } from "./routes.ts";
import { isSamePolicy } from "./same-policy.ts";
import type { EngineStatus } from "./status.ts";
import { describeEngine } from "./status-report.ts";
import { TicketFile } from "./ticket-file.ts";
import { TicketOfficeFiles } from "./ticket-office-files.ts";
import { Wakefulness } from "./wakefulness.ts";

/** After these a connection may not be up any more. */
const ENDS: readonly IkeEvent["name"][] = [
  "ike-sa-failed",
  "ike-sa-deleted",
  "child-sa-failed",
  "child-sa-deleted",
];

/** Datagrams that did not leave and are told of in a second. */
const FAILURES_PER_SECOND = 5;

/** Gateways that a connection was sent to and that are kept out of the tunnel: more than a client follows in a row. */
const SENT_TO_COUNT = 6;

/** How long a stop waits for the peers to confirm that the SAs are gone. */
const FAREWELL_MS = 2_000;

/**
 * The place where the IKE machine, the data plane and the machine we run on meet. It carries messages between them and
 * decides nothing that the protocol decides.
 */
export class Engine implements EngineControl {
  readonly #host: Host;
  readonly #open: OpenHost;
  readonly #onEvent: (event: IkeEvent) => void;
  readonly #endpoint: IkeEndpoint;
  readonly #driver: IkeDriver;
  readonly #childSas: ChildSas;
  readonly #sessions: ClientSessions;
  readonly #routes: TunnelRoutes;
  readonly #gateway: GatewayNetwork;
  readonly #client: ClientNetwork;
  readonly #addresses: GatewayAddresses;
  readonly #informAnswers: InformAnswers;
  readonly #disconnects: DisconnectListener;
  readonly #connections = new Map<string, ConnectionState>();
  /** Those that somebody waits to see down. */
  readonly #leaving = new Set<ConnectionState>();
  /** Those that come up by the first packet that wants them. */
  #trapped: ReadonlySet<string> = new Set();
  readonly #startedAt: number;
  readonly #failures = new TokenBucket(FAILURES_PER_SECOND);
  readonly #wakefulness: Wakefulness;
  readonly #localAddresses: LocalAddresses;
  readonly #ticketFile: TicketFile;
  /** Sockets for ESP without UDP, which are opened at the start or never. */
  readonly #hasRawSockets: boolean;
  readonly #officeFiles: TicketOfficeFiles;
  #config: EngineConfig;
  /** The gateways that each connection was sent to last: with the one before there is still a farewell to exchange. */
  #sentTo: ReadonlyMap<string, readonly string[]> = new Map();
  #isStopping = false;

  /** Opens devices and sockets, installs routes and initiates what should be up. Throws PlatformError when the machine refuses, and leaves nothing behind then. */
  static async start(facts: {
    readonly config: EngineConfig;
    readonly host: Host;
    readonly onEvent: (event: IkeEvent) => void;
  }): Promise<Engine> {
    const { config, host, onEvent } = facts;
    let engine: Engine | undefined;
    let open: OpenHost | undefined;
    const listener: IkeListener = {
      onIkeDatagram: (datagram) => {
        if (engine !== undefined) engine.#receive(datagram);
      },
      onFailure: (error) => {
        if (engine !== undefined) engine.#dataPlaneFailed(error);
      },
      onRefusal: (what) => {
        if (engine !== undefined) engine.#reportRefusal(what);
      },
      onStreamClosed: (stream) => {
        if (engine !== undefined) engine.#driver.feed({ kind: "stream-closed", stream });
      },
      onStray: (stray) => {
        if (engine !== undefined) engine.#driver.feed({ kind: "stray-esp", ...stray });
      },
      onElsewhere: (seen) => {
        if (engine !== undefined) engine.#driver.feed({ kind: "seen-elsewhere", ...seen });
      },
      onTrap: (call) => {
        if (engine !== undefined) engine.#answerTrap(call);
      },
    };
    try {
      open = await host.open(config, listener);
      engine = new Engine({ config, host, open, onEvent });
      await engine.#client.clean();
      await engine.#gateway.clean();
      await engine.#gateway.apply(config.gateway);
      await engine.#informAnswers.apply(config.gateway);
      await engine.#disconnects.apply(config.disconnect);
      engine.#begin();
      return engine;
    } catch (error) {
      if (engine !== undefined) await engine.stop();
      else {
        await open?.close();
        await host.close();
      }
      throw error;
    }
  }

  private constructor(facts: {
    readonly config: EngineConfig;
    readonly host: Host;
    readonly open: OpenHost;
    readonly onEvent: (event: IkeEvent) => void;
  }) {
    const { config, host, open } = facts;
    this.#config = config;
    this.#hasRawSockets = config.connections.some(({ encapsulation }) => encapsulation !== "udp");
    this.#host = host;
    this.#open = open;
    this.#onEvent = facts.onEvent;
    this.#startedAt = host.clock.now();
    this.#wakefulness = new Wakefulness(host.clock, host.uptime);
    this.#childSas = new ChildSas({
      dataPlane: open.dataPlane,
      random: host.random,
      onUsedUp: (usedUp) => this.#driver.feed({ kind: "used-up", ...usedUp }),
    });
    this.#routes = new TunnelRoutes(open.network, open.tunName, config.keptSession?.peer);
    const onWarning = (message: string): void => this.#reportMachine(message);
    this.#sessions = new ClientSessions({
      counters: this.#childSas,
      clock: host.clock,
      random: host.random,
      onWarning,
    });
    this.#sessions.configure(config.accounting);
    const borrowed = (file: string): BorrowedSettings =>
      new BorrowedSettings(open.kernelSettings, new StateFile(join(config.stateDirectory, file), isBorrowed));
    const machine = { network: open.network, link: open.tunName, onWarning };
    this.#gateway = new GatewayNetwork({
      ...machine,
      firewall: open.firewall,
      borrowed: borrowed("gateway-settings.json"),
    });
    this.#client = new ClientNetwork({
      ...machine,
      resolver: open.resolver,
      keptSession: config.keptSession,
      borrowed: borrowed("client-settings.json"),
      ruleFile: new StateFile(join(config.stateDirectory, "client-rules.json"), areShutters),
    });
    this.#informAnswers = new InformAnswers({ open: open.openServiceSocket, onWarning });
    this.#disconnects = new DisconnectListener({
      open: open.openServiceSocket,
      clock: host.clock,
      wallClock: Date.now,
      end: (isMeant, address) => this.#endSessions(isMeant, address),
      onWarning,
    });
    const leases = new LeaseFile(join(config.stateDirectory, "leases.json"));
    this.#addresses = new GatewayAddresses({ file: leases, onWarning });
    if (config.gateway !== undefined) this.#addresses.configure(config.gateway);
    const listening = config.listen.addresses;
    this.#localAddresses = new LocalAddresses({ network: open.network, link: open.tunName, listening });
    const crashSecret =
      config.showsRestarts === true
        ? crashSecretIn(config.stateDirectory, { random: host.random, onWarning })
        : undefined;
    const keptIn = config.keepsTickets === true ? config.stateDirectory : undefined;
    this.#ticketFile = new TicketFile(keptIn, onWarning);
    this.#officeFiles = new TicketOfficeFiles({
      stateDirectory: keptIn,
      boot: open.kernelSettings.read("kernel/random/boot_id"),
      random: host.random,
      wallClock: Date.now,
      onWarning,
    });
    this.#endpoint = new IkeEndpoint({
      network: this.#localAddresses,
      ...(open.streams && { openStream: (ends) => this.#openStream(ends) }),
      ...(crashSecret && { crashSecret }),
      tickets: this.#officeFiles.office,
      wallet: this.#ticketFile.wallet,
      connections: config.connections,
      random: host.random,
      ports: { ike: config.listen.port, natTraversal: config.listen.natTraversalPort },
      allocateSpi: () => open.dataPlane.allocateSpi(),
      ...(host.impairment && { impair: host.impairment.message }),
      onIkeSpi: (spi, isInUse) => open.dataPlane.noteIkeSpi(spi, isInUse),
      pathMtu: (path) => open.dataPlane.pathMtu(path),
      addresses: this.#addresses,
      traffic: (inboundSpi) => this.#childSas.lastUse(inboundSpi, this.#wakefulness),
    });
    this.#driver = new IkeDriver({
      endpoint: this.#endpoint,
      clock: this.#wakefulness,
      crypto: host.crypto,
      authenticator: new Authenticator(Date.now),
      perform: (output) => this.#perform(output),
      afterwards: () => this.#settleLeaving(),
      onFault: (error) => this.#reportFault(error),
    });
  }

  status(): EngineStatus {
    return describeEngine({
      uptimeMs: this.#host.clock.now() - this.#startedAt,
      now: this.#wakefulness.now(),
      config: this.#config,
      open: this.#open,
      endpoint: this.#endpoint,
      connections: [...this.#connections.values()],
      pools: this.#addresses.usage,
    });
  }

  /** Whether the data workers go round: each has since the last call. */
  isMoving(): boolean {
    return this.#open.dataPlane.isMoving();
  }

  async up(name: string): Promise<Outcome> {
    const connection = this.#connections.get(name);
    if (connection === undefined) return this.#unknown(name);
    connection.want();
    this.#release([connection]);
    if (this.#isUp(connection)) return { kind: "done", message: `${name} is established` };
    if (connection.policy.remote.address === undefined) {
      return {
        kind: "failed",
        reason: "configuration",
        message: `${name} has no remote address: it can only respond`,
      };
    }
    const outcome = connection.whenUp();
    this.#initiate(connection);
    return outcome;
  }

  async down(name?: string): Promise<Outcome> {
    const chosen = name === undefined ? [...this.#connections.values()] : [this.#connections.get(name)];
    if (chosen[0] === undefined && name !== undefined) return this.#unknown(name);
    for (const connection of chosen) if (connection !== undefined) connection.isHeld = true;
    this.#admit();
    await Promise.all(chosen.map((connection) => connection && this.#takeDown(connection)));
    return { kind: "done", message: name === undefined ? "every connection is down" : `${name} is down` };
  }

  async liveness(name: string): Promise<LivenessOutcome> {
    const connection = this.#connections.get(name);
    if (connection === undefined) return this.#unknown(name);
    if (!this.#isEstablished(name)) {
      return { kind: "failed", reason: "not-established", message: `${name} is not established` };
    }
    const outcome = connection.whenAnswered();
    this.#driver.feed({ kind: "liveness", connection: name });
    return outcome;
  }

  async disconnect(user: string): Promise<Outcome> {
    const isThere = (): boolean => this.#endpoint.hasUser(user);
    if (!isThere()) return { kind: "failed", reason: "not-established", message: `${user} is not connected` };
    for (const connection of this.#connections.keys())
      this.#driver.feed({ kind: "terminate", connection, user });
    return { kind: "done", message: `${user} is disconnected` };
  }

  async redirect(name: string, host: string): Promise<Outcome> {
    if (!isGatewayHost(host)) {
      const message = `"${host}" is neither an IP address nor a domain name`;
      return { kind: "failed", reason: "configuration", message };
    }
    const isUser = !this.#connections.has(name) && this.#endpoint.hasUser(name);
    if (!isUser && !this.#connections.has(name)) return this.#unknown(name);
    const meant = isUser
      ? [...this.#connections.keys()].map((connection) => ({ connection, user: name }))
      : [{ connection: name, user: undefined }];
    let able = 0;
    let unable = 0;
    for (const { connection, user } of meant) {
      const counts = this.#endpoint.countRedirectable(connection, user);
      able += counts.able;
      unable += counts.unable;
      this.#driver.feed({ kind: "redirect", connection, user, host });
    }
    const rest = unable === 0 ? "" : `; ${unable} cannot be sent elsewhere`;
    if (able > 0) return { kind: "done", message: `${able} told to go to ${host}${rest}` };
    const message = `${name} has no clients that can be sent elsewhere${rest}`;
    return { kind: "failed", reason: "not-established", message };
  }

  async rekey(name: string, what: "children" | "ike"): Promise<Outcome> {
    const connection = this.#connections.get(name);
    if (connection === undefined) return this.#unknown(name);
    const ikeSa = this.#endpoint.ikeSasOf(name).find(({ state }) => state === "established");
    // One that was replaced and waits to be deleted is not replaced again.
    const children = new Set(ikeSa?.childSas.map(({ name: child }) => child));
    const count = what === "ike" ? 1 : children.size;
    if (ikeSa === undefined || count === 0) {
      return { kind: "failed", reason: "not-established", message: `${name} is not established` };
    }
    const outcome = connection.whenRekeyed(what, count);
    this.#driver.feed({ kind: "rekey", connection: name, what });
    return outcome;
  }

  async reload(config: EngineConfig): Promise<Outcome> {
    const fixed = firstFixedDifference(this.#config, config);
    if (fixed !== undefined) {
      return {
        kind: "failed",
        reason: "configuration",
        message: `${fixed} cannot change while we run: restart instead`,
      };
    }
    const raw = config.connections.find(({ encapsulation }) => encapsulation === "raw");
    if (raw !== undefined && !this.#hasRawSockets) {
      return {
        kind: "failed",
        reason: "configuration",
        message: `${raw.name} wants raw ESP, and we have no sockets for that as long as we run: restart instead`,
      };
    }
    try {
      // What may be refused comes first, while everything still stands as it was.
      this.#routes.extend(this.#routed(config.connections));
      await this.#gateway.apply(config.gateway);
    } catch (error) {
      await this.#attempt(async () => {
        this.#replaceRoutes();
        await this.#gateway.apply(this.#config.gateway);
      });
      return { kind: "failed", reason: "configuration", message: messageOf(error) };
    }
    const before = new Map(this.#config.connections.map((policy) => [policy.name, policy]));
    const after = new Map(config.connections.map((policy) => [policy.name, policy]));
    const gone = [...before.values()].filter((policy) => !isSamePolicy(policy, after.get(policy.name)));
    // First of all, or a peer that is told to go comes back at once, and stays under what it is not allowed any more.
    for (const { name } of gone) this.#connections.get(name)!.isHeld = true;
    this.#admit();
    await Promise.all(gone.map(({ name }) => this.#takeDown(this.#connections.get(name)!)));
    if (this.#isStopping) return { kind: "failed", reason: "other", message: "ikebana is stopping" };
    for (const { name } of gone) {
      this.#connections.get(name)?.abandon(`${name} is no longer configured this way`);
      this.#connections.delete(name);
    }

    this.#config = config;
    for (const policy of config.connections) this.#connections.get(policy.name)?.renew(policy);
    const held = [...this.#connections.values()].filter(({ isHeld }) => isHeld);
    this.#release(held);
    this.#reportCompat();
    this.#replaceRoutes();
    this.#addresses.configure(config.gateway ?? { pools: [] });
    this.#sessions.configure(config.accounting);
    await this.#informAnswers.apply(config.gateway);
    await this.#disconnects.apply(config.disconnect);
    this.#childSas.protect(config.connections, this.#trapped);
    for (const policy of config.connections) {
      if (!this.#connections.has(policy.name)) this.#adopt(policy);
    }
    for (const connection of held) this.#start(connection);
    this.#setTraps();
    const total = config.connections.length;
    return {
      kind: "done",
      message: `${total} ${total === 1 ? "connection" : "connections"}, ${gone.length} changed or gone`,
    };
  }

  /** Says goodbye to every peer, then takes back routes, sockets and devices. */
  async stop(): Promise<void> {
    if (this.#isStopping) return;
    this.#isStopping = true;
    this.#sessions.stopping();
    let farewell: NodeJS.Timeout | undefined;
    const patience = new Promise((resolve) => {
      farewell = setTimeout(resolve, FAREWELL_MS);
    });
    await Promise.race([this.down(), patience]);
    clearTimeout(farewell);
    this.#driver.stop();
    this.#localAddresses.close();
    for (const connection of this.#connections.values()) connection.abandon("ikebana is stopping");
    await this.#sessions.close();
    await this.#childSas.removeAll();
    this.#routes.removeAll();
    await this.#informAnswers.close();
    await this.#disconnects.close();
    await this.#attempt(() => this.#client.remove());
    await this.#attempt(() => this.#gateway.remove());
    await this.#addresses.close();
    this.#ticketFile.close();
    this.#officeFiles.close();
    await this.#open.close();
    await this.#host.close();
  }

  /** The order matters: what has no SA is discarded before the first route leads anything to us. */
  #begin(): void {
    const { impairment } = this.#host;
    if (impairment !== undefined) this.#reportImpairment(impairment.text);
    const { refusals } = this.#open;
    if (refusals.length > 0) this.#reportRefusal(refusals.join("; "));
    this.#reportCompat();
    this.#childSas.protect(this.#config.connections);
    this.#replaceRoutes();
    this.#open.streams?.watch(() => this.#endpoint.streams);
    this.#localAddresses.watch(() => this.#driver.feed({ kind: "network-changed" }));
    for (const policy of this.#config.connections) this.#adopt(policy);
    this.#setTraps();
  }

  #adopt(policy: ConnectionPolicy): void {
    const connection = new ConnectionState(policy);
    this.#connections.set(policy.name, connection);
    this.#start(connection);
  }

  #start(connection: ConnectionState): void {
    connection.begin();
    if (connection.isWanted) this.#initiate(connection);
  }

  /** The machine knows the connections that may be up: one that was taken down is not accepted from the peer either. */
  #admit(): void {
    const isHeld = ({ name }: ConnectionPolicy): boolean => this.#connections.get(name)?.isHeld === true;
    this.#endpoint.replaceConnections(this.#config.connections.filter((policy) => !isHeld(policy)));
    this.#setTraps();
  }

  /** Packets of a connection that was taken down wake nobody. */
  #setTraps(): void {
    const armed = [...this.#connections.values()].filter(isArmed);
    const trapped = new Set(armed.map(({ policy }) => policy.name));
    if (trapped.size === this.#trapped.size && [...trapped].every((name) => this.#trapped.has(name))) return;
    this.#trapped = trapped;
    this.#childSas.protect(this.#config.connections, trapped);
  }

  /** A packet wants an SA. While a failed attempt is not long past, it wants in vain. */
  #answerTrap({ trap, packet }: TrapCall): void {
    const found = this.#childSas.childOf(trap);
    if (found === undefined || !this.#trapped.has(found.connection)) return;
    const connection = this.#connections.get(found.connection)!;
    const waitMs = connection.nextAttemptMs(this.#wakefulness.now()) ?? 0;
    if (waitMs > 0 || this.#isUp(connection)) return;
    const selectors = selectorsOfPacket(packet);
    if (!this.#hasIkeSa(found.connection)) this.#reportTrap({ ...found, selectors });
    connection.cancelRetry();
    const trigger = selectors && { child: found.child, ...selectors };
    this.#driver.feed({ kind: "initiate", connection: found.connection, trigger });
  }

  #release(connections: readonly ConnectionState[]): void {
    for (const connection of connections) connection.isHeld = false;
    this.#admit();
  }

  #reportTrap(facts: {
    readonly connection: string;
    readonly child: string;
    readonly selectors: ReturnType<typeof selectorsOfPacket>;
  }): void {
    const { connection, child, selectors } = facts;
    const packet =
      selectors === undefined
        ? "a packet"
        : `a packet from ${formatTrafficSelector(selectors.local)} to ${formatTrafficSelector(selectors.remote)}`;
    const message = `${packet} wants ${connection}`;
    this.#onEvent({ name: "trap-sprung", level: "info", connection, message, facts: { child } });
  }

  #initiate(connection: ConnectionState): void {
    connection.cancelRetry();
    this.#driver.feed({ kind: "initiate", connection: connection.policy.name });
    if (connection.isWanted && !this.#isUp(connection))
      connection.watchAttempt(() => this.#retry(connection));
  }

  async #takeDown(connection: ConnectionState): Promise<void> {
    const { name } = connection.policy;
    connection.isWanted = false;
    connection.cancelRetry();
    if (!this.#hasIkeSa(name)) {
      // There may be a ticket.
      this.#driver.feed({ kind: "terminate", connection: name });
      return this.#withdraw(name);
    }
    const isDown = connection.whenDown();
    this.#leaving.add(connection);
    this.#driver.feed({ kind: "terminate", connection: name });
    await isDown;
  }

  /** A RADIUS server wants it; how many there were. */
  #endSessions(isMeant: (session: AccountedSession) => boolean, address: string): number {
    const meant = this.#sessions.find(isMeant);
    const message = `the RADIUS server ${address} has asked for it`;
    for (const { number, connection } of meant) {
      this.#driver.feed({ kind: "terminate", connection, session: number, message });
    }
    return meant.length;
  }

  #receive(datagram: IkeDatagram): void {
    if (this.#host.impairment?.collides(datagram.octets) === true) {
      for (const connection of this.#connections.keys()) {
        this.#driver.feed({ kind: "rekey", connection, what: "children" });
      }
    }
    this.#driver.feed({ kind: "datagram", ...datagram });
  }

  #perform(output: Parameters<Perform>[0]): void {
    switch (output.kind) {
      case "transmit":
        this.#transmit(output);
        break;
      case "install-child-sa":
        this.#install(output.childSa);
        break;
      case "keepalive":
        this.#keepAlive(output.path);
        break;
      case "move-child-sa":
        this.#childSas.move(output.inboundSpi, output.path);
        this.#trustStream(output.path);
        this.#client.moved(output.connection, output.path.remote.address);
        break;
      case "fit-child-sa":
        this.#childSas.fit(output.inboundSpi, output.pathMtu);
        break;
      case "locate":
        void this.#locate(output);
        break;
      case "remove-child-sa":
        this.#childSas.remove(output.inboundSpi, output.lingerMs);
        break;
      case "configured":
        this.#client.configure(output.connection, output.configuration);
        break;
      case "unconfigured":
        this.#withdraw(output.connection);
        break;
      case "session-began":
        this.#sessions.began(output.session);
        break;
      case "session-ended":
        this.#sessions.ended(output.session, output.reason);
        break;
      case "use-child-sa":
        this.#childSas.use(output.inboundSpi);
        break;
      case "release-spi":
        this.#open.dataPlane.releaseSpi(output.inboundSpi);
        break;
      case "event":
        this.#observe(output.event);
        break;
    }
  }

  /** A gateway that we are sent to has to be reachable before anything goes there, outside of the tunnel. */
  async #locate({ id, connection: name, host }: Extract<IkeOutput, { kind: "locate" }>): Promise<void> {
    const { gatewayFinder = PLAIN_FINDER } = this.#config;
    const localAddress = this.#connections.get(name)?.policy.local.address;
    let found = await locateGateway(gatewayFinder, { host, localAddress });
    if (found.kind === "found" && !this.#isStopping) {
      const before = this.#sentTo;
      const { address } = found;
      const others = (before.get(name) ?? []).filter((other) => other !== address);
      this.#sentTo = new Map(before).set(name, [...others, address].slice(-SENT_TO_COUNT));
      try {
        this.#replaceRoutes();
      } catch (error) {
        this.#sentTo = before;
        found = { kind: "refused", reason: messageOf(error) };
      }
    }
    this.#driver.feed({ kind: "located", id, found });
  }

  /** The data plane wipes the keys, whatever happens. What it cannot take is no reason to fall: the SA carries nothing, and says why. */
  #install(childSa: NegotiatedChildSa): void {
    try {
      this.#childSas.install(childSa);
      this.#trustStream(childSa.path);
      this.#lead(childSa);
    } catch (error) {
      const { connection, child } = childSa;
      const message = `child SA ${child} cannot be installed: ${messageOf(error)}`;
      this.#open.dataPlane.releaseSpi(childSa.inboundSpi);
      this.#observe({ name: "child-sa-failed", level: "error", connection, message, facts: { child } });
      this.#driver.feed({ kind: "terminate", connection, child, inboundSpi: childSa.inboundSpi });
    }
  }

  /** What a gateway has given us leads into the tunnel from now on. Where that is refused, the SA carries what it can. */
  #lead({ connection, remote, path }: NegotiatedChildSa): void {
    try {
      this.#client.lead(connection, { remote, gateway: path.remote.address }, this.#replaceRoutes);
    } catch (error) {
      this.#reportMachine(`${connection}: ${messageOf(error)}`);
    }
  }

  /** As long as we try to get it up again, a connection's packets do not take another way. */
  #withdraw(name: string): void {
    const connection = this.#connections.get(name);
    if (connection?.isHeld === false && (connection.isWanted || connection.isTrapped)) return;
    this.#client.withdraw(name, this.#replaceRoutes);
  }

  #reportFault(error: unknown): void {
    const message = `an internal error was contained: ${messageOf(error)}`;
    const stack = error instanceof Error ? (error.stack ?? "") : "";
    this.#onEvent({
      name: "internal-error",
      level: "error",
      connection: undefined,
      message,
      facts: { stack },
    });
  }

  /** Whoever allows what is weak sees it in the log. */
  #reportCompat(): void {
    for (const { name: connection, compat = [] } of this.#config.connections) {
      if (compat.length === 0) continue;
      const message = `${connection} allows weak algorithms for old clients: compat: ${compat.join(", ")}`;
      this.#onEvent({ name: "compat", level: "warning", connection, message, facts: { compat } });
    }
  }

  #dataPlaneFailed(error: Error): void {
    const message = `the data plane has ended, no packet moves any more: ${error.message}`;
    this.#onEvent({ name: "data-plane-failed", level: "error", connection: undefined, message, facts: {} });
  }

  #reportImpairment(text: string): void {
    const message = `misbehaving on purpose, for tests: IKEBANA_IMPAIR=${text}`;
    this.#onEvent({ name: "impaired", level: "warning", connection: undefined, message, facts: { text } });
  }

  readonly #replaceRoutes = (): void => {
    this.#routes.replace(this.#routed(this.#config.connections));
  };

  /** Peers that we were sent to are reached outside of the tunnel, as those of the configuration are. */
  #routed(connections: readonly ConnectionPolicy[]): readonly ConnectionPolicy[] {
    const elsewhere = connections.flatMap((connection) =>
      (this.#sentTo.get(connection.name) ?? []).map((address) => ({
        ...connection,
        children: [],
        remote: { ...connection.remote, address },
      })),
    );
    return [...this.#client.routed(connections), ...elsewhere];
  }

  /** What fails is told of, and keeps nothing else from being done. */
  async #attempt(action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      this.#reportMachine(messageOf(error));
    }
  }

  #reportMachine(message: string): void {
    this.#onEvent({ name: "machine-warning", level: "warning", connection: undefined, message, facts: {} });
  }

  #reportRefusal(what: string): void {
    const message = `not used: ${what}`;
    this.#onEvent({
      name: "offload-refused",
      level: "info",
      connection: undefined,
      message,
      facts: { what },
    });
  }

  /** What the kernel refuses is as good as a connection that nobody answers. */
  #openStream(ends: Parameters<OpenStream>[0]): Path | undefined {
    try {
      return this.#open.streams?.open(ends);
    } catch (error) {
      this.#reportMachine(messageOf(error));
      return undefined;
    }
  }

  /** Its peer has authenticated: ESP may come through it. */
  #trustStream({ stream }: Path): void {
    if (stream !== undefined) this.#open.streams?.trust(stream);
  }

  #transmit({ octets, path, mayFragment = true }: Extract<IkeOutput, { kind: "transmit" }>): void {
    if (path.stream !== undefined) {
      this.#open.streams?.send(path.stream, octets);
      return;
    }
    const needsMarker = path.local.port === this.#config.listen.natTraversalPort;
    const datagram = needsMarker ? encodeNonEspMarker(octets) : octets;
    const failure = this.#open.sender.send({
      octets: datagram,
      from: path.local,
      to: path.remote,
      ...(!mayFragment && { mayFragment }),
    });
    // A probe that is longer than the link takes by now is as good as lost.
    if (failure === undefined || !mayFragment) return;
    // The request stays outstanding and is sent again: a path that fails now may work then. Whoever forges addresses that we have no
    // way to fills no log.
    if (!this.#failures.take(this.#host.clock.now())) return;
    this.#onEvent({
      name: "datagram-dropped",
      level: "warning",
      connection: undefined,
      message: `cannot transmit to ${path.remote.address}:${path.remote.port}: ${failure}`,
      facts: { remote: `${path.remote.address}:${path.remote.port}`, failure },
    });
  }

  /** When it cannot leave, the next one may. */
  #keepAlive({ local, remote }: Path): void {
    this.#open.sender.send({ octets: encodeKeepalive(), from: local, to: remote });
  }

  #observe(event: IkeEvent): void {
    this.#onEvent(event);
    const connection = event.connection === undefined ? undefined : this.#connections.get(event.connection);
    if (connection === undefined) return;
    connection.observe(event);
    if (event.name === "ike-sa-deleted" && isArmed(connection) !== this.#trapped.has(event.connection!))
      this.#setTraps();
    if (!ENDS.includes(event.name) || connection.policy.remote.address === undefined) return;
    if (connection.isHeld || this.#isUp(connection)) return;
    // A child SA that goes with its IKE SA is no end of its own.
    if (event.name === "child-sa-deleted" && !this.#isEstablished(connection.policy.name)) return;
    if (connection.isWanted && event.facts.reason === "peer-restarted") {
      // It is there, and waits for us.
      this.#initiate(connection);
      return;
    }
    const moment = { fraction: this.#host.random.bytes(1)[0]! / 256, now: this.#wakefulness.now() };
    if (connection.isWanted) connection.retryLater({ ...moment, retry: () => this.#retry(connection) });
    else if (connection.isTrapped) connection.retryLater(moment);
  }

  /** The peer, or another of our SAs, may have brought the connection up meanwhile. */
  #retry(connection: ConnectionState): void {
    if (connection.isWanted && !this.#isUp(connection)) this.#initiate(connection);
  }

  /** An IKE SA stands, and each child that is configured has an SA. */
  #isUp({ policy }: ConnectionState): boolean {
    return this.#endpoint.carries(
      policy.name,
      policy.children.map(({ name }) => name),
    );
  }

  #settleLeaving(): void {
    for (const connection of this.#leaving) {
      if (this.#hasIkeSa(connection.policy.name)) continue;
      this.#leaving.delete(connection);
      connection.settleDown();
    }
  }

  /** A closed SA only repeats its last answer for a peer that did not hear it. */
  #hasIkeSa(name: string): boolean {
    return this.#endpoint.statesOf(name).some((state) => state !== "closed" && state !== "rekeyed");
  }

  #isEstablished(name: string): boolean {
    return this.#endpoint.statesOf(name).includes("established");
  }

  #unknown(name: string): Outcome & { kind: "failed" } {
    const known = [...this.#connections.keys()].join(", ");
    return {
      kind: "failed",
      reason: "unknown-connection",
      message: `no connection is named ${name}; there ${known === "" ? "are none" : `is ${known}`}`,
    };
  }
}

/** A packet may call for it. One that was taken down has none that could. */
function isArmed({ isTrapped, isHeld }: ConnectionState): boolean {
  return isTrapped && !isHeld;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The first part of the configuration that is tied to devices and sockets and differs. */
function firstFixedDifference(before: EngineConfig, after: EngineConfig): string | undefined {
  const fixed = ["listen", "tun", "offloads", "workers", "stateDirectory"] as const;
  return fixed.find((key) => JSON.stringify(before[key]) !== JSON.stringify(after[key]));
}
