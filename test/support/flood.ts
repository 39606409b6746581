import { fileURLToPath } from "node:url";
import { HostProcess } from "./host-process.ts";
import type { TestHost } from "./namespace.ts";
import { until } from "./waiting.ts";

const GENERATOR = fileURLToPath(new URL("../system/fixtures/flood.mjs", import.meta.url));

export interface FloodFacts {
  readonly kind: "requests" | "garbage";
  readonly port: number;
  /** Datagrams in a second; 0: as many as possible. */
  readonly rate: number;
}

/** Datagrams with forged sources under way from a host on the victim's segment, by a process of its own. */
export class Flood {
  readonly #process: HostProcess;
  readonly #startedAt = performance.now();

  /** Settles when the first have left. */
  static async start(
    attacker: TestHost,
    victim: { readonly host: TestHost; readonly address: string },
    { kind, port, rate }: FloodFacts,
  ): Promise<Flood> {
    const link = linkOf(attacker);
    const words = [link.index, link.mac, linkOf(victim.host).mac, victim.address, port, rate, kind];
    const process = new HostProcess(attacker, [
      globalThis.process.execPath,
      GENERATOR,
      ...words.map((word) => String(word)),
    ]);
    await until("the flood runs", () => process.out.includes("\n") || process.ending !== undefined, {
      describe: () => process.error,
    });
    if (process.ending !== undefined) throw new Error(`the flood ended: ${process.error}`);
    return new Flood(process);
  }

  private constructor(process: HostProcess) {
    this.#process = process;
  }

  /** How many have left so far, to a tenth of a second. */
  get sent(): number {
    return Number(this.#process.out.trimEnd().split("\n").at(-1));
  }

  /** Ends it. Returns how many left in a second. */
  async stop(): Promise<number> {
    const perSecond = (this.sent * 1000) / (performance.now() - this.#startedAt);
    await this.#process.stop("SIGKILL");
    return perSecond;
  }
}

function linkOf(host: TestHost): { readonly index: number; readonly mac: string } {
  const { stdout } = host.run("ip", ["-j", "link", "show", "wire0"]);
  const [{ ifindex, address }] = JSON.parse(stdout);
  return { index: ifindex, mac: address };
}
