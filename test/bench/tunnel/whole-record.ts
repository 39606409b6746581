import { allContenders } from "../../../src/bench/tunnel/catalogue.ts";
import type { FigureName, Sample } from "../../../src/bench/tunnel/figures.ts";
import { FIGURES, MEASURES } from "../../../src/bench/tunnel/figures.ts";
import type { ContenderRecord, PingSeries, TunnelRecord } from "../../../src/bench/tunnel/record.ts";
import { SeededRandom } from "../../support/kernel.ts";
import { recordOf, tunnel } from "./records.ts";

/** Names, titles, and how much faster than OpenVPN each is made up to be. */
const CAST = [
  ["bare", "no tunnel", 16],
  ["ikebana-aes256gcm16", "Ikebana, AES-256-GCM", 2.5],
  ["ikebana-chacha20poly1305", "Ikebana, ChaCha20-Poly1305", 5],
  ["ikebana-aes256-sha1", "Ikebana, AES-256-CBC, HMAC-SHA1", 1.9],
  ["openvpn-aes256gcm", "OpenVPN, AES-256-GCM", 1],
  ["openvpn-chacha20poly1305", "OpenVPN, ChaCha20-Poly1305", 1.02],
  ["strongswan-aes256gcm16", "strongSwan in user space, AES-256-GCM", 1.05],
  ["wireguard-go", "wireguard-go", 0.7],
] as const satisfies readonly Role[];

/** Name, title, and how much faster than OpenVPN. */
type Role = readonly [name: string, title: string, speed: number];

/** What a figure is for OpenVPN, by its unit. */
const TYPICAL: Readonly<Record<string, number>> = {
  "Mbit/s": 900,
  "s/GB": 17,
  MiB: 19,
  ms: 400,
  "packets/s": 60_000,
  µs: 300,
  "%": 0.1,
};

const ROUNDS = 5;
const PING_COUNT = 200;

/** A run that never was, with every measure of eight contenders, and of one that could not run. The same each time. */
export function wholeRecord(): TunnelRecord {
  return recordWith(CAST);
}

/** As if every contender of the catalogue had run. */
export function crowdedRecord(): TunnelRecord {
  const all = allContenders({ ikebanaCommand: [] }).filter(({ name }) => name !== "kernel-wireguard");
  return recordWith(all.map(({ name, title }, index): Role => [name, title, 1 + (index % 7) / 2]));
}

function recordWith(cast: readonly Role[]): TunnelRecord {
  const random = new SeededRandom(6);
  const noise = (): number => 0.9 + random.below(2000) / 10_000;
  const contenders = cast.map(([name, title, speed]): ContenderRecord => {
    const samples = Array.from({ length: ROUNDS }, () => sampleOf(speed, noise));
    const record = { ...tunnel(name, samples), title };
    const rounds = record.samples.map((sample) => ({
      ...sample,
      others: { programs: 0.12 * noise(), stolen: 0 },
      series: { pingIdle: seriesOf(200 / speed, noise), pingLoaded: seriesOf(2500 / speed ** 1.5, noise) },
    }));
    const facts = name === "bare" ? { ...record.facts!, cipher: "none" } : record.facts!;
    return { ...record, facts, samples: rounds };
  });
  const absent = {
    name: "kernel-wireguard",
    title: "kernel WireGuard",
    problem: "the kernel has no WireGuard for us: Error: Unknown device type.",
    samples: [],
  };
  const record = recordOf([...contenders, absent]);
  return { ...record, settings: { ...record.settings, rounds: ROUNDS, measures: MEASURES } };
}

function sampleOf(speed: number, noise: () => number): Sample {
  const figures = (Object.keys(FIGURES) as FigureName[]).map((name) => {
    const { unit, better } = FIGURES[name];
    const typical = TYPICAL[unit]! * noise();
    return [name, better === "more" ? typical * speed : typical / speed];
  });
  return Object.fromEntries(figures) as Sample;
}

/** Now and then one takes much longer. */
function seriesOf(medianUs: number, noise: () => number): PingSeries {
  const indexes = Array.from({ length: PING_COUNT }, (_, index) => index);
  return {
    atMs: indexes.map((index) => index * 5),
    rttUs: indexes.map((index) => Math.round(medianUs * noise() * (index % 41 === 0 ? 12 : 1))),
  };
}
