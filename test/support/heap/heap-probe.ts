import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../waiting.ts";

const PRELOAD = new URL("./preload.mjs", import.meta.url).href;

/** What one worker thread of a daemon has allocated. */
export interface ThreadAllocations {
  readonly url: string;
  /** What was allocated, estimated from samples, whether it was kept or not. */
  readonly sites: readonly { readonly octets: number; readonly stack: string }[];
}

export function allocatedBy({ sites }: ThreadAllocations): number {
  return sites.reduce((sum, { octets }) => sum + octets, 0);
}

/** The sites that allocate most, a line each. */
export function describeSites({ sites }: ThreadAllocations): string {
  const most = [...sites].sort((a, b) => b.octets - a.octets).slice(0, 12);
  return most.map(({ octets, stack }) => `${octets} octets in ${stack}`).join("\n");
}

/** Looks into the heaps of a daemon's worker threads, from outside: the daemon's own code knows nothing of it. */
export class HeapProbe {
  readonly #directory = mkdtempSync(join(tmpdir(), "heap-probe-"));
  readonly #file = join(this.#directory, "answer");

  /** What the daemon's process needs in its environment. */
  get environment(): Readonly<Record<string, string>> {
    return { NODE_OPTIONS: `--import ${PRELOAD}`, HEAP_PROBE_FILE: this.#file };
  }

  /** Weighs the heaps: `grown` counts from here. */
  async weigh(daemon: Signalled): Promise<void> {
    await this.#ask(daemon);
  }

  /** By how many octets what each thread keeps has grown, garbage collected before either look. From here on allocations are sampled. */
  async sample(daemon: Signalled): Promise<readonly number[]> {
    return (await this.#ask(daemon)) as readonly number[];
  }

  /** What each thread has allocated since `sample`. */
  async end(daemon: Signalled): Promise<readonly ThreadAllocations[]> {
    return (await this.#ask(daemon)) as readonly ThreadAllocations[];
  }

  close(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async #ask(daemon: Signalled): Promise<unknown> {
    rmSync(this.#file, { force: true });
    daemon.signal("SIGUSR2");
    await until("the heap probe answers", () => existsSync(this.#file));
    return JSON.parse(readFileSync(this.#file, "utf8"));
  }
}

interface Signalled {
  signal(signal: NodeJS.Signals): void;
}
