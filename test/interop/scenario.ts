import { existsSync, readdirSync, readFileSync } from "node:fs";
import { parse } from "yaml";

/**
 * A scenario is a folder:
 *
 *   description.md     what it shows, and why
 *   ikebana.yaml       the configuration of the left gateway
 *   swanctl.conf       the connections of the right gateway, strongSwan
 *   strongswan.conf    settings of strongSwan beside ours; may be missing
 *   scenario.yaml      who begins, what shall become of it, and what is sent through
 *   expected/ikebana.txt, expected/strongswan.txt
 *                      texts that lines of the logs hold, one a line, in this order; "#" begins a comment, "<id>" is a
 *                      message ID of strongSwan's, which may have had something else to say before: the same in all texts
 */
export interface Scenario {
  readonly name: string;
  readonly title: string;
  readonly ikebana: string;
  readonly swanctl: string;
  readonly settings: string;
  readonly expected: { readonly ikebana: readonly string[]; readonly strongswan: readonly string[] };
  readonly plan: Plan;
}

interface Plan {
  readonly initiator: "ikebana" | "strongswan";
  readonly outcome: "established" | "refused";
  /** The first major version of strongSwan that can do it; undefined for any. */
  readonly strongswan?: number;
  /** Pairs of inner addresses, left and right, that ping each other. */
  readonly pings?: readonly (readonly [string, string])[];
  /** Whether the suite encrypts nothing, so that pings are seen on the way. */
  readonly isInClear?: boolean;
  /** Whether iperf3 sends TCP both ways and UDP. */
  readonly load?: boolean;
  /** Whether we send dummy packets. */
  readonly dummies?: boolean;
  /** Traffic selectors of the child SA as our status shows them. */
  readonly selectors?: { readonly local: readonly string[]; readonly remote: readonly string[] };
  /** Further inner addresses of the gateways. */
  readonly addresses?: { readonly left: readonly string[]; readonly right: readonly string[] };
  /** Routes into our TUN device. */
  readonly routes?: readonly string[];
}

/** Those that one runner plays, all in the same way. */
const PLAYED = new URL("scenarios/", import.meta.url);
/** Those whose steps are a test of their own. */
const STEPS = new URL("steps/", import.meta.url);

export function loadScenarios(): readonly Scenario[] {
  return readdirSync(PLAYED)
    .sort()
    .map((name) => load(name, PLAYED));
}

export function loadSteps(name: string): Scenario {
  return load(name, STEPS);
}

function load(name: string, room: URL): Scenario {
  const folder = new URL(`${name}/`, room);
  const read = (file: string): string => readFileSync(new URL(file, folder), "utf8");
  const lines = (file: string): readonly string[] =>
    read(file)
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"));
  return {
    name,
    title: read("description.md").split("\n", 1)[0]!.replace(/^# /, ""),
    ikebana: read("ikebana.yaml"),
    swanctl: read("swanctl.conf"),
    settings: existsSync(new URL("strongswan.conf", folder)) ? read("strongswan.conf") : "",
    expected: { ikebana: lines("expected/ikebana.txt"), strongswan: lines("expected/strongswan.txt") },
    plan: parse(read("scenario.yaml")),
  };
}

/** The first of the texts that no line of the log behind the line of its predecessor holds, or undefined. */
export function firstMissing(log: string, texts: readonly string[]): string | undefined {
  const lines = log.split("\n");
  let at = 0;
  let id = "\\d+";
  return texts.find((text) => {
    const pattern = new RegExp(text.split("<id>").map(escaped).join(`(${id})`));
    const found = lines.findIndex((line, index) => index >= at && pattern.test(line));
    if (found < 0) return true;
    id = pattern.exec(lines[found]!)![1] ?? id;
    at = found + 1;
    return false;
  });
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
