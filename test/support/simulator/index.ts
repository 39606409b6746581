import type { Limits } from "../../../src/ike/limits.ts";
import type { ConnectionPolicy } from "../../../src/policy/connection.ts";
import { Link } from "./link.ts";
import {
  INITIATOR_ADDRESS,
  initiatorPolicy,
  type PolicyOptions,
  RESPONDER_ADDRESS,
  responderPolicy,
} from "./policies.ts";
import { SimulatedMachine } from "./simulated-machine.ts";

export type { Fate, InFlight } from "./link.ts";
export { Link } from "./link.ts";
export * from "./policies.ts";
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
}): Pair {
  const { seed, common, limits = {} } = options;
  const link = new Link();
  const add = (facts: { name: string; address: string; seed: number; connections: ConnectionPolicy[] }) => {
    const machine: SimulatedMachine = new SimulatedMachine({
      ...facts,
      limits,
      clock: link,
      transmit: (octets, path) => link.transmit(machine, octets, path),
    });
    link.add(machine);
    return machine;
  };
  const initiator = add({
    name: "initiator",
    address: INITIATOR_ADDRESS,
    seed: 2 * seed,
    connections: [initiatorPolicy({ ...common, ...options.initiator })],
  });
  const responder = add({
    name: "responder",
    address: RESPONDER_ADDRESS,
    seed: 2 * seed + 1,
    connections: [responderPolicy({ ...common, ...options.responder })],
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
