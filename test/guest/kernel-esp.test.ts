import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { AES_256_CBC_SHA1, ALL_CIPHERS, CHACHA20_POLY1305 } from "../esp/esp-bed.ts";
import { enterFreshNamespace, requireRoot } from "../support/namespace.ts";
import { requireGuest } from "./guest.ts";
import { type Association, type GuestLink, type Keying, openGuestLink, pairsOf } from "./guest-link.ts";
import { isOfKernel } from "./kernel-algorithm.ts";
import { GuestStreams, HERE, isAnswered, type Way } from "./traffic.ts";

// ESP of the Linux kernel against ours, with keys by hand. The guest is slow, so there is little of everything.

const WHAT = "ESP against a Linux kernel in user mode";
const mayRun = requireRoot(WHAT) && requireGuest(WHAT);
const OCTETS = 1_000_000;
const AES_256_GCM = ALL_CIPHERS.find(({ name }) => name === "AES-256-GCM")!;

describe.skipIf(!mayRun)("with the ESP of a Linux kernel", () => {
  if (!mayRun) return;
  enterFreshNamespace();
  let link: GuestLink;
  let streams: GuestStreams;
  let association: Association | undefined;

  beforeAll(async () => {
    link = await openGuestLink();
    streams = await GuestStreams.open(link.guest);
  });
  afterEach(async () => {
    await association?.remove();
    association = undefined;
  });
  afterAll(() => link?.close());

  const gcm = { cipher: AES_256_GCM, family: 4, mode: "tunnel", isInUdp: false, esn: true } as const;
  const cbc = { ...gcm, cipher: AES_256_CBC_SHA1 };
  const chacha = { ...gcm, cipher: CHACHA20_POLY1305 };
  test.each<Keying>([
    gcm,
    { ...gcm, isInUdp: true },
    { ...gcm, family: 6 },
    cbc,
    { ...cbc, isInUdp: true, esn: false },
    { ...chacha, family: 6, isInUdp: true },
    { ...gcm, mode: "transport" },
    { ...gcm, mode: "transport", isInUdp: true },
    { ...cbc, mode: "transport", family: 6 },
    { ...chacha, mode: "transport", family: 6, isInUdp: true, esn: false },
  ])(
    "pings and TCP pass: $cipher.name, IPv$family outside, $mode mode, in UDP: $isInUdp, ESN: $esn",
    async (keying) => {
      association = await link.key(keying);
      const capture = link.watch();
      try {
        // Fragments have no place in transport mode (RFC 4303 section 3.1.1).
        const lengths = keying.mode === "tunnel" ? [0, 1, 57, 1000, 1232, 3000] : [0, 1, 57, 1000, 1180];
        for (const way of ways(link, keying)) {
          for (const length of lengths) {
            expect([way.source, length, await isAnswered(way, length)]).toEqual([way.source, length, true]);
          }
        }
        for (const way of ways(link, keying).slice(0, 2)) {
          const { sent, arrived } = await streams.carry(way, OCTETS);
          expect(arrived).toBe(sent);
          expect(JSON.parse(arrived)).toMatchObject({ octets: OCTETS });
        }
        const { inbound, outbound } = association.traffic;
        expect([inbound.drops, outbound.drops]).toEqual([{}, {}]);
        // Link-local packets of the TUN device's own have no policy.
        expect({ ...link.plane.drops, noPolicy: 0 }).toEqual({ noPolicy: 0 });
        capture.poll();
        const { esp, "esp-in-udp": espInUdp, other } = capture.counts;
        expect(keying.isInUdp ? esp : espInUdp).toBe(0);
        expect(keying.isInUdp ? espInUdp : esp).toBeGreaterThan(800);
        expect(other).toBe(0);
      } finally {
        capture.close();
      }
    },
  );

  test("every cipher that both have, with its longest key, opens what the other seals", async () => {
    const ciphers = ALL_CIPHERS.filter((cipher) => isOfKernel(cipher) && [0, 32].includes(cipher.keyLength));
    expect(ciphers).toHaveLength(15);
    for (const cipher of ciphers) {
      const keying = { ...gcm, cipher };
      association = await link.key(keying);
      for (const way of ways(link, keying)) {
        expect([cipher.name, way.source, await isAnswered(way, 501)]).toEqual([
          cipher.name,
          way.source,
          true,
        ]);
      }
      await association.remove();
      association = undefined;
    }
  });

  test.each<Keying>([gcm, cbc, { ...chacha, mode: "transport" }])(
    "extended sequence numbers go on beyond 2^32 in both directions: $cipher.name, $mode mode",
    async (keying) => {
      association = await link.key(keying);
      const [way] = ways(link, keying);
      await association.wearOut(async () => {
        expect(await isAnsweredInTime(way!)).toBe(true);
      });
      for (let i = 0; i < 8; i++) expect(await isAnsweredInTime(way!)).toBe(true);
      const { inbound, outbound } = association.traffic;
      expect(inbound.sequence).toBeGreaterThan(2 ** 32);
      expect(outbound.sequence).toBeGreaterThan(2 ** 32);
      expect([inbound.drops, outbound.drops]).toEqual([{}, {}]);
      const states = await association.guestStates();
      expect(states).toMatch(/seq-hi 0x1, seq 0x[0-9a-f]{1,2}\b/);
      expect(states).toMatch(/oseq-hi 0x1, oseq 0x[0-9a-f]{1,2}\b/);
      const refusals = [...states.matchAll(/replay-window \d+ replay (\d+) failed (\d+)/g)];
      expect(refusals.map(([, replayed, failed]) => [replayed, failed])).toEqual([
        ["0", "0"],
        ["0", "0"],
      ]);
    },
  );
});

/** Whether one of three pings is answered: a guest that is kept from its processor may lose one. What either side refuses is counted. */
async function isAnsweredInTime(way: Way): Promise<boolean> {
  for (let i = 0; i < 3; i++) if (await isAnswered(way, 56)) return true;
  return false;
}

/** From us to the guest and back. */
function ways({ guest }: GuestLink, keying: Keying): Way[] {
  return pairsOf(keying).flatMap((pair) => [
    { from: HERE, to: guest, source: pair.us, destination: pair.guest },
    { from: guest, to: HERE, source: pair.guest, destination: pair.us },
  ]);
}
