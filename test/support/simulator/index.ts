import { ExchangeType } from "../../../src/iana/ikev2-parameters.ts";
import type { Impair } from "../../../src/ike/impair.ts";
import type { Limits } from "../../../src/ike/limits.ts";
import type { AddressSource } from "../../../src/ike/machine.ts";
import type { ConnectionPolicy } from "../../../src/policy/connection.ts";
import { Link } from "./link.ts";
import {
  INITIATOR_ADDRESS,
  initiatorPolicy,
  type PolicyOptions,
  RESPONDER_ADDRESS,
  responderPolicy,
} from "./policies.ts";
import { ScriptedPeer } from "./scripted-peer.ts";
import { SimulatedMachine } from "./simulated-machine.ts";

export type { Fate } from "../faults.ts";
export { Link } from "./link.ts";
export * from "./policies.ts";
export { type RawPayload, raw, ScriptedPeer } from "./scripted-peer.ts";
export { SeededRandom } from "./seeded-random.ts";
export { SimulatedMachine } from "./simulated-machine.ts";

export interface Pair {
  readonly initiator: SimulatedMachine;
  readonly responder: SimulatedMachine;
  readonly link: Link;
}

/** Two machines that know each other, and the link between them. */
export function pair(options: {
  readonly seed: number;
  /** For both sides. */
  readonly common?: PolicyOptions;
  readonly initiator?: PolicyOptions;
  readonly responder?: PolicyOptions;
  readonly limits?: Partial<Limits>;
  /** Of both machines, which then probe the path. */
  readonly linkMtu?: number;
  /** Of the responder. */
  readonly addresses?: AddressSource;
  /** What the responder's messages become, and the initiator's. */
  readonly impair?: Impair;
  readonly impairInitiator?: Impair;
  /** Addresses that either has or may have some time, of which the first is its own at first. They do MOBIKE then. */
  readonly mobile?: { readonly initiator: readonly string[]; readonly responder: readonly string[] };
  /** Whether there is TCP as well. */
  readonly hasTcp?: boolean;
}): Pair {
  const { seed, common, limits = {}, linkMtu, mobile, hasTcp = false } = options;
  const link = new Link();
  const add = (facts: {
    name: string;
    address: string;
    seed: number;
    connections: ConnectionPolicy[];
    addresses?: AddressSource;
    further?: readonly string[] | undefined;
    impair?: Impair;
  }) => {
    const machine: SimulatedMachine = new SimulatedMachine({
      ...facts,
      ...(facts.further && { owned: [facts.address] }),
      ...(hasTcp && { openStream: (ends) => link.openStream(machine, ends) }),
      limits,
      linkMtu,
      clock: link,
      transmit: (octets, path) => link.transmit(machine, octets, path),
    });
    link.add(machine, facts.further);
    return machine;
  };
  const roaming = mobile && { localAddress: undefined };
  const initiator = add({
    name: "initiator",
    address: mobile?.initiator[0] ?? INITIATOR_ADDRESS,
    further: mobile?.initiator,
    seed: 2 * seed,
    ...(options.impairInitiator && { impair: options.impairInitiator }),
    connections: [initiatorPolicy({ ...common, ...roaming, ...options.initiator })],
  });
  const responder = add({
    name: "responder",
    address: mobile?.responder[0] ?? RESPONDER_ADDRESS,
    further: mobile?.responder,
    seed: 2 * seed + 1,
    ...(options.addresses && { addresses: options.addresses }),
    ...(options.impair && { impair: options.impair }),
    connections: [
      responderPolicy({
        ...common,
        ...(mobile && { ...roaming, remoteAddress: undefined }),
        ...options.responder,
      }),
    ],
  });
  return { initiator, responder, link };
}

/** A pair with an established IKE SA and its child SA. */
export function establishedPair(options: Parameters<typeof pair>[0]): Pair {
  const all = pair(options);
  all.initiator.connect();
  all.link.deliverAll();
  return all;
}

/** A machine that has answered the scripted peer's IKE_SA_INIT; IKE_AUTH has not begun. */
export function scriptedInitiator(
  options: { readonly seed: number; readonly limits?: Partial<Limits> } & {
    readonly peer?: PolicyOptions;
    readonly responder?: PolicyOptions;
  },
): { readonly peer: ScriptedPeer; readonly machine: SimulatedMachine; readonly link: Link } {
  const { responder: machine, link } = pair(options);
  const peer = new ScriptedPeer({
    role: "initiator",
    policy: initiatorPolicy(options.peer),
    seed: options.seed + 7000,
  });
  peer.send(machine, peer.init());
  peer.agree(link.take().octets);
  return { peer, machine, link };
}

/** The same with IKE_AUTH behind it. The peer's next message ID is 2, the machine's 0. */
export function scriptedEstablished(
  options: Parameters<typeof scriptedInitiator>[0],
): ReturnType<typeof scriptedInitiator> {
  const all = scriptedInitiator(options);
  const { peer, machine, link } = all;
  const { IKE_AUTH: exchangeType } = ExchangeType;
  peer.send(machine, peer.seal({ exchangeType, messageId: 1, payloads: peer.authPayloads() }));
  link.take();
  return all;
}

/** An initiator whose IKE_AUTH request the scripted responder holds. */
export function scriptedResponder(options: {
  readonly seed: number;
  readonly initiator?: PolicyOptions;
  readonly peer?: PolicyOptions;
  readonly limits?: Partial<Limits>;
}): { readonly peer: ScriptedPeer; readonly machine: SimulatedMachine; readonly link: Link } {
  const { initiator: machine, link } = pair(options);
  const peer = new ScriptedPeer({
    role: "responder",
    policy: responderPolicy(options.peer),
    seed: options.seed + 7000,
  });
  machine.connect();
  peer.agree(link.take().octets);
  peer.send(machine, peer.init());
  return { peer, machine, link };
}
