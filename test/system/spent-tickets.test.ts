import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createSites } from "../interop/sites.ts";
import { type IkebanaDaemon, startIkebana } from "../support/ikebana.ts";
import { requireRoot } from "../support/namespace.ts";
import { until } from "../support/waiting.ts";

const WHAT = "tickets that are shown to a gateway again";

const ENDS = {
  left: { address: "192.0.2.1", id: "a.example.org", inside: "10.1.0.0/24" },
  right: { address: "192.0.2.2", id: "b.example.org", inside: "10.2.0.0/24" },
} as const;

/** The left side calls. */
function configuration(side: "left" | "right"): string {
  const [us, peer] = side === "left" ? [ENDS.left, ENDS.right] : [ENDS.right, ENDS.left];
  return `socket: ikebana.sock
state: state
log: { level: debug }
connections:
  office:
    local: { address: ${us.address}, id: ${us.id}, psk: "correct horse battery staple" }
    remote: { address: ${peer.address}, id: ${peer.id} }
    start: ${side === "left" ? "start" : "respond"}
    pathMtu: kernel
    children: { lan: { local: ${us.inside}, remote: ${peer.inside} } }
`;
}

describe.skipIf(!requireRoot(WHAT))(WHAT, () => {
  test("are taken once, also by a gateway that was killed and started again in between", () =>
    withSites(async ({ start, kill }) => {
      let gateway = await start("right");
      let client = await start("left");
      await client.logged(" established in ");
      const first = await ticketOf(client, "");
      // Killed, and not stopped: neither side ends the session, so its ticket is good.
      await kill(client);
      client = await start("left", client);
      await client.logged(" resumed in ");
      await ticketOf(client, first);
      await kill(client);

      await kill(gateway);
      gateway = await start("right", gateway);
      expect(stateOf(gateway)).toMatchObject({ "spent-tickets": "600", "ticket-keys.json": "600" });
      expect(stateOf(client)).toMatchObject({ "tickets.json": "600" });
      // Whatever else there is: nobody but the owner has a part in it.
      for (const daemon of [gateway, client])
        expect(new Set(Object.values(stateOf(daemon)))).toEqual(new Set(["700", "600"]));
      writeFileSync(ticketsOf(client), first);
      client = await start("left", client);
      await client.logged(" established in ");
      await gateway.logged("the ticket was used before");
      expect(client.log).toContain("TICKET_NACK");
      expect(client.log).not.toContain(" resumed in ");

      // The gateway has not lost its keys with that: what it has given since is good in its next life.
      await ticketOf(client, first);
      await kill(client);
      await kill(gateway);
      gateway = await start("right", gateway);
      client = await start("left", client);
      await client.logged(" resumed in ");
    }));
});

/** What a daemon keeps for its next life, and for whom it may be read: modes by names, that of the folder under ".". */
function stateOf({ directory }: IkebanaDaemon): Readonly<Record<string, string>> {
  const folder = join(directory, "state");
  const names = [".", ...readdirSync(folder)];
  const modeOf = (name: string): string => (statSync(join(folder, name)).mode & 0o777).toString(8);
  return Object.fromEntries(names.map((name) => [name, modeOf(name)]));
}

const ticketsOf = ({ directory }: IkebanaDaemon): string => join(directory, "state/tickets.json");

/** What the client has on its disk once there is another ticket than `before`. */
async function ticketOf(client: IkebanaDaemon, before: string): Promise<string> {
  const read = (): string => (existsSync(ticketsOf(client)) ? readFileSync(ticketsOf(client), "utf8") : "");
  const isNew = (text: string): boolean => text.includes('"ticket"') && text !== before;
  await until("the client keeps a ticket", () => isNew(read()), { describe: () => client.log });
  return read();
}

async function withSites(
  action: (facts: {
    /** In what the daemon before has left. */
    start(side: "left" | "right", before?: IkebanaDaemon): Promise<IkebanaDaemon>;
    kill(daemon: IkebanaDaemon): Promise<void>;
  }) => Promise<void>,
): Promise<void> {
  const sites = await createSites();
  const daemons: IkebanaDaemon[] = [];
  try {
    await action({
      start: async (side, before) => {
        const options = before === undefined ? {} : { directory: before.directory };
        const daemon = await startIkebana(sites[side], configuration(side), options);
        daemons.push(daemon);
        return daemon;
      },
      kill: async (daemon) => {
        daemon.signal("SIGKILL");
        await daemon.waitForEnd();
      },
    });
  } finally {
    for (const daemon of daemons) await daemon.stop("SIGKILL");
    await sites.close();
  }
}
