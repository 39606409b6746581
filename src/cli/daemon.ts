import type { Config } from "../config/config.ts";
import type { GatewayLogins } from "../config/gateway-logins.ts";
import { observeFiles } from "../config/observe-files.ts";
import type { Daemon } from "../control/daemon.ts";
import { ControlServer } from "../control/server.ts";
import type { EngineControl, Outcome } from "../engine/control-surface.ts";
import { PolicyError } from "../errors/index.ts";
import type { Logger } from "../log/logger.ts";
import type { LogEvent } from "../log/record.ts";

/** An engine as the daemon drives it. */
export interface RunningEngine extends EngineControl {
  /** Whether each of the threads that move packets has gone round since the last call. */
  isMoving(): boolean;
  /** Deletes what was negotiated, restores routes, closes devices and sockets. */
  stop(): Promise<void>;
}

export type StartEngine = (options: {
  readonly config: Config;
  readonly onEvent: (event: LogEvent) => void;
}) => Promise<RunningEngine>;

export interface DaemonOptions {
  readonly config: Config;
  /** Reads the configuration again, for a reload; throws what is wrong with it. */
  readonly readConfig: () => Promise<Config>;
  readonly logger: Logger;
  readonly startEngine: StartEngine;
  /** Told when a reload begins and when it is over, whatever came of it. */
  readonly onReload?: (what: "begins" | "is-over") => void;
  /** Called when somebody asks through the socket that the process ends. */
  readonly onStopRequest: () => void;
  /** Called when no packet moves any more: whoever watches over the process can only start it again once it has ended. */
  readonly onDataPlaneFailure: () => void;
}

/** One engine, its control socket and its log. */
export class RunningDaemon {
  readonly #engine: RunningEngine;
  readonly #server: ControlServer;
  readonly #logger: Logger;
  readonly #readConfig: DaemonOptions["readConfig"];
  readonly #onReload: NonNullable<DaemonOptions["onReload"]>;
  #config: Config;
  #reloading: Promise<Outcome> | undefined;

  /**
   * Claims the socket first: where another daemon lives, nothing of it is touched. Throws PlatformError or PolicyError, having undone
   * what it did.
   */
  static async start(options: DaemonOptions): Promise<RunningDaemon> {
    const { config, logger, startEngine } = options;
    const server = await ControlServer.listen(config.socket);
    try {
      const engine = await startEngine({
        config,
        onEvent: (event) => {
          logger.log(event);
          if (event.name === "data-plane-failed") options.onDataPlaneFailure();
        },
      });
      return new RunningDaemon({ ...options, server, engine });
    } catch (error) {
      await server.close();
      throw error;
    }
  }

  private constructor(
    options: DaemonOptions & { readonly server: ControlServer; readonly engine: RunningEngine },
  ) {
    this.#engine = options.engine;
    this.#server = options.server;
    this.#logger = options.logger;
    this.#readConfig = options.readConfig;
    this.#onReload = options.onReload ?? (() => {});
    this.#config = options.config;
    this.#server.serve(this.#surface(options.onStopRequest));
    this.#watchFiles();
  }

  /** Brings a connection up, as somebody at the socket could. */
  up(name: string): Promise<Outcome> {
    return this.#engine.up(name);
  }

  /** Whether packets move, where there are any. */
  isMoving(): boolean {
    return this.#engine.isMoving();
  }

  async stop(): Promise<void> {
    try {
      await this.#engine.stop();
    } finally {
      await this.#server.close();
    }
  }

  /** Reads the file again; one reload at a time, and whoever asks meanwhile gets the answer of the one under way. */
  reload(): Promise<Outcome> {
    this.#reloading ??= this.#reload().finally(() => {
      this.#reloading = undefined;
    });
    return this.#reloading;
  }

  async #reload(): Promise<Outcome> {
    this.#onReload("begins");
    const outcome = await this.#tryReload();
    this.#onReload("is-over");
    this.#logger.announce({
      name: outcome.kind === "done" ? "configuration-reloaded" : "configuration-refused",
      level: outcome.kind === "done" ? "info" : "error",
      connection: undefined,
      // The answer to whoever asked has every line; the log has the first.
      message: outcome.message.split("\n", 1)[0] ?? "",
      facts: { file: this.#config.file },
    });
    return outcome;
  }

  async #tryReload(): Promise<Outcome> {
    try {
      const config = await this.#readConfig();
      for (const message of config.warnings) this.#logger.announce(warning(message));
      const fixed = fixedKeys(this.#config, config);
      if (fixed.length > 0) {
        const message = `${fixed.join(", ")} cannot change while ikebana runs; the old configuration stays`;
        return { kind: "failed", reason: "configuration", message };
      }
      const outcome = await this.#engine.reload(config);
      if (outcome.kind === "done") {
        this.#config = config;
        this.#watchFiles();
        this.#logger.setLevel(config.log.level);
      }
      return outcome;
    } catch (error) {
      const message = `the old configuration stays: ${error instanceof Error ? error.message : String(error)}`;
      return { kind: "failed", reason: error instanceof PolicyError ? "configuration" : "other", message };
    }
  }

  #watchFiles(): void {
    const { logins, connections } = this.#config;
    const announce = (name: string, level: LogEvent["level"], message: string) =>
      this.#logger.announce({ name, level, connection: undefined, message, facts: {} });
    observeFiles(connections, {
      onProblem: (message) =>
        announce("certificates-refused", "error", `the old certificates stay: ${message}`),
      onChange: () => announce("certificates-changed", "info", "certificates or CRLs have changed"),
    });
    logins?.observe({
      onProblem: (message) => announce("users-refused", "error", `the users stay as they were: ${message}`),
      onChange: () => {
        announce("users-changed", "info", "the users file has changed");
        this.#dropStrangers(logins);
      },
    });
  }

  /** Whoever may not log in any more does not stay either. */
  #dropStrangers(logins: GatewayLogins): void {
    const connected = this.#engine.status().connections.flatMap(({ clients = [] }) => clients);
    const users = new Set(connected.flatMap(({ user }) => user ?? []));
    for (const user of users) if (logins.faultOf(user) !== undefined) void this.#engine.disconnect(user);
  }

  #surface(onStopRequest: () => void): Daemon {
    return {
      status: () => this.#engine.status(),
      up: (name) => this.#engine.up(name),
      down: (name) => this.#engine.down(name),
      liveness: (name) => this.#engine.liveness(name),
      rekey: (name, what) => this.#engine.rekey(name, what),
      disconnect: (user) => this.#engine.disconnect(user),
      redirect: (name, host) => this.#engine.redirect(name, host),
      reload: () => this.reload(),
      stop: onStopRequest,
      recentLog: () => this.#logger.recent(),
      followLog: (listener) => this.#logger.subscribe(listener),
    };
  }
}

export function warning(message: string): LogEvent {
  return { name: "configuration-warning", level: "warning", connection: undefined, message, facts: {} };
}

/** What is open already and would have to be opened anew. */
function fixedKeys(before: Config, after: Config): readonly string[] {
  const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);
  return [
    ...(same(before.listen, after.listen) ? [] : ["listen"]),
    ...(same(before.tun.name, after.tun.name) ? [] : ["tun"]),
    ...(same(before.tun.mtu, after.tun.mtu) ? [] : ["mtu"]),
    ...(same(before.offloads, after.offloads) ? [] : ["offloads"]),
    ...(same(before.workers, after.workers) ? [] : ["workers"]),
    ...(same(before.socket, after.socket) ? [] : ["socket"]),
    ...(same(before.stateDirectory, after.stateDirectory) ? [] : ["state"]),
  ];
}
