import { type IncomingMessage, request } from "node:http";
import type { LivenessOutcome, Outcome } from "../engine/control-surface.ts";
import type { EngineStatus } from "../engine/status.ts";
import { PlatformError } from "../errors/index.ts";
import type { LogRecord } from "../log/record.ts";

/** How long an answer may take that needs no peer. */
const ANSWER_TIMEOUT_MS = 10_000;
const ANSWER_LIMIT = 64 * 1_048_576;

/**
 * Talks to a running daemon. Every method throws PlatformError: NOT_RUNNING when nobody listens, EACCES when we may not ask,
 * ETIMEDOUT when the daemon does not answer.
 */
export class ControlClient {
  readonly #path: string;

  constructor(socketPath: string) {
    this.#path = socketPath;
  }

  async status(): Promise<EngineStatus> {
    const body = await this.#call({ method: "GET", path: "/v1/status", timeoutMs: ANSWER_TIMEOUT_MS });
    if (isFailure(body)) throw new PlatformError(body.message, { code: "CONTROL" });
    return body as EngineStatus;
  }

  /** Settles when the connection is established or has failed, which may take as long as the peer lets us wait. */
  up(name: string): Promise<Outcome> {
    return this.#post(`/v1/connections/${encodeURIComponent(name)}/up`, undefined);
  }

  down(name: string): Promise<Outcome> {
    return this.#post(`/v1/connections/${encodeURIComponent(name)}/down`, undefined);
  }

  disconnect(user: string): Promise<Outcome> {
    return this.#post(`/v1/users/${encodeURIComponent(user)}/disconnect`, undefined);
  }

  redirect(name: string, host: string): Promise<Outcome> {
    const to = new URLSearchParams({ to: host });
    return this.#post(`/v1/clients/${encodeURIComponent(name)}/redirect?${to}`, undefined);
  }

  /** Settles when the SAs are replaced, or cannot be. */
  rekey(name: string, what: "children" | "ike"): Promise<Outcome> {
    const verb = what === "ike" ? "rekey-ike" : "rekey";
    return this.#post(`/v1/connections/${encodeURIComponent(name)}/${verb}`, undefined);
  }

  async liveness(name: string): Promise<LivenessOutcome> {
    const path = `/v1/connections/${encodeURIComponent(name)}/liveness`;
    return (await this.#call({ method: "POST", path, timeoutMs: undefined })) as LivenessOutcome;
  }

  reload(): Promise<Outcome> {
    return this.#post("/v1/reload", undefined);
  }

  stop(): Promise<Outcome> {
    return this.#post("/v1/stop", ANSWER_TIMEOUT_MS);
  }

  /** Hands over the last `lines` records (at most 1000); with `follow`, goes on until the daemon ends or the signal is raised. */
  async logs({ lines: lineCount, follow, onRecord, signal }: LogRequest): Promise<void> {
    const path = `/v1/logs?lines=${lineCount}&follow=${follow}`;
    const response = await this.#open({ method: "GET", path, timeoutMs: ANSWER_TIMEOUT_MS }, signal);
    if (response.statusCode !== 200) {
      const body = await readJson(response);
      throw new PlatformError(isFailure(body) ? body.message : "the log cannot be read", { code: "CONTROL" });
    }
    let rest = "";
    response.setEncoding("utf8");
    try {
      for await (const chunk of response) {
        const lines = (rest + String(chunk)).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) onRecord(JSON.parse(line) as LogRecord);
      }
    } catch (error) {
      // The daemon ended, or we were told to stop.
      if (!follow) throw error;
    }
  }

  async #post(path: string, timeoutMs: number | undefined): Promise<Outcome> {
    return (await this.#call({ method: "POST", path, timeoutMs })) as Outcome;
  }

  async #call(call: Call): Promise<unknown> {
    return readJson(await this.#open(call));
  }

  #open({ method, path, timeoutMs }: Call, signal?: AbortSignal): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const outgoing = request({
        socketPath: this.#path,
        method,
        path,
        agent: false,
        ...(signal && { signal }),
      });
      if (timeoutMs !== undefined) {
        outgoing.setTimeout(timeoutMs, () => {
          outgoing.destroy(Object.assign(new Error("no answer"), { code: "ETIMEDOUT" }));
        });
      }
      outgoing.once("response", (response) => {
        outgoing.setTimeout(0);
        resolve(response);
      });
      outgoing.once("error", (error) => reject(explain(error, this.#path)));
      outgoing.end();
    });
  }
}

export interface LogRequest {
  readonly lines: number;
  readonly follow: boolean;
  readonly onRecord: (record: LogRecord) => void;
  readonly signal?: AbortSignal;
}

interface Call {
  readonly method: "GET" | "POST";
  readonly path: string;
  /** Undefined waits for as long as the daemon lives. */
  readonly timeoutMs: number | undefined;
}

async function readJson(response: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of response) {
      length += (chunk as Buffer).length;
      if (length > ANSWER_LIMIT) throw new Error("the answer is too large");
      chunks.push(chunk as Buffer);
    }
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch (cause) {
    throw new PlatformError(`the daemon's answer makes no sense: ${(cause as Error).message}`, {
      code: "CONTROL",
      cause,
    });
  }
}

function isFailure(body: unknown): body is { readonly kind: "failed"; readonly message: string } {
  return typeof body === "object" && body !== null && "kind" in body && body.kind === "failed";
}

function explain(error: NodeJS.ErrnoException, path: string): PlatformError {
  switch (error.code) {
    case "ENOENT":
      return new PlatformError(`ikebana is not running (no socket at ${path})`, {
        code: "NOT_RUNNING",
        cause: error,
      });
    case "ECONNREFUSED":
    case "ENOTSOCK":
      return new PlatformError(`ikebana is not running (nobody answers at ${path})`, {
        code: "NOT_RUNNING",
        cause: error,
      });
    case "EACCES":
    case "EPERM":
      return new PlatformError(
        `not allowed to use ${path}: try as root, or as a member of the group that owns it`,
        {
          code: "EACCES",
          cause: error,
        },
      );
    case "ETIMEDOUT":
      return new PlatformError(`ikebana does not answer at ${path}`, { code: "ETIMEDOUT", cause: error });
    default:
      return new PlatformError(`ikebana broke off the conversation at ${path} (${error.message})`, {
        code: error.code ?? "CONTROL",
        cause: error,
      });
  }
}
