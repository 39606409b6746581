import type { Config } from "../config/config.ts";
import { loadConfig } from "../config/load.ts";
import { resolveHosts } from "../config/resolve-hosts.ts";
import { version } from "../engine/version.ts";
import { gatewayFinder } from "../killswitch/gateway-finder.ts";
import { pinnedHosts } from "../killswitch/record.ts";
import { killSwitchWarnings } from "../killswitch/warnings.ts";
import { formatHuman, formatJson } from "../log/format.ts";
import { Logger } from "../log/logger.ts";
import type { LogRecord } from "../log/record.ts";
import { RunningDaemon, type StartEngine, warning } from "./daemon.ts";
import { ExitCode } from "./exit-code.ts";
import { ServiceReport } from "./service-report.ts";
import type { Terminal } from "./terminal.ts";

/** How often the log tells what its rate limit has left out. */
const FLUSH_INTERVAL_MS = 10_000;
/** Deletes are answered or given up long before; then we end without what is left. */
const STOP_LIMIT_MS = 15_000;

export interface UpOptions {
  readonly configFile: string;
  readonly terminal: Terminal;
  readonly startEngine: StartEngine;
  /** Gives up the rights that only a start needs: returns in a process that has none to give up. Throws what keeps it from that. */
  readonly shedPrivileges: ((config: Config) => Promise<void>) | undefined;
}

/** `ikebana up`: the daemon with the connections and the gateway of a configuration file. */
export async function runUp({
  configFile,
  terminal,
  startEngine,
  shedPrivileges,
}: UpOptions): Promise<ExitCode> {
  let known: Config | undefined;
  const readConfig = async () => {
    const resolved = await resolveHosts(loadConfig(configFile), known, pinnedHosts(configFile));
    known = { ...resolved, gatewayFinder: gatewayFinder(configFile) };
    return { ...known, warnings: [...known.warnings, ...(await killSwitchWarnings(configFile, known))] };
  };
  await shedPrivileges?.(loadConfig(configFile));
  return runDaemon({ readConfig, terminal, startEngine });
}

interface ForegroundOptions {
  readonly readConfig: () => Promise<Config>;
  readonly terminal: Terminal;
  readonly startEngine: StartEngine;
  /** What is to be done once it runs; whoever returns a reason ends it. */
  readonly whenReady?: (daemon: RunningDaemon) => Promise<StopReason | undefined>;
}

/**
 * Runs the daemon in the foreground until SIGTERM, SIGINT or a stop through the socket; SIGHUP reloads. A second SIGTERM or SIGINT
 * ends the process at once. Throws what keeps it from starting.
 */
export async function runDaemon({
  readConfig,
  terminal,
  startEngine,
  whenReady,
}: ForegroundOptions): Promise<ExitCode> {
  const report = ServiceReport.begin();
  const config = await readConfig();
  const logger = startLogger(config, terminal);
  const stop = new StopRequest();
  terminal.outliveReader();
  const flushing = setInterval(() => logger.flush(), FLUSH_INTERVAL_MS);
  flushing.unref();
  stop.listenToSignals();
  try {
    announceStart(config, logger);
    const daemon = await RunningDaemon.start({
      config,
      readConfig,
      logger,
      startEngine,
      onReload: (what) => (what === "begins" ? report.reloading() : report.reloaded()),
      onStopRequest: () => stop.request({ reason: "asked through the control socket", code: ExitCode.DONE }),
      onDataPlaneFailure: () =>
        stop.request({ reason: "the data plane has ended", code: ExitCode.WRONG_USE }),
    });
    const reload = () => void daemon.reload();
    process.on("SIGHUP", reload);
    announceReady(config, logger);
    report.ready(readyText(config), () => daemon.isMoving());
    void whenReady?.(daemon).then((reason) => {
      if (reason !== undefined) stop.request(reason);
    });
    const { reason, code } = await stop.requested;
    report.stopping(reason);
    logger.announce({
      name: "stopping",
      level: "info",
      connection: undefined,
      message: `stopping: ${reason}`,
      facts: {},
    });
    const isClean = await stopWithin(daemon, STOP_LIMIT_MS, logger);
    process.off("SIGHUP", reload);
    return isClean ? code : ExitCode.WRONG_USE;
  } finally {
    report.end();
    stop.ignoreSignals();
    clearInterval(flushing);
    logger.flush();
  }
}

function startLogger(config: Config, terminal: Terminal): Logger {
  const logger = new Logger({ level: config.log.level });
  const format = (record: LogRecord) =>
    config.log.format === "json"
      ? formatJson(record)
      : formatHuman(record, { colour: terminal.outHasColour });
  logger.subscribe((record) => terminal.out(`${format(record)}\n`));
  return logger;
}

function announceStart(config: Config, logger: Logger): void {
  logger.announce({
    name: "starting",
    level: "info",
    connection: undefined,
    message: `ikebana ${version()} is starting with ${config.file}`,
    facts: { version: version(), file: config.file, pid: process.pid },
  });
  for (const message of config.warnings) logger.announce(warning(message));
}

function announceReady(config: Config, logger: Logger): void {
  logger.announce({
    name: "ready",
    level: "info",
    connection: undefined,
    message: readyText(config),
    facts: { socket: config.socket },
  });
}

function readyText({ connections }: Config): string {
  const names = connections.map(({ name }) => name);
  return `ready: ${names.length === 1 ? "connection" : "connections"} ${names.join(", ")}`;
}

async function stopWithin(daemon: RunningDaemon, limitMs: number, logger: Logger): Promise<boolean> {
  const failed = (message: string) => {
    logger.announce({ name: "stop-failed", level: "error", connection: undefined, message, facts: {} });
    return false;
  };
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(
      () => resolve(failed(`stopping took longer than ${limitMs / 1000} s; giving up`)),
      limitMs,
    );
  });
  const stopped = daemon.stop().then(
    () => true,
    (error: unknown) => failed(`stopping failed: ${error instanceof Error ? error.message : String(error)}`),
  );
  try {
    return await Promise.race([stopped, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Why and with what the daemon ends: the first request counts. */
class StopRequest {
  readonly requested: Promise<StopReason>;
  #resolve: (reason: StopReason) => void = () => {};
  #signalCount = 0;

  constructor() {
    this.requested = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  request(reason: StopReason): void {
    this.#resolve(reason);
  }

  listenToSignals(): void {
    for (const signal of STOP_SIGNALS) process.on(signal, this.#onSignal);
    process.on("uncaughtException", this.#onUncaught);
  }

  ignoreSignals(): void {
    for (const signal of STOP_SIGNALS) process.off(signal, this.#onSignal);
    process.off("uncaughtException", this.#onUncaught);
  }

  readonly #onSignal = (signal: NodeJS.Signals) => {
    this.#signalCount += 1;
    // The shell's convention: 128 and the signal's number.
    if (this.#signalCount > 1) process.exit(signal === "SIGINT" ? 130 : 143);
    this.request({ reason: signal, code: ExitCode.DONE });
  };

  /** A fault of ours: end tidily rather than leave routes and devices behind. */
  readonly #onUncaught = (error: Error) => {
    process.stderr.write(`ikebana: internal error: ${error.stack ?? error.message}\n`);
    this.request({ reason: "an internal error", code: ExitCode.WRONG_USE });
  };
}

interface StopReason {
  readonly reason: string;
  readonly code: ExitCode;
}

const STOP_SIGNALS = ["SIGINT", "SIGTERM"] as const;
