import {
  ReferenceSa,
  type ReferenceSaFacts,
  referenceDecapsulate,
  referenceEncapsulate,
} from "../../src/esp/reference.ts";
import { TransformType } from "../../src/iana/ikev2-parameters.ts";
import { findTransform } from "../../src/policy/transforms.ts";
import { innerPacket } from "../support/inner-packets.ts";
import { type ClientChild, espTransforms, type StockClient } from "./stock-client.ts";

/**
 * The inside of a connection: the client's end is node:crypto with the keys that the client has derived itself, the gateway's its kernel
 * with what its IKE machine hands to the data plane.
 */
export class Tunnel {
  readonly #client: StockClient;
  #child: ClientChild | undefined;
  #inbound: ReferenceSa | undefined;
  #outbound: ReferenceSa | undefined;

  constructor(client: StockClient) {
    this.#client = client;
  }

  /** A packet each way. Returns for each "ok", or why it has not arrived as it was. */
  carry(from: string, to: string): { readonly up: string; readonly down: string } {
    const child = this.#client.child!;
    if (child !== this.#child) this.#take(child);
    const { bed, gateway } = this.#client.access;
    const asked = innerPacket({ source: from, destination: to, sourcePort: 40_000, destinationPort: 53 });
    const sealed = referenceEncapsulate([{ action: "protect", sa: this.#outbound! }], asked);
    if (sealed.status !== "ok") return { up: `client: ${sealed.status}`, down: "unsent" };
    const [opened] = bed.decapsulate([sealed.octets]);
    const up = opened!.status === "ok" ? verdict(opened!.octets, asked) : opened!.status;
    gateway.receivePacket(child.outboundSpi);

    const answer = innerPacket({ source: to, destination: from, sourcePort: 53, destinationPort: 40_000 });
    const [answered] = bed.encapsulate([answer]);
    if (answered!.status !== "ok") return { up, down: answered!.status };
    const [read] = referenceDecapsulate(new Map([[child.inboundSpi, this.#inbound!]]), [answered!.octets]);
    return { up, down: read!.status === "ok" ? verdict(read!.packet, answer) : `client: ${read!.status}` };
  }

  /** Both ends are keyed, and the gateway sends through this child SA from now on. */
  #take(child: ClientChild): void {
    const { bed, gateway } = this.#client.access;
    const inboundSpi = child.outboundSpi;
    const childSa = gateway.installed.get(inboundSpi);
    if (childSa === undefined) throw new Error("the gateway has installed no such child SA");
    this.#child = child;
    this.#inbound = referenceSa(child, "inbound");
    this.#outbound = referenceSa(child, "outbound");
    const record = {
      ...childSa,
      ...UNLIMITED,
      inboundKey: childSa.inboundKey.slice(),
      outboundKey: childSa.outboundKey.slice(),
      selectors: childSa,
      clampsMss: true,
      path: { socket: 0, peer: new Uint8Array(16), control: new Uint8Array(32) },
    };
    bed.adopt(record, this.#outbound);
    bed.spd.replace([{ action: "protect", inboundSpi }]);
  }
}

function referenceSa(child: ClientChild, way: "inbound" | "outbound"): ReferenceSa {
  const facts: ReferenceSaFacts = {
    ...UNLIMITED,
    ...espTransforms(child.proposal),
    spi: way === "inbound" ? child.inboundSpi : child.outboundSpi,
    key: way === "inbound" ? child.inboundKey : child.outboundKey,
    ivKey: new Uint8Array(16).fill(0x11),
    esn: findTransform(child.proposal, TransformType.ESN)?.id === 1,
    selectors: child,
  };
  return new ReferenceSa(facts);
}

const UNLIMITED = {
  replayWindowPackets: 1024,
  packetLimit: Number.POSITIVE_INFINITY,
  octetLimit: Number.POSITIVE_INFINITY,
  copyDscp: "out",
  df: "set",
} as const;

function verdict(arrived: Uint8Array, sent: Uint8Array): string {
  return Buffer.compare(arrived, sent) === 0 ? "ok" : "another packet";
}
