import { fileURLToPath } from "node:url";
import { LineProcess } from "../line-process.ts";
import type { TestHost } from "../namespace.ts";
import type { CrowdArgument, CrowdCommand, GuessReport } from "./process.ts";

const PROCESS = fileURLToPath(new URL("../../../dist/test/support/crowd/process.js", import.meta.url));

/** Many clients of one gateway, in one process on a test host. They are named by their places in the argument. */
export interface Crowd {
  /** What each was told that did not come in, "" from the others. */
  up(clients: readonly number[]): Promise<readonly string[]>;
  down(clients: readonly number[]): Promise<void>;
  guess(facts: { readonly count: number; readonly seconds: number }): Promise<GuessReport>;
  /** What the gateway has given, client by client. */
  addresses(): Promise<readonly (readonly string[])[]>;
  /** Whose session was resumed, and carries a child SA. */
  resumed(): Promise<readonly number[]>;
  stop(): Promise<void>;
}

/** Gives the host the clients' addresses, and settles when the clients are ready. */
export async function startCrowd(host: TestHost, argument: CrowdArgument): Promise<Crowd> {
  const addresses = [...new Set(argument.clients.map(({ address }) => address))];
  const lines = addresses.map((address) => `addr add ${address}/32 dev wire0\n`).join("");
  const { status, stderr } = host.run("ip", ["-batch", "-"], { input: lines });
  if (status !== 0) throw new Error(`the crowd's addresses: ${stderr}`);
  const process = new LineProcess(host, [globalThis.process.execPath, PROCESS, JSON.stringify(argument)]);
  const ask = (command: CrowdCommand): Promise<unknown> => process.ask(command);
  try {
    await process.read();
  } catch (error) {
    await process.stop();
    throw error;
  }
  return {
    up: async (clients) => (await ask({ kind: "up", clients })) as readonly string[],
    down: async (clients) => {
      await ask({ kind: "down", clients });
    },
    guess: async (facts) => (await ask({ kind: "guess", ...facts })) as GuessReport,
    addresses: async () => (await ask({ kind: "addresses" })) as readonly (readonly string[])[],
    resumed: async () => (await ask({ kind: "resumed" })) as readonly number[],
    stop: () => process.stop(),
  };
}
