import { MEASURES, type Measure } from "./figures.ts";

/** What a run does when nobody says otherwise. */
export interface Preset {
  /** Names; "default" and "all" are what the catalogue says. */
  readonly contenders: readonly string[] | "default" | "all";
  readonly measures: readonly Measure[];
  readonly rounds: number;
  readonly seconds: number;
  /** When no more rounds are begun. */
  readonly limitMs?: number;
  /** Who is left out (keys) as soon as somebody else (values) runs on this machine. */
  readonly substitutes?: Readonly<Record<string, string>>;
}

const MINUTE_MS = 60_000;

export const PRESETS = {
  /** Answers the first question: the best IPsec there is against OpenVPN and Ikebana. */
  quick: {
    contenders: [
      "bare",
      "ikebana-aes256gcm16",
      "openvpn-aes256gcm",
      "kernel-ipsec-aes256gcm16",
      "strongswan-aes256gcm16",
    ],
    measures: ["start", "tcp", "ping"],
    rounds: 3,
    seconds: 2,
    limitMs: 3.5 * MINUTE_MS,
    substitutes: { "strongswan-aes256gcm16": "kernel-ipsec-aes256gcm16" },
  },
  default: {
    contenders: "default",
    measures: ["start", "tcp", "tcp4", "reverse", "udp1400", "udp512", "udp200", "udp64", "ping"],
    rounds: 5,
    seconds: 2,
    limitMs: 30 * MINUTE_MS,
  },
  all: { contenders: "all", measures: MEASURES, rounds: 5, seconds: 3 },
} as const satisfies Readonly<Record<string, Preset>>;
