import type { Limits } from "../../../src/ike/limits.ts";
import type { SocketAddress } from "../../../src/platform/address.ts";
import { Link } from "./link.ts";
import { childPolicy, initiatorPolicy, RESPONDER_ADDRESS, responderPolicy } from "./policies.ts";
import { SimulatedMachine } from "./simulated-machine.ts";

/** A gateway, and clients that come to it from behind NATs of their own. */
export interface Gateway {
  readonly gateway: SimulatedMachine;
  readonly clients: readonly SimulatedMachine[];
  readonly link: Link;
  /** The client's NAT shows it under another address and port from now on; what is sent to the old one is lost. */
  readonly rebind: (client: number) => void;
  /** Where the gateway sees the client's port 4500 now. */
  readonly outsideOf: (client: number) => SocketAddress;
}

/** Client i is called ci.example.org and has 10.1.i.0/24; connection and child are called ci on both sides. */
export function gatewayWithClients(options: {
  readonly seed: number;
  readonly clientCount: number;
  readonly limits?: Partial<Limits>;
}): Gateway {
  const { seed, clientCount, limits = {} } = options;
  const link = new Link();
  const indices = Array.from({ length: clientCount }, (_, i) => i);
  const addressOf = (i: number): string => `192.0.2.${10 + i}`;
  const add = (
    facts: Omit<ConstructorParameters<typeof SimulatedMachine>[0], "limits" | "clock" | "transmit">,
  ) => {
    const machine: SimulatedMachine = new SimulatedMachine({
      ...facts,
      limits,
      clock: link,
      transmit: (octets, path) => link.transmit(machine, octets, path),
    });
    link.add(machine);
    return machine;
  };
  const clients = indices.map((i) =>
    add({
      name: `c${i}`,
      address: addressOf(i),
      seed: (clientCount + 1) * seed + i,
      connections: [
        initiatorPolicy({
          name: `c${i}`,
          localId: `c${i}.example.org`,
          localAddress: addressOf(i),
          children: [childPolicy({ name: `c${i}`, local: [`10.1.${i}.0/24`], remote: ["10.2.0.0/16"] })],
        }),
      ],
    }),
  );
  const gateway = add({
    name: "gateway",
    address: RESPONDER_ADDRESS,
    seed: (clientCount + 1) * seed + clientCount,
    connections: indices.map((i) =>
      responderPolicy({
        name: `c${i}`,
        remoteId: `c${i}.example.org`,
        remoteAddress: undefined,
        children: [childPolicy({ name: `c${i}`, local: ["10.2.0.0/16"], remote: [`10.1.${i}.0/24`] })],
      }),
    ),
  });
  const mappings = indices.map(() => 0);
  const outside = (i: number, port: number): SocketAddress => ({
    address: `198.51.100.${i * 50 + (mappings[i]! % 50)}`,
    port: port + 10 * mappings[i]!,
  });
  const rebind = (i: number): void => {
    mappings[i]!++;
    for (const port of [500, 4500])
      link.translate({ address: addressOf(i), port }, outside(i, port + 10_000));
  };
  for (const i of indices) rebind(i);
  return { gateway, clients, link, rebind, outsideOf: (i) => outside(i, 14_500) };
}
