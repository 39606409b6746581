import { PlatformError } from "../../../errors/index.ts";
import type { Ground } from "../ground.ts";
import { findPrograms, type RunningProgram } from "../program.ts";
import { waitUntil } from "../wait.ts";

const PORT = 5201;

/** What iperf3 reports at the end of a run, as far as we look at it. */
export interface LoadReport {
  /** At the receiver. */
  readonly octets: number;
  readonly bitsPerSecond: number;
  readonly seconds: number;
  /** Of UDP: sent, and of these not received. */
  readonly packets: number;
  readonly lostPackets: number;
  /** Of UDP: how much the time between sending and receiving varies from packet to packet, smoothed as in RFC 3550 section 6.4.1. */
  readonly jitterMs: number;
}

/** iperf3 between the inner addresses, from the client to the gateway unless said otherwise. */
export class LoadGenerator {
  readonly #ground: Ground;
  readonly #port: number;
  readonly #program: string;
  #server: RunningProgram | undefined;
  #runs = 0;

  /** `port`: its own, for one that runs beside another. Throws PlatformError when there is no iperf3. */
  constructor(ground: Ground, port = PORT) {
    this.#ground = ground;
    this.#port = port;
    this.#program = findPrograms([{ program: "iperf3", package: "iperf3" }])[0]!;
  }

  /** Streams at once, one unless said otherwise; `isReverse`: from the gateway to the client. */
  tcp(
    seconds: number,
    { streams = 1, isReverse = false }: { readonly streams?: number; readonly isReverse?: boolean } = {},
  ): Promise<LoadReport> {
    // It takes whole seconds.
    const words = [
      "-t",
      String(Math.max(1, Math.ceil(seconds))),
      "-P",
      String(streams),
      ...(isReverse ? ["-R"] : []),
    ];
    return this.#run(words, seconds);
  }

  /** UDP at a steady rate for about `seconds`. */
  udp({
    packetsPerSecond,
    payloadLength,
    seconds,
  }: {
    readonly packetsPerSecond: number;
    readonly payloadLength: number;
    readonly seconds: number;
  }): Promise<LoadReport> {
    const bitsPerSecond = Math.round(packetsPerSecond * payloadLength * 8);
    const count = Math.max(1, Math.round(packetsPerSecond * seconds));
    const words = ["-u", "-l", String(payloadLength), "-b", String(bitsPerSecond), "-k", String(count)];
    return this.#run(words, seconds);
  }

  async #run(words: readonly string[], seconds: number): Promise<LoadReport> {
    const { client, gateway } = this.#ground;
    await this.#listen();
    const { out } = await client.run(
      [
        ...[this.#program, "-c", gateway.plan.inner, "-B", client.plan.inner, "-p", String(this.#port)],
        ...["-J", "--connect-timeout", "5000", ...words],
      ],
      // A sender that the tunnel slows down needs longer than it should.
      { timeoutMs: (seconds * 6 + 20) * 1000 },
    );
    return readReport(out);
  }

  /** The server says that it listens before each run; until then it is busy with the one before. */
  async #listen(): Promise<void> {
    const { gateway } = this.#ground;
    const words = ["-s", "-B", gateway.plan.inner, "-p", String(this.#port), "--forceflush"];
    this.#server ??= gateway.start("iperf3", [this.#program, ...words]);
    const server = this.#server;
    const listenings = (): number => server.out.split("Server listening").length - 1;
    await waitUntil("iperf3 listens", () => listenings() > this.#runs || server.hasEnded);
    if (server.hasEnded) throw new PlatformError(`iperf3 does not listen: ${server.lastWords}`);
    this.#runs++;
  }
}

/** Reads what `iperf3 -J` prints. Throws PlatformError with what iperf3 complains about. */
export function readReport(text: string): LoadReport {
  const report = JSON.parse(text === "" ? "{}" : text);
  const received = report.end?.sum_received ?? report.end?.sum;
  if (received === undefined || report.error !== undefined) {
    throw new PlatformError(`iperf3: ${report.error ?? "no report"}`);
  }
  const sum = report.end.sum ?? {};
  return {
    octets: received.bytes,
    bitsPerSecond: received.bits_per_second,
    seconds: received.seconds,
    packets: sum.packets ?? 0,
    lostPackets: sum.lost_packets ?? 0,
    jitterMs: sum.jitter_ms ?? 0,
  };
}
