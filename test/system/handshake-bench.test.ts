import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import type { Caller } from "../../src/bench/handshake/caller.ts";
import { ikebanaCaller } from "../../src/bench/handshake/initiators/ikebana.ts";
import { strongswanCaller } from "../../src/bench/handshake/initiators/strongswan.ts";
import type { HandshakeRecord } from "../../src/bench/handshake/record.ts";
import type { Responder } from "../../src/bench/handshake/responder.ts";
import { ikebanaResponder } from "../../src/bench/handshake/responders/ikebana.ts";
import { strongswanResponder } from "../../src/bench/handshake/responders/strongswan.ts";
import { runHandshakeBench } from "../../src/bench/handshake/run.ts";
import { PlatformError } from "../../src/errors/index.ts";
import { requireRoot } from "../support/namespace.ts";
import { descendantsOf, type SeenProcess, survivorsOf } from "../support/process-tree.ts";
import { requireStrongswan } from "../support/strongswan.ts";
import { until } from "../support/waiting.ts";

const WHAT = "the handshake bench";
const DIST = new URL("../../dist/src/", import.meta.url);
const INITIATOR = [process.execPath, fileURLToPath(new URL("bench/handshake/initiator.js", DIST))];
const ours = ikebanaResponder([process.execPath, fileURLToPath(new URL("cli/main.js", DIST))]);

describe.skipIf(!requireRoot(WHAT) || !requireStrongswan(WHAT))(WHAT, () => {
  test("sets up IKE SAs with both responders in every group, and leaves nothing behind", async () => {
    const seen: SeenProcess[] = [];
    const look = setInterval(() => seen.push(...descendantsOf(process.pid)), 100);
    const record = await run([ours, strongswanResponder], ["x25519", "ecp256", "modp2048"]).finally(() =>
      clearInterval(look),
    );
    expect(record).toMatchObject({ bench: "handshake", isComplete: true });
    for (const { name, problem, samples, version } of record.responders) {
      expect(problem, name).toBeUndefined();
      expect(version, name).toMatch(/^(Ikebana|strongSwan) \d/);
      expect(samples.map(({ group }) => group)).toEqual(["x25519", "ecp256", "modp2048"]);
      for (const sample of samples) {
        // Requests of IKE_SA_INIT, IKE_AUTH and the delete; one more where a cookie was asked for.
        expect(sample.datagrams).toBeGreaterThanOrEqual(3);
        expect(sample.count).toBeGreaterThan(2);
        for (const figure of ["perSecond", "responderMs", "initiatorMs", "p50Ms"] as const) {
          expect(sample[figure], `${name} ${figure}`).toBeGreaterThan(0);
        }
        expect(sample.p99Ms).toBeGreaterThanOrEqual(sample.p50Ms);
      }
    }
    expect(seen.length).toBeGreaterThan(4);
    await until("everything has ended", () => survivorsOf(seen).length === 0);
  });

  test("strongSwan calls too: what each set-up takes of both ends, and nothing stays of it", async () => {
    const seen: SeenProcess[] = [];
    const look = setInterval(() => seen.push(...descendantsOf(process.pid)), 100);
    const { responders } = await run([ours], ["x25519", "modp2048"], {
      initiators: [strongswanCaller],
    }).finally(() => clearInterval(look));
    const [record] = responders;
    expect(record).toMatchObject({
      name: "ikebana",
      initiator: { title: expect.stringMatching(/^strongSwan \d/) },
    });
    expect(record?.problem).toBeUndefined();
    expect(record?.samples.map(({ group }) => group)).toEqual(["x25519", "modp2048"]);
    for (const sample of record!.samples) {
      expect(sample.count).toBeGreaterThan(2);
      for (const figure of ["perSecond", "responderMs", "initiatorMs", "p50Ms", "responderMiB"] as const) {
        expect(sample[figure], figure).toBeGreaterThan(0);
      }
      // It does not count its datagrams for us.
      expect(sample).not.toHaveProperty("datagrams");
    }
    expect(seen.some(({ name }) => name.startsWith("charon"))).toBe(true);
    await until("everything has ended", () => survivorsOf(seen).length === 0);
  });

  test("with others connected it tells what they take; one that refuses, and one that does not start, are rows with their reason", async () => {
    const deaf: Responder = {
      ...ours,
      name: "deaf",
      start: (ground, callers) => ours.start(ground, { ...callers, psk: "00".repeat(32) }),
    };
    const absent: Responder = {
      ...ours,
      name: "absent",
      start: () => Promise.reject(new PlatformError("responder not found: apt-get install responder")),
    };
    const { responders } = await run([ours, deaf, absent], ["x25519"], { connected: 2 });
    expect(responders[0]?.problem).toBeUndefined();
    expect(responders[0]?.samples[0]?.residentMiB).toBeGreaterThan(20);
    expect(responders[0]?.samples[0]?.idlePercent).toBeGreaterThanOrEqual(0);
    expect(responders[1]).toMatchObject({
      problem: expect.stringMatching(/AUTHENTICATION_FAILED/),
      samples: [],
    });
    expect(responders[2]).toMatchObject({
      problem: "responder not found: apt-get install responder",
      samples: [],
    });
  });
});

function run(
  responders: readonly Responder[],
  groups: HandshakeRecord["settings"]["groups"],
  {
    initiators = [ikebanaCaller],
    connected = 0,
  }: { readonly initiators?: readonly Caller[]; readonly connected?: number } = {},
): Promise<HandshakeRecord> {
  return runHandshakeBench({
    initiators,
    responders,
    settings: { rounds: 1, seconds: 0.3, peers: 4, connected, groups },
    warmUpMs: 100,
    command: "test",
    initiatorCommand: INITIATOR,
    signal: new AbortController().signal,
    onProgress: () => {},
  });
}
