import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type IkebanaDaemon, startIkebana } from "../support/ikebana.ts";
import { createJoinedHosts, requireRoot } from "../support/namespace.ts";
import { until } from "../support/waiting.ts";

// A healthy daemon and one that misbehaves on purpose (IKEBANA_IMPAIR): connect, rekey children, rekey the IKE SA, all begun by either.
// The healthy one ends established with one IKE SA and one child, or says why not and has nothing left.

const WHAT = "a daemon whose peer misbehaves";

const FAULTS: readonly { readonly impair: string; readonly end: "established" | "refused" | "either" }[] = [
  { impair: "drop=IKE_SA_INIT:1 drop=IKE_AUTH:1", end: "established" },
  {
    impair: "drop=CREATE_CHILD_SA-request:1 drop=CREATE_CHILD_SA-response:1 drop=INFORMATIONAL:2",
    end: "established",
  },
  {
    impair: "duplicate=IKE_SA_INIT duplicate=IKE_AUTH duplicate=CREATE_CHILD_SA duplicate=INFORMATIONAL",
    end: "established",
  },
  { impair: "corrupt=IKE_AUTH:1 corrupt=CREATE_CHILD_SA:2 corrupt=INFORMATIONAL:1", end: "established" },
  {
    impair: "delay=IKE_SA_INIT:2 delay=IKE_AUTH:2 delay=CREATE_CHILD_SA:2 delay=INFORMATIONAL:2",
    end: "established",
  },
  { impair: "replay=IKE_AUTH replay=CREATE_CHILD_SA replay=INFORMATIONAL", end: "established" },
  { impair: "ignore=CREATE_CHILD_SA-request:1 ignore=INFORMATIONAL-request:1", end: "established" },
  { impair: "no-retransmit", end: "established" },
  { impair: "collide", end: "established" },
  { impair: "wrong-delete-spi", end: "either" },
  { impair: "skip-message-id", end: "either" },
  { impair: "wrong-ike-spi", end: "either" },
  { impair: "wider-ts", end: "either" },
  { impair: "corrupt-auth", end: "refused" },
];

describe.skipIf(!requireRoot(WHAT))(WHAT, () => {
  let hosts: Awaited<ReturnType<typeof createJoinedHosts>>;

  beforeAll(async () => {
    hosts = await createJoinedHosts({ left: ["192.0.2.1/24"], right: ["192.0.2.2/24"] });
  });

  afterAll(() => hosts.close());

  test.each(FAULTS)(
    "$impair: ends $end, and leaves nothing",
    { timeout: 120_000 },
    async ({ impair, end }) => {
      const healthy = await startIkebana(hosts.left, configuration(0));
      let impaired: IkebanaDaemon | undefined;
      try {
        impaired = await startIkebana(hosts.right, configuration(1), { impair });
        expect(impaired.log).toContain(`misbehaving on purpose, for tests: IKEBANA_IMPAIR=${impair}`);
        expect(healthy.log).not.toContain("misbehaving");
        const [left, right] = [healthy.client, impaired.client];
        const settled = await within(20_000, left.up("site"));
        if (end === "refused") {
          expect(settled).toMatchObject({ kind: "failed" });
        } else {
          if (end === "established") expect(settled).toMatchObject({ kind: "done" });
          for (const what of ["children", "ike"] as const) {
            for (const client of [left, right]) await within(4_000, client.rekey("site", what));
          }
        }
        if (end === "established") {
          await until(
            "one IKE SA with one child on both sides",
            async () => {
              const both = await Promise.all([healthy.connection(), impaired!.connection()]);
              return both.every(
                ({ state, ikeSa }) => state === "established" && ikeSa?.children.length === 1,
              );
            },
            { timeoutMs: 30_000, describe: () => `${healthy.log}\n${impaired!.log}` },
          );
        }
        // It answers its commands and has not come across anything that it did not plan.
        expect(healthy.log).not.toContain("internal error");
        expect((await healthy.status()).ike.drops).not.toHaveProperty("internalErrors");
        if (end === "established") {
          expect(await within(15_000, left.down("site"))).toMatchObject({ kind: "done" });
          await until("nothing is left on either side", async () => {
            const both = await Promise.all([healthy.connection(), impaired!.connection()]);
            return both.every(({ ikeSa }) => ikeSa === undefined);
          });
        }
      } finally {
        await impaired?.stop("SIGKILL");
        expect(await healthy.stop()).toMatchObject({ code: 0 });
      }
    },
  );

  test("a fault that nobody knows keeps the daemon from starting, and says which", async () => {
    await expect(
      startIkebana(hosts.left, configuration(0), { impair: "drop=IKE_AUTH:1 frop=IKE_AUTH" }),
    ).rejects.toThrow('no fault is called "frop=IKE_AUTH"');
  });
});

/** What comes of it, or undefined when that takes too long: a peer that misbehaves may keep us waiting. */
async function within<Value>(limitMs: number, promise: Promise<Value>): Promise<Value | undefined> {
  let limit: NodeJS.Timeout | undefined;
  const patience = new Promise<undefined>((resolve) => {
    limit = setTimeout(() => resolve(undefined), limitMs);
  });
  try {
    return await Promise.race([promise, patience]);
  } finally {
    clearTimeout(limit);
  }
}

function configuration(place: 0 | 1): string {
  const other = 1 - place;
  const outside = ["192.0.2.1", "192.0.2.2"];
  return `
socket: ikebana.sock
state: state
log: { level: debug }
connections:
  site:
    local: { address: ${outside[place]}, id: "host${place}.example.org", psk: "a secret of the test" }
    remote: { address: ${outside[other]}, id: "host${other}.example.org" }
    start: respond
    children:
      lan: { local: [10.${place + 1}.0.0/24], remote: [10.${other + 1}.0.0/24] }
`;
}
