import type {
  ChildPolicy,
  ConnectionPolicy,
  LocalAuthentication,
  RemoteAuthentication,
} from "../../../src/policy/connection.ts";
import { parseIdentity } from "../../../src/policy/identity.ts";
import { parseEspProposal, parseIkeProposal } from "../../../src/policy/keywords.ts";
import { selectorsFromPrefixes } from "../../../src/policy/traffic-selectors.ts";

export const INITIATOR_ADDRESS = "192.0.2.1";
export const RESPONDER_ADDRESS = "192.0.2.2";

/** What a test says about one side; the rest is as usual. */
export interface PolicyOptions {
  readonly name?: string;
  readonly ike?: readonly string[];
  readonly esp?: readonly string[];
  readonly local?: readonly string[];
  readonly remote?: readonly string[];
  readonly psk?: string;
  readonly localId?: string;
  readonly remoteId?: string;
  readonly localAddress?: string | undefined;
  readonly remoteAddress?: string | undefined;
  readonly children?: readonly ChildPolicy[];
  readonly isChildless?: boolean;
  readonly encapsulation?: "auto" | "udp" | "raw";
  readonly liveness?: ConnectionPolicy["liveness"];
  readonly pathMtu?: ConnectionPolicy["pathMtu"];
  readonly ppk?: ConnectionPolicy["ppk"];
  readonly isMobile?: boolean;
  /** Whatever else there is. */
  readonly more?: Partial<ConnectionPolicy>;
}

/** a.example.org at 192.0.2.1 with 10.1.0.0/16 behind it, towards b. */
export function initiatorPolicy(options: PolicyOptions = {}): ConnectionPolicy {
  return policy({
    localId: "a.example.org",
    remoteId: "b.example.org",
    localAddress: INITIATOR_ADDRESS,
    remoteAddress: RESPONDER_ADDRESS,
    local: ["10.1.0.0/16"],
    remote: ["10.2.0.0/16"],
    ...options,
  });
}

/** b.example.org at 192.0.2.2 with 10.2.0.0/16 behind it, towards a. */
export function responderPolicy(options: PolicyOptions = {}): ConnectionPolicy {
  return policy({
    localId: "b.example.org",
    remoteId: "a.example.org",
    localAddress: RESPONDER_ADDRESS,
    remoteAddress: INITIATOR_ADDRESS,
    local: ["10.2.0.0/16"],
    remote: ["10.1.0.0/16"],
    ...options,
  });
}

function policy(options: PolicyOptions): ConnectionPolicy {
  const { name = "tunnel", psk = "a shared secret of some length", ike = DEFAULT_IKE } = options;
  const presharedKey = { kind: "psk", key: new TextEncoder().encode(psk) } as const;
  return {
    name,
    start: "respond",
    local: {
      address: options.localAddress,
      identity: parseIdentity(options.localId ?? "a.example.org"),
      authentication: presharedKey,
    },
    remote: {
      address: options.remoteAddress,
      port: 500,
      identity: parseIdentity(options.remoteId ?? "b.example.org"),
      authentication: [presharedKey],
    },
    ikeProposals: ike.map(parseIkeProposal),
    children: options.children ?? [childPolicy(options)],
    ...(options.encapsulation !== undefined && { encapsulation: options.encapsulation }),
    ...(options.isChildless !== undefined && { isChildless: options.isChildless }),
    ...(options.liveness !== undefined && { liveness: options.liveness }),
    ...(options.pathMtu !== undefined && { pathMtu: options.pathMtu }),
    ...(options.ppk !== undefined && { ppk: options.ppk }),
    ...(options.isMobile !== undefined && { isMobile: options.isMobile }),
    ...options.more,
  };
}

export function childPolicy(
  options: Pick<PolicyOptions, "name" | "local" | "remote" | "esp"> = {},
): ChildPolicy {
  const { name = "lan", local = [], remote = [], esp = DEFAULT_ESP } = options;
  return {
    name,
    local: selectorsFromPrefixes(local),
    remote: selectorsFromPrefixes(remote),
    espProposals: esp.map(parseEspProposal),
    replayWindowPackets: 1024,
  };
}

const DEFAULT_IKE = ["aes256gcm16-prfsha256-x25519"];
const DEFAULT_ESP = ["aes256gcm16"];

/** `policy`, with each side showing who it is in these ways. */
export function authenticating(
  policy: ConnectionPolicy,
  ways: {
    readonly local?: LocalAuthentication;
    readonly remote?: readonly RemoteAuthentication[];
    /** Anybody who can show who they are. */
    readonly isForAnybody?: boolean;
  },
): ConnectionPolicy {
  const { local = policy.local.authentication, remote = policy.remote.authentication } = ways;
  return {
    ...policy,
    local: { ...policy.local, authentication: local },
    remote: {
      ...policy.remote,
      authentication: remote,
      ...(ways.isForAnybody === true && { identity: undefined }),
    },
  };
}
