import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { enterFreshNamespace, requireRoot } from "../support/namespace.ts";
import { requireStrongswan } from "../support/strongswan.ts";
import { until } from "../support/waiting.ts";
import { requireGuest } from "./guest.ts";
import { type GuestGateway, INSIDE, openGuestGateway } from "./guest-gateway.ts";
import { GuestStreams, HERE, isAnswered, type Way } from "./traffic.ts";

// ESP of the Linux kernel against ours, with keys that strongSwan in the guest and our daemon agree on. The guest is slow, so there is little
// of everything.

const WHAT = "keys by IKEv2 for ESP of a Linux kernel in user mode";
const mayRun = requireRoot(WHAT) && requireGuest(WHAT) && requireStrongswan(WHAT);
const OCTETS = 300_000;

describe.skipIf(!mayRun)("with keys by IKEv2 and the ESP of a Linux kernel", () => {
  if (!mayRun) return;
  enterFreshNamespace();
  let gateway: GuestGateway;
  let streams: GuestStreams;

  beforeAll(async () => {
    gateway = await openGuestGateway();
    streams = await GuestStreams.open(gateway.guest);
  });
  afterAll(() => gateway?.close());

  test("we call, AES-256-GCM straight on IP: pings and TCP pass both ways, also when the child SA was replaced", async () => {
    const { client } = gateway.ikebana;
    expect(await client.up("raw")).toMatchObject({ kind: "done" });
    expect(await kernelStates()).toMatch(/rfc4106\(gcm\(aes\)\)/);
    await passes("raw", "esp");
    const [before] = await childrenOf("raw");
    expect(await client.rekey("raw", "children")).toMatchObject({ kind: "done" });
    await isReplaced("raw", before);
    for (const way of ways("raw")) expect(await isAnswered(way, 100)).toBe(true);
  });

  test("the guest calls, AES-256-CBC and HMAC-SHA1 in UDP: pings and TCP pass both ways, also when the child SA was replaced", async () => {
    await gateway.swanctl("--initiate --child udp --timeout 20");
    const states = await kernelStates();
    expect(states).toMatch(/hmac\(sha1\)/);
    expect(states).toMatch(/cbc\(aes\)/);
    expect(states).toMatch(/espinudp/);
    await passes("udp", "esp-in-udp");
    const [before] = await childrenOf("udp");
    await gateway.swanctl("--rekey --child udp");
    await isReplaced("udp", before);
    for (const way of ways("udp")) expect(await isAnswered(way, 100)).toBe(true);
  });

  test("when it is over, the kernel has no SA left", async () => {
    await gateway.swanctl("--terminate --ike udp --timeout 20");
    expect(await gateway.ikebana.client.down("raw")).toMatchObject({ kind: "done" });
    await until("the SAs are gone", async () => (await kernelStates()).trim() === "", {
      describe: () => gateway.ikebana.log,
    });
  });

  type Connection = "raw" | "udp";

  /** The keys are in it: it is matched against, and not shown. */
  function kernelStates(): Promise<string> {
    return gateway.guest.run("ip xfrm state | sed -E 's/0x[0-9a-f]{20,}/KEY/g'");
  }

  async function childrenOf(connection: Connection) {
    return (await gateway.ikebana.connection(connection)).ikeSa?.children ?? [];
  }

  /** The old one may stay in the list until the guest, which is slow, has answered its Delete. */
  async function isReplaced(connection: Connection, before: { readonly inboundSpi: string } | undefined) {
    await until("the child SA is replaced", async () => {
      const children = await childrenOf(connection);
      return children.length === 1 && children[0]?.inboundSpi !== before?.inboundSpi;
    });
  }

  function ways(connection: Connection): readonly Way[] {
    const { guest } = gateway;
    const [us, them] = [INSIDE.us, INSIDE[connection]];
    return [
      { from: HERE, to: guest, source: us, destination: them },
      { from: guest, to: HERE, source: them, destination: us },
    ];
  }

  async function passes(connection: Connection, kind: "esp" | "esp-in-udp"): Promise<void> {
    const capture = gateway.watch();
    try {
      for (const way of ways(connection)) {
        for (const length of [0, 57, 1000, 3000]) {
          expect([way.source, length, await isAnswered(way, length)]).toEqual([way.source, length, true]);
        }
        const { sent, arrived } = await streams.carry(way, OCTETS);
        expect(arrived).toBe(sent);
        expect(JSON.parse(arrived)).toMatchObject({ octets: OCTETS });
      }
      capture.poll();
      const { counts } = capture;
      expect(counts[kind]).toBeGreaterThan((2 * OCTETS) / 1400);
      expect(counts[kind === "esp" ? "esp-in-udp" : "esp"]).toBe(0);
      expect(counts.other).toBe(0);
      const [child] = await childrenOf(connection);
      expect([child?.inbound.drops, child?.outbound.drops]).toEqual([{}, {}]);
    } finally {
      capture.close();
    }
  }
});
