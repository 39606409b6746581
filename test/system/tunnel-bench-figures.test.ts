import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import { describe, expect, test } from "vitest";
import { bare } from "../../src/bench/tunnel/contenders/bare.ts";
import { FIGURES, type FigureName, type Measure } from "../../src/bench/tunnel/figures.ts";
import { layGround } from "../../src/bench/tunnel/ground.ts";
import type { RoundSample } from "../../src/bench/tunnel/record.ts";
import { throttle, throttleObstacle } from "../../src/bench/tunnel/throttle.ts";
import { requireRoot } from "../support/namespace.ts";
import { requireStrongswan } from "../support/strongswan.ts";
import { chosen, leftGroups, PEERS, runBench } from "../support/tunnel-bench.ts";

const ours = chosen("ikebana-aes256gcm16");

describe.skipIf(!requireRoot("figures of the tunnel bench") || !requireStrongswan(PEERS))(
  "the tunnel bench",
  () => {
    test("times the bare path and a tunnel, and shows that the tunnel encrypts", async () => {
      const record = await runBench([bare, ours], { measures: ["start", "tcp", "ping"] });
      const [path, tunnel] = record.contenders;
      expect(record).toMatchObject({ bench: "tunnel", isComplete: true });
      expect(path).toMatchObject({ facts: { cipher: "none", mtu: 1400, proof: { plaintextFrames: 40 } } });
      expect(path?.facts?.offloads).toContain("TSO");
      expect(tunnel).toMatchObject({
        facts: { cipher: "aes256gcm16", mtu: 1400, proof: { plaintextFrames: 0 } },
      });
      for (const contender of record.contenders) {
        expect(contender.problem).toBeUndefined();
        const [{ round, figures, others, series }] = contender.samples as readonly [RoundSample];
        expect(round).toBe(1);
        for (const figure of ["tcpMbps", "cpuSecondsPerGb", "pingIdleP50Us", "pingLoadedP999Us"] as const) {
          expect(figures[figure], figure).toBeGreaterThan(0);
        }
        if (cpus().length > 1) {
          const { cpuSecondsPerGb = 0, clientCpuSecondsPerGb = 0, gatewayCpuSecondsPerGb = 0 } = figures;
          // Read one after the other, in ticks of 10 ms.
          const sides = (clientCpuSecondsPerGb + gatewayCpuSecondsPerGb) / cpuSecondsPerGb;
          expect(sides).toBeGreaterThan(0.8);
          expect(sides).toBeLessThan(1.2);
        }
        expect(others?.programs).toBeGreaterThanOrEqual(0);
        expect(series?.pingLoaded.rttUs.length).toBeGreaterThan(20);
        expect(series?.pingLoaded.rttUs.length).toBe(series?.pingLoaded.atMs.length);
        const { pingIdleP50Us, pingIdleP90Us, pingIdleP99Us } = figures;
        expect(pingIdleP90Us).toBeGreaterThanOrEqual(pingIdleP50Us!);
        expect(pingIdleP99Us).toBeGreaterThanOrEqual(pingIdleP90Us!);
      }
      expect(path!.samples[0]!.figures).not.toHaveProperty("firstPacketMs");
      expect(tunnel!.samples[0]!.figures.firstPacketMs).toBeGreaterThan(0);
      // Two whole Node processes.
      expect(tunnel!.samples[0]!.figures.residentMiB).toBeGreaterThan(20);
    });

    test("four streams, the other way round, a call, pressure and throttling have their figures", async () => {
      const measures = ["tcp4", "reverse", "voice", "pressure2", "throttled"] as const;
      const { contenders, unavailable = [] } = await runBench([bare], { measures, seconds: 0.5 });
      expect(contenders[0]?.problem).toBeUndefined();
      const figures = contenders[0]!.samples[0]!.figures;
      const expected = (Object.keys(FIGURES) as FigureName[]).filter((name) => {
        const { measure } = FIGURES[name];
        return (
          (measures as readonly Measure[]).includes(measure) &&
          unavailable.every((each) => each.measure !== measure)
        );
      });
      for (const name of expected) expect(figures[name], name).toBeGreaterThanOrEqual(0);
    });

    test("throttled, a side gets no more than its share, and the control groups are gone afterwards", async () => {
      const obstacle = throttleObstacle();
      if (obstacle !== undefined) return console.log(`skipped: ${obstacle}`);
      const ground = await layGround("split");
      try {
        const end = throttle(ground, 0.2);
        // What the loop took of its second, as the shell counts the time of its children.
        const { out } = await ground.client.run([
          "sh",
          "-c",
          "timeout 1 sh -c 'while :; do :; done'; cat /proc/self/cgroup; times",
        ]);
        const [minutes, seconds] = /^(\d+)m([\d.]+)s \d+m[\d.]+s$/m
          .exec(out.split("\n").slice(-2, -1)[0]!)!
          .slice(1)
          .map(Number);
        expect(minutes! * 60 + seconds!).toBeLessThan(0.4);
        expect(out).toContain(`ikebana-bench-${process.pid}-client`);
        await end();
        expect(readFileSync("/proc/self/cgroup", "utf8")).not.toContain("ikebana-bench");
        expect((await ground.client.run(["cat", "/proc/self/cgroup"])).out).not.toContain("ikebana-bench");
      } finally {
        await ground.close();
      }
      expect(leftGroups()).toEqual([]);
    });
  },
);
