import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { FailureReason, LivenessOutcome, Outcome } from "../engine/control-surface.ts";
import { formatJson } from "../log/format.ts";
import type { Daemon } from "./daemon.ts";
import { claimSocket, releaseSocket } from "./socket-file.ts";

/** No request of ours has a body to speak of. */
const BODY_LIMIT = 65_536;
/** A follower of the log that reads no more than this behind is cut off. */
const FOLLOWER_BACKLOG_LIMIT = 1_048_576;
const CONNECTION_LIMIT = 64;

/**
 * The daemon's door: HTTP and JSON on a unix socket of mode 0660.
 *
 *   GET  /v1/status                      EngineStatus
 *   GET  /v1/logs[?lines=N][&follow=true] log records, one JSON object a line
 *   POST /v1/connections/NAME/up         Outcome
 *   POST /v1/connections/NAME/down       Outcome
 *   POST /v1/connections/NAME/liveness   LivenessOutcome
 *   POST /v1/connections/NAME/rekey      Outcome: every child SA is replaced
 *   POST /v1/connections/NAME/rekey-ike  Outcome: the IKE SA is replaced
 *   POST /v1/users/NAME/disconnect       Outcome: what the user has with the gateway ends
 *   POST /v1/clients/NAME/redirect?to=HOST  Outcome: clients of the connection or user of this name are told to go elsewhere
 *   POST /v1/reload                      Outcome
 *   POST /v1/stop                        Outcome, and the daemon stops
 *
 * A refusal is a Failure with a status of the 4xx or 5xx kind.
 */
export class ControlServer {
  readonly path: string;
  readonly #server: Server;
  readonly #inode: number;
  #daemon: Daemon | undefined;

  /** Takes the socket's path, also over a dead daemon's. Throws PlatformError: EADDRINUSE when a daemon lives there, EACCES, ... */
  static async listen(path: string): Promise<ControlServer> {
    const server = createServer({ requestTimeout: 30_000, headersTimeout: 10_000, maxHeaderSize: 8192 });
    server.maxConnections = CONNECTION_LIMIT;
    const inode = await claimSocket(server, path);
    return new ControlServer({ path, server, inode });
  }

  private constructor({
    path,
    server,
    inode,
  }: { readonly path: string; readonly server: Server; readonly inode: number }) {
    this.path = path;
    this.#server = server;
    this.#inode = inode;
    server.on("request", (request, response) => void this.#answer(request, response));
  }

  /** From here on requests reach the daemon; before, they are told that it is starting. */
  serve(daemon: Daemon): void {
    this.#daemon = daemon;
  }

  /** Ends followers, lets answers that are under way out, and removes the socket. */
  async close(): Promise<void> {
    releaseSocket(this.path, this.#inode);
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeIdleConnections();
      setTimeout(() => this.#server.closeAllConnections(), 200).unref();
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on("error", () => response.destroy());
    try {
      const daemon = this.#daemon;
      const route = findRoute(request);
      if (route.kind === "refused") return refuse(response, route);
      if (!(await drainBody(request)))
        return refuse(response, { status: 413, message: "The request is too large" });
      if (daemon === undefined)
        return refuse(response, { status: 503, message: "ikebana is still starting" });
      await route.handle(daemon, response);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (!response.headersSent) refuse(response, { status: 500, message });
      else response.destroy();
    }
  }
}

type Route =
  | {
      readonly kind: "found";
      readonly handle: (daemon: Daemon, response: ServerResponse) => Promise<void> | void;
    }
  | ({ readonly kind: "refused" } & Refusal);

interface Refusal {
  readonly status: number;
  readonly message: string;
  readonly reason?: FailureReason;
  readonly allow?: string;
}

function findRoute(request: IncomingMessage): Route {
  const [path = "", query = ""] = (request.url ?? "").split("?", 2);
  const steps = decodePath(path);
  if (steps === undefined) return { kind: "refused", status: 400, message: "The path is not valid" };
  const handlers = handlersOf(steps, new URLSearchParams(query));
  if (handlers === undefined)
    return { kind: "refused", status: 404, message: `There is nothing at ${path.slice(0, 200)}` };
  if (request.method !== handlers.method) {
    const message = `${request.method} is not possible here, only ${handlers.method}`;
    return { kind: "refused", status: 405, message, allow: handlers.method };
  }
  return { kind: "found", handle: handlers.handle };
}

interface Handler {
  readonly method: "GET" | "POST";
  readonly handle: (daemon: Daemon, response: ServerResponse) => Promise<void> | void;
}

function handlersOf(steps: readonly string[], query: URLSearchParams): Handler | undefined {
  const [version, room, name, verb, ...more] = steps;
  if (version !== "v1" || more.length > 0) return undefined;
  if (room === "connections" && name !== undefined && name !== "" && verb !== undefined)
    return connectionHandler(name, verb);
  if (room === "users" && name !== undefined && name !== "" && verb === "disconnect") {
    return {
      method: "POST",
      handle: async (daemon, response) => sendOutcome(response, await daemon.disconnect(name)),
    };
  }
  if (room === "clients" && name !== undefined && name !== "" && verb === "redirect") {
    const host = query.get("to") ?? "";
    return {
      method: "POST",
      handle: async (daemon, response) => sendOutcome(response, await daemon.redirect(name, host)),
    };
  }
  if (name !== undefined) return undefined;
  switch (room) {
    case "status":
      return {
        method: "GET",
        handle: (daemon, response) => send(response, { status: 200, body: daemon.status() }),
      };
    case "logs":
      return {
        method: "GET",
        handle: (daemon, response) => sendLog(daemon, response, query),
      };
    case "reload":
      return {
        method: "POST",
        handle: async (daemon, response) => sendOutcome(response, await daemon.reload()),
      };
    case "stop":
      return { method: "POST", handle: stop };
    default:
      return undefined;
  }
}

function connectionHandler(name: string, verb: string): Handler | undefined {
  switch (verb) {
    case "up":
      return {
        method: "POST",
        handle: async (daemon, response) => sendOutcome(response, await daemon.up(name)),
      };
    case "down":
      return {
        method: "POST",
        handle: async (daemon, response) => sendOutcome(response, await daemon.down(name)),
      };
    case "rekey":
    case "rekey-ike": {
      const what = verb === "rekey" ? "children" : "ike";
      return {
        method: "POST",
        handle: async (daemon, response) => sendOutcome(response, await daemon.rekey(name, what)),
      };
    }
    case "liveness":
      return {
        method: "POST",
        handle: async (daemon, response) => sendOutcome(response, await daemon.liveness(name)),
      };
    default:
      return undefined;
  }
}

function stop(daemon: Daemon, response: ServerResponse): void {
  response.once("finish", () => daemon.stop());
  sendOutcome(response, { kind: "done", message: "ikebana is stopping" });
}

/** The last lines of the log; with `follow`, also those to come, until the reader hangs up or falls too far behind. */
function sendLog(daemon: Daemon, response: ServerResponse, query: URLSearchParams): void {
  const lines = Number(query.get("lines") ?? Number.MAX_SAFE_INTEGER);
  response.writeHead(200, { "content-type": "application/x-ndjson" });
  const recent = daemon.recentLog();
  for (const record of recent.slice(lines > 0 ? Math.max(0, recent.length - lines) : recent.length)) {
    response.write(`${formatJson(record)}\n`);
  }
  if (query.get("follow") !== "true") {
    response.end();
    return;
  }
  response.flushHeaders();
  const unsubscribe = daemon.followLog((record) => {
    response.write(`${formatJson(record)}\n`);
    if (response.writableLength > FOLLOWER_BACKLOG_LIMIT) response.destroy();
  });
  response.once("close", unsubscribe);
}

const STATUS_OF: Readonly<Record<FailureReason, number>> = {
  "unknown-connection": 404,
  "not-established": 409,
  configuration: 422,
  "authentication-failed": 502,
  certificate: 502,
  "no-proposal-chosen": 502,
  timeout: 504,
  permission: 403,
  other: 500,
};

function sendOutcome(response: ServerResponse, outcome: Outcome | LivenessOutcome): void {
  send(response, { status: outcome.kind === "failed" ? STATUS_OF[outcome.reason] : 200, body: outcome });
}

function refuse(response: ServerResponse, { status, message, reason = "other", allow }: Refusal): void {
  if (allow !== undefined) response.setHeader("allow", allow);
  // What is left of the request is not read.
  response.setHeader("connection", "close");
  send(response, { status, body: { kind: "failed", reason, message } });
}

function send(
  response: ServerResponse,
  { status, body }: { readonly status: number; readonly body: unknown },
): void {
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(text),
  });
  response.end(text);
}

/** Reads the body and forgets it. False when it is larger than any of ours. */
async function drainBody(request: IncomingMessage): Promise<boolean> {
  if (Number(request.headers["content-length"] ?? 0) > BODY_LIMIT) return false;
  let length = 0;
  for await (const chunk of request) {
    length += (chunk as Buffer).length;
    if (length > BODY_LIMIT) return false;
  }
  return true;
}

function decodePath(path: string): readonly string[] | undefined {
  try {
    return path.split("/").slice(1).map(decodeURIComponent);
  } catch {
    return undefined;
  }
}
