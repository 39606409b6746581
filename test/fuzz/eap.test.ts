import fc from "fast-check";
import { expect, test } from "vitest";
import { createEapServer } from "../../src/eap/server.ts";
import type { EapSession, EapStep } from "../../src/eap/session.ts";
import { EapType } from "../../src/iana/eap.ts";
import { converse, passwordClient, passwordServer, request, response } from "../eap/conversation.ts";

const RUNS = Number(process.env.IKEBANA_FUZZ_RUNS ?? 100_000);
const PROPERTY_RUNS = Math.max(500, Math.floor(RUNS / 100));
const SEED = 3748;
const MSCHAPV2 = EapType.MS_EAP_AUTHENTICATION;

const arbitraryData = fc.oneof(
  fc.uint8Array({ maxLength: 80 }),
  // A header whose length is right, so that what is behind it gets read.
  fc.tuple(fc.constantFrom(1, 2, 3, 4, 7), fc.uint8Array({ maxLength: 80 })).map(([opCode, body]) => {
    const length = 4 + body.length;
    return Uint8Array.of(opCode, 1, length >>> 8, length & 0xff, ...body);
  }),
);
const arbitraryType = fc.constantFrom(EapType.IDENTITY, EapType.LEGACY_NAK, MSCHAPV2, MSCHAPV2, 254);
const arbitraryOctets = fc.uint8Array({ maxLength: 60 });

test("neither side throws on what anybody sends, and none of it logs in", { timeout: 0 }, () => {
  const scripts = fc.array(fc.oneof(arbitraryOctets, fc.tuple(arbitraryType, arbitraryData)), {
    maxLength: 12,
  });
  fc.assert(
    fc.property(scripts, fc.boolean(), (script, isServer) => {
      const { session, first } = isServer
        ? passwordServer().begin({ address: "192.0.2.7" })
        : { session: passwordClient("anna", "open sesame"), first: Uint8Array.of(1, 0) };
      let identifier = first[1]!;
      for (const item of script) {
        const frame = isServer ? response : request;
        const packet = item instanceof Uint8Array ? item : frame(identifier, item[0], item[1]);
        const step = session.receive(packet) as EapStep;
        expect(step.kind).not.toBe("success");
        if (step.kind === "send") identifier = isServer ? step.packet[1]! : identifier + 1;
        identifier &= 0xff;
      }
    }),
    { seed: SEED, numRuns: PROPERTY_RUNS },
  );
});

test("a conversation in which one octet is changed ends in no login, or in the same one", async () => {
  const whole = await converse(passwordServer(), passwordClient("anna", "open sesame"));
  expect(whole.server?.kind).toBe("success");
  await fc.assert(
    fc.asyncProperty(fc.nat(5), fc.nat(120), fc.integer({ min: 1, max: 255 }), async (which, at, flip) => {
      let count = 0;
      const change = (packet: Uint8Array): Uint8Array => {
        if (count++ !== which) return packet;
        const changed = packet.slice();
        changed[at % changed.length] = changed[at % changed.length]! ^ flip;
        return changed;
      };
      const server = passwordServer();
      const client = passwordClient("anna", "open sesame");
      const ends = await converse({ begin: (peer) => onTheWay(server.begin(peer), change) }, client);
      for (const end of [ends.client, ends.server]) {
        if (end?.kind === "success") expect(end.msk).toHaveLength(64);
      }
      if (ends.client.kind === "success" && ends.server?.kind === "success") {
        expect(ends.client.msk).toEqual(ends.server.msk);
      }
    }),
    { seed: SEED + 1, numRuns: PROPERTY_RUNS },
  );
});

/** A server behind a link that changes what passes, both ways. */
function onTheWay(
  { session, first }: { readonly session: EapSession; readonly first: Uint8Array },
  change: (packet: Uint8Array) => Uint8Array,
) {
  const receive = async (packet: Uint8Array): Promise<EapStep> => {
    const step = await session.receive(change(packet));
    return "packet" in step && step.packet !== undefined ? { ...step, packet: change(step.packet) } : step;
  };
  return { first, session: { receive, dispose: () => session.dispose() } satisfies EapSession };
}

test("a server without methods is a mistake of ours", () => {
  expect(() => createEapServer({ methods: [], random: { bytes: (n) => new Uint8Array(n) } })).toThrow(
    RangeError,
  );
});
