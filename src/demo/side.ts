import { createSocket } from "node:dgram";
import { Engine } from "../engine/engine.ts";
import { createLinuxHost } from "../engine/linux-host.ts";
import { PlatformError } from "../errors/index.ts";
import { IcmpEcho } from "../platform/icmp-echo.ts";
import { LinuxNetwork } from "../platform/network/linux-network.ts";
import { createLinuxSystemCalls } from "../platform/system-calls/linux-system-calls.ts";
import { pingSeries } from "./ping-series.ts";
import type { SideHandlers, SideMessage, SideRequest } from "./side-commands.ts";
import { sendFor, TransferServer } from "./tcp-transfer.ts";

// One of the two machines: a process in a network namespace of its own, with an engine, that does what the supervisor asks.
// Everything it makes ends with it.

let engine: Engine | undefined;
let server: TransferServer | undefined;

const network = new LinuxNetwork(createLinuxSystemCalls());

const handlers: SideHandlers = {
  async start({ config, innerAddresses }) {
    for (const address of innerAddresses) {
      network.addAddress("lo", `${address}/${address.includes(":") ? 128 : 32}`);
    }
    engine = await Engine.start({ config, host: createLinuxHost(), onEvent: () => {} });
    return engine.status().tun.name;
  },

  async up(name) {
    const outcome = await running().up(name);
    if (outcome.kind === "failed") throw new PlatformError(outcome.message, { code: outcome.reason });
  },

  async down(name) {
    const outcome = await running().down(name);
    if (outcome.kind === "failed") throw new PlatformError(outcome.message, { code: outcome.reason });
  },

  status: () => running().status(),

  async ping({ from, to, payload, ...pace }) {
    const pinger = new IcmpEcho({ destination: to, source: from, payload });
    try {
      const startedAt = performance.now();
      const onSent = (amount: number): void =>
        send({ kind: "progress", what: "ping", amount, ms: performance.now() - startedAt });
      return await pingSeries({ pinger, ...pace, onSent });
    } finally {
      pinger.close();
    }
  },

  decoy({ address, port, octets }) {
    const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
    return new Promise((resolve, reject) => {
      socket.send(octets, port, address, (error) => {
        socket.close();
        if (error === null) resolve();
        else reject(error);
      });
    });
  },

  async serve(address) {
    server = await TransferServer.listen(address);
    return server.port;
  },

  async received() {
    if (server === undefined) throw new RangeError("nobody was told to serve");
    const end = await server.received;
    server.close();
    return end;
  },

  transfer: ({ from, to, port, durationMs, marker }) =>
    sendFor({
      to: { address: to, port },
      from,
      durationMs,
      marker,
      onProgress: ({ octets, ms }) => send({ kind: "progress", what: "transfer", amount: octets, ms }),
    }),

  async stop() {
    await engine?.stop();
    engine = undefined;
    return network.links().map(({ name }) => name);
  },
};

function running(): Engine {
  if (engine === undefined) throw new RangeError("the engine does not run");
  return engine;
}

async function answer({ id, name, argument }: SideRequest): Promise<void> {
  try {
    const value = await handlers[name](argument as never);
    send({ kind: "answer", id, value });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    send({ kind: "failure", id, message, code });
  }
}

function send(message: SideMessage): void {
  if (process.connected) process.send?.(message);
}

// Ctrl-C reaches the whole process group; the supervisor decides what it means.
process.on("SIGINT", () => {});
process.on("disconnect", () => process.exit());
process.on("message", (request: SideRequest) => void answer(request));
