import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../waiting.ts";

const PRELOAD = new URL("./scales.mjs", import.meta.url).href;

/** Weighs what a daemon's main thread keeps, from outside: the daemon's own code knows nothing of it. */
export class Scales {
  readonly #directory = mkdtempSync(join(tmpdir(), "heap-scales-"));
  readonly #file = join(this.#directory, "answer");

  /** What the daemon's process needs in its environment. */
  get environment(): Readonly<Record<string, string>> {
    return { NODE_OPTIONS: `--import ${PRELOAD}`, HEAP_SCALES_FILE: this.#file };
  }

  /** Octets of its heap and of buffers outside of it, garbage collected. */
  async weigh(daemon: { signal(signal: NodeJS.Signals): void }): Promise<number> {
    rmSync(this.#file, { force: true });
    daemon.signal("SIGUSR2");
    await until("the scales have settled", () => existsSync(this.#file));
    return Number(readFileSync(this.#file, "utf8"));
  }

  close(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
