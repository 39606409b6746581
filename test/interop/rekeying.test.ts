import { describe, expect, test } from "vitest";
import type { IkeSaStatus } from "../../src/engine/status.ts";
import { requireRoot } from "../support/namespace.ts";
import { requireStrongswan, strongswanVersion } from "../support/strongswan.ts";
import { until } from "../support/waiting.ts";
import { type Gateways, withTunnel } from "./gateways.ts";
import { loadSteps } from "./scenario.ts";
import { LEFT_INSIDE, ping, pingBothWays, RIGHT_INSIDE } from "./sites.ts";

const WHAT = "rekeying by strongSwan";

describe.skipIf(!requireRoot(WHAT) || !requireStrongswan(WHAT))(
  "not a packet is lost when strongSwan rekeys",
  () => {
    for (const { title, scenario, what, spiOf } of [
      {
        title: "a child SA",
        scenario: "rekey-child-sa-by-strongswan",
        what: { child: "lan" },
        spiOf: ({ children }: IkeSaStatus) => children[0]?.inboundSpi,
      },
      {
        title: "a child SA with a key exchange of its own",
        scenario: "rekey-child-sa-with-pfs-by-strongswan",
        what: { child: "lan" },
        spiOf: ({ children }: IkeSaStatus) => children[0]?.inboundSpi,
      },
      {
        title: "an IKE SA",
        scenario: "rekey-ike-sa-by-strongswan",
        what: { ike: "ikebana" },
        spiOf: ({ initiatorSpi }: IkeSaStatus) => initiatorSpi,
      },
    ]) {
      test(title, () =>
        withTunnel(loadSteps(scenario), async ({ sites, ikebana, strongswan }) => {
          const before = spiOf((await ikebana.connection()).ikeSa!);
          const across = Promise.all([
            ping(sites.left, { from: LEFT_INSIDE[0], to: RIGHT_INSIDE[0], count: 200 }),
            ping(sites.right, { from: RIGHT_INSIDE[1], to: LEFT_INSIDE[1], count: 200 }),
          ]);
          expect((await strongswan.rekey(what)).code).toBe(0);
          await until(
            "the new SA has taken the old one's place",
            async () => {
              const { ikeSa } = await ikebana.connection();
              return ikeSa !== undefined && ikeSa.children.length === 1 && spiOf(ikeSa) !== before;
            },
            { describe: () => `${ikebana.log}\n${strongswan.log}` },
          );
          expect(await across, `${ikebana.log}\n${strongswan.log}`).toEqual([[], []]);
          expect(await pingBothWays(sites)).toEqual([]);
          expect(ikebana.log).not.toMatch(/ (warning|error) /);
        }),
      );
    }

    const further = loadSteps("rekey-with-further-key-exchanges");
    const { strongswan: least = 0 } = further.plan;
    if (strongswanVersion() < least) console.log(`not played: ${further.name} (needs strongSwan ${least})`);
    else test(further.title, () => withTunnel(further, rekeyWithFurtherKeyExchanges));
  },
);

/** By strongSwan, then by us, while pings pass. */
async function rekeyWithFurtherKeyExchanges({ sites, ikebana, strongswan }: Gateways): Promise<void> {
  const IKE = "aes256gcm16-prfsha384-x25519-ke1_ecp384-ke2_modp3072";
  const ESP = "aes256gcm16-x25519-ke1_ecp384-ke2_modp3072";
  const names = async () => {
    const { ikeSa } = await ikebana.connection();
    const [child] = ikeSa?.children.length === 1 ? ikeSa.children : [];
    return {
      ike: ikeSa?.initiatorSpi,
      child: child?.inboundSpi,
      proposals: [ikeSa?.proposal, child?.proposal],
    };
  };
  const rekeyings: readonly {
    readonly what: "child" | "ike";
    readonly rekey: () => Promise<unknown>;
  }[] = [
    { what: "child", rekey: () => strongswan.rekey({ child: "lan" }) },
    { what: "ike", rekey: () => strongswan.rekey({ ike: "ikebana" }) },
    { what: "child", rekey: () => ikebana.client.rekey("office", "children") },
    { what: "ike", rekey: () => ikebana.client.rekey("office", "ike") },
  ];
  // In IKE_AUTH there is no key exchange for the child SA.
  expect((await names()).proposals).toEqual([IKE, "aes256gcm16"]);
  for (const { what, rekey } of rekeyings) {
    const before = await names();
    const across = Promise.all([
      ping(sites.left, { from: LEFT_INSIDE[0], to: RIGHT_INSIDE[0], count: 100 }),
      ping(sites.right, { from: RIGHT_INSIDE[1], to: LEFT_INSIDE[1], count: 100 }),
    ]);
    await rekey();
    await until(
      "the new SA has taken the old one's place",
      async () => {
        const after = await names();
        return after[what] !== undefined && after[what] !== before[what] && after.child !== undefined;
      },
      { describe: () => `${ikebana.log}\n${strongswan.log}` },
    );
    expect(await across, `${ikebana.log}\n${strongswan.log}`).toEqual([[], []]);
    expect((await names()).proposals).toEqual([IKE, ESP]);
  }
  expect(await pingBothWays(sites)).toEqual([]);
  expect(ikebana.log).not.toMatch(/ (warning|error) /);
}
