// The real command line over an engine that is not: started as a child process by up.test.ts. It runs from dist, as the command does.
import { runProgram } from "../../dist/src/cli/program.js";
import { processTerminal } from "../../dist/src/cli/terminal.js";
import { PlatformError } from "../../dist/src/errors/index.js";

const failures = {
  mistrusted: { reason: "authentication-failed", message: "the peer refused our key" },
  picky: { reason: "no-proposal-chosen", message: "the peer took none of aes256gcm16-prfsha384-x25519" },
  silent: { reason: "timeout", message: "192.0.2.9 does not answer" },
};

async function startEngine({ config, onEvent }) {
  if (process.env.FAKE_START_FAILS) {
    throw new PlatformError("cannot open /dev/net/tun: permission denied", { code: "EACCES" });
  }
  const say = (message, facts = {}) => {
    onEvent({ name: "engine", level: "info", connection: undefined, message, facts });
  };
  const startedAt = Date.now();
  let names = config.connections.map(({ name }) => name);
  const outcome = (name, message) => {
    if (!names.includes(name)) {
      return { kind: "failed", reason: "unknown-connection", message: `there is no connection "${name}"` };
    }
    return name in failures ? { kind: "failed", ...failures[name] } : { kind: "done", message };
  };
  say("the engine runs", { octets: new Uint8Array(32) });
  if (process.env.FAKE_CRASHES) {
    setTimeout(() => {
      throw new Error("the worker is gone");
    }, 100);
  }
  if (process.env.FAKE_DATA_PLANE_FAILS) {
    const event = { name: "data-plane-failed", level: "error", connection: undefined, facts: {} };
    setTimeout(() => onEvent({ ...event, message: "no packet moves any more" }), 100);
  }
  return {
    isMoving: () => process.env.FAKE_WORKERS_HANG === undefined,
    status: () => ({
      version: "0.1.0",
      uptimeMs: Date.now() - startedAt,
      tun: { name: config.tun.name, mtu: config.tun.mtu },
      listen: config.listen.addresses.map((address) => `${address}:${config.listen.port}`),
      connections: names.map((name) => ({ name, state: "down" })),
      ike: { received: 0, transmitted: 0, drops: {} },
      dataPlane: { drops: {} },
    }),
    up: async (name) => outcome(name, `${name} is established`),
    down: async (name) => outcome(name, `${name} is down`),
    disconnect: async (user) =>
      user === "anna"
        ? { kind: "done", message: "anna is disconnected" }
        : { kind: "failed", reason: "not-established", message: `${user} is not connected` },
    liveness: async (name) => {
      const result = outcome(name, "");
      return result.kind === "done" ? { kind: "alive", rttMs: 12.34 } : result;
    },
    reload: async (next) => {
      names = next.connections.map(({ name }) => name);
      return { kind: "done", message: `reloaded: ${names.join(", ")}` };
    },
    stop: async () => {
      say("the engine stops");
      if (process.env.FAKE_STOP_HANGS) await new Promise(() => {});
    },
  };
}

process.exit(
  await runProgram(process.argv.slice(2), {
    terminal: processTerminal(),
    startEngine,
    runDemo: async ({ json }) => {
      process.stdout.write(json ? "{}\n" : "a show\n");
      return 0;
    },
  }),
);
