import { once } from "node:events";
import { PlatformError } from "../errors/index.ts";
import { type NamespaceProcess, spawnInNewNamespace } from "../platform/namespaces.ts";
import { fileBeside, lastWords } from "./processes.ts";
import type {
  AnswerOf,
  ArgumentOf,
  CommandName,
  SideCommands,
  SideMessage,
  SideRequest,
} from "./side-commands.ts";

type Progress = Extract<SideMessage, { kind: "progress" }>;

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** The supervisor's hold on one of the machines. */
export class SideProcess {
  readonly pid: number;
  onProgress: ((progress: Progress) => void) | undefined;
  readonly #name: string;
  readonly #process: NamespaceProcess["child"];
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  #end: PlatformError | undefined;

  static async start(name: string): Promise<SideProcess> {
    const command = [process.execPath, fileBeside(import.meta.url, "side")];
    const started = await spawnInNewNamespace(command, {
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      serialization: "advanced",
    });
    return new SideProcess(name, started);
  }

  private constructor(name: string, { child, pid }: NamespaceProcess) {
    this.#name = name;
    this.#process = child;
    this.pid = pid;
    const words = lastWords(child.stderr!);
    child.on("message", (message: SideMessage) => this.#hear(message));
    child.once("exit", (code, signal) => {
      const why = words();
      this.#end = new PlatformError(`the ${name} ended (${signal ?? code})${why === "" ? "" : `:\n${why}`}`);
      for (const { reject } of this.#waiting.values()) reject(this.#end);
      this.#waiting.clear();
    });
  }

  /** Rejects with what the machine says, or with how it ended. */
  ask<Name extends CommandName>(
    name: Name,
    ...[argument]: Parameters<SideCommands[Name]>
  ): Promise<AnswerOf<Name>> {
    if (this.#end !== undefined) return Promise.reject(this.#end);
    this.#lastId++;
    const request: SideRequest = { id: this.#lastId, name, argument: argument as ArgumentOf<Name> };
    return new Promise((resolve, reject) => {
      this.#waiting.set(request.id, { resolve: resolve as (value: unknown) => void, reject });
      this.#process.send(request);
    });
  }

  /** Ends it whatever it does, and settles when it is gone, with its namespace and all that was in it. */
  async kill(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const gone = once(this.#process, "exit");
    this.#process.kill("SIGKILL");
    await gone;
  }

  #hear(message: SideMessage): void {
    if (message.kind === "progress") {
      this.onProgress?.(message);
      return;
    }
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (message.kind === "answer") waiting?.resolve(message.value);
    else waiting?.reject(new PlatformError(`${this.#name}: ${message.message}`, { code: message.code }));
  }
}
