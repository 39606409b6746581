import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { CAMPAIGN, printTable, progress } from "../support/campaign.ts";
import { type IkebanaDaemon, startIkebana } from "../support/ikebana.ts";
import { requireRoot } from "../support/namespace.ts";
import {
  createRoaming,
  GATEWAY,
  GATEWAY_INSIDE,
  HOMES,
  longestOutageMs,
  OTHER_HOME,
  ROAMER_INSIDE,
  type Roaming,
} from "../support/roaming.ts";
import { openStreams } from "../support/stream/streams.ts";
import { until } from "../support/waiting.ts";

const EVERY_MS = CAMPAIGN ? 5_000 : 1_200;
const MOVES = CAMPAIGN ? 24 : 2;
/** Datagrams in a second, each way. */
const RATE = CAMPAIGN ? 4_000 : 1_000;
/** Between two of us, however busy the machine is. */
const MOST_MS = 1_000;

const configuration = (parts: {
  readonly ours: string;
  readonly theirs: string;
  readonly more: string;
}): string => `
socket: ikebana.sock
state: state
connections:
  office:
    local: { id: ${parts.ours}, psk: "correct horse battery staple" }
    remote: ${parts.theirs}
    ${parts.more}
`;

const ROAMER = configuration({
  ours: "a.example.org",
  theirs: `{ address: ${GATEWAY}, id: b.example.org }`,
  more: "children: { lan: { local: 10.1.0.0/24, remote: 10.2.0.0/24 } }",
});
const OFFICE = configuration({
  ours: "b.example.org",
  theirs: "{ id: a.example.org }",
  more: "children: { lan: { local: 10.2.0.0/24, remote: 10.1.0.0/24 } }",
});

test.skipIf(!requireRoot("a client that moves under load"))(
  "a client that gets other addresses, or another way out, under load keeps its SAs, and hardly anything is lost",
  { timeout: CAMPAIGN ? 900_000 : 240_000 },
  async () => {
    const roaming = await createRoaming();
    const daemons: IkebanaDaemon[] = [];
    try {
      const gateway = await startIkebana(roaming.gateway, OFFICE);
      const client = await startIkebana(roaming.roamer, ROAMER);
      daemons.push(client, gateway);
      const log = (): string => daemons.map((daemon) => daemon.log).join("\n");
      const spis = async (): Promise<unknown> => {
        const { ikeSa } = await client.connection();
        return ikeSa?.children.map(({ inboundSpi, outboundSpi }) => [inboundSpi, outboundSpi]);
      };
      await until("the tunnel is up", async () => (await client.connection()).state === "established", {
        describe: log,
      });
      const before = [await spis(), (await client.connection()).ikeSa!.initiatorSpi];

      const rows: Record<string, string | number>[] = [];
      const stream = async (what: string, moves: readonly (() => void)[]): Promise<void> => {
        const results = await streamWhile(roaming, moves);
        for (const [way, result] of [
          ["out", results[0]!],
          ["in", results[1]!],
        ] as const) {
          const outageMs = Math.round(longestOutageMs(result, RATE));
          rows.push({
            what,
            way,
            moves: moves.length,
            sent: result.sent,
            lost: result.lost,
            "outage ms": outageMs,
          });
          expect(outageMs, `${what}, ${way}\n${log()}`).toBeLessThan(MOST_MS);
          expect(result.received, `${what}, ${way}`).toBeGreaterThan(0);
        }
      };
      const [first, second] = HOMES;
      await stream(
        "another address",
        Array.from({ length: MOVES }, (_, i) => () => {
          roaming.renumber(...((i % 2 === 0 ? [first, second] : [second, first]) as [string, string]));
        }),
      );
      await until(
        "the gateway sees the client at its first address again",
        async () => (await gateway.connection()).ikeSa!.remote.address === first,
        { describe: log },
      );

      await stream(
        "another way out",
        Array.from({ length: MOVES }, (_, i) => () => {
          roaming.setRoute("wire1", true);
          roaming.setRoute("wire0", i % 2 === 1);
        }),
      );
      roaming.setRoute("wire0", false);
      await until(
        "the gateway sees the client where its route leads now",
        async () => (await gateway.connection()).ikeSa!.remote.address === OTHER_HOME,
        { describe: log },
      );
      expect([await spis(), (await client.connection()).ikeSa!.initiatorSpi]).toEqual(before);
      expect(log()).not.toMatch(/ (error|rekeyed) /);
      if (CAMPAIGN) printTable(rows);
      else progress(rows.map((row) => `${row.what}, ${row.way}: ${row["outage ms"]} ms`).join("; "));
    } finally {
      for (const daemon of daemons) await daemon.stop("SIGKILL");
      await roaming.close();
    }
  },
);

/** Streams both ways while the client moves, one move behind the other. */
async function streamWhile({ roamer, gateway }: Roaming, moves: readonly (() => void)[]) {
  const streams = await openStreams({ left: roamer, right: gateway }, [
    { from: "left", source: ROAMER_INSIDE, destination: GATEWAY_INSIDE, port: 5201 },
    { from: "right", source: GATEWAY_INSIDE, destination: ROAMER_INSIDE, port: 5202 },
  ]);
  try {
    const seconds = ((moves.length + 1) * EVERY_MS) / 1000;
    const results = streams.run({ rates: [RATE, RATE], seconds });
    for (const move of moves) {
      await sleep(EVERY_MS);
      move();
    }
    return await results;
  } finally {
    await streams.close();
  }
}
