import { PolicyError } from "../errors/index.ts";
import { ExchangeType, nameOf } from "../iana/ikev2-parameters.ts";
import type { Outgoing } from "../ike/impair.ts";
import type { DatagramSender } from "../platform/udp/udp-socket.ts";
import { decodeHeader, type Header } from "../wire/message.ts";
import type { Payload } from "../wire/payloads/payload.ts";
import { classifyDatagram, decodeNonEspMarker } from "../wire/udp-encapsulation.ts";
import type { Host } from "./host.ts";

// Faults on purpose, as libreswan's "impair" has them, so that tests see what the healthy side makes of a daemon that misbehaves. They
// come from the environment alone, and a daemon says at its start that it has some:
//
//   IKEBANA_IMPAIR="drop=CREATE_CHILD_SA-response:1 wider-ts"
//
// What happens to datagrams (FAULT=EXCHANGE, FAULT=EXCHANGE-request or -response, and behind a colon to how many of them):
const DATAGRAM_FAULTS = ["drop", "duplicate", "corrupt", "delay", "replay", "ignore"] as const;
// What messages say, before they are protected:
const MESSAGE_FAULTS: Readonly<Record<string, (outgoing: Outgoing) => Outgoing>> = {
  "wrong-delete-spi": inPayloads((payload) =>
    payload.kind === "delete" && payload.spis.length > 0
      ? { ...payload, spis: payload.spis.map(flipped) }
      : payload,
  ),
  "corrupt-auth": inPayloads((payload) =>
    payload.kind === "authentication" ? { ...payload, data: flipped(payload.data) } : payload,
  ),
  "wider-ts": inPayloads((payload) =>
    payload.kind === "traffic-selectors-initiator" || payload.kind === "traffic-selectors-responder"
      ? { ...payload, selectors: payload.selectors.map(widened) }
      : payload,
  ),
  "skip-message-id": (outgoing) => {
    const { header } = outgoing;
    if (header.isResponse || header.messageId < 3) return outgoing;
    return { ...outgoing, header: { ...header, messageId: header.messageId + 5 } };
  },
  "wrong-ike-spi": (outgoing) => {
    const { header } = outgoing;
    if (header.isResponse || header.messageId < 2) return outgoing;
    return { ...outgoing, header: { ...header, responderSpi: header.responderSpi ^ 1n } };
  },
};
// What it does by itself: nothing is ever sent twice; whoever rekeys an SA finds us rekeying it too.
const HABITS = ["no-retransmit", "collide"] as const;

type DatagramFault = (typeof DATAGRAM_FAULTS)[number];

/** What is wrong with a daemon. */
export interface Impairment {
  /** As it was asked for. */
  readonly text: string;
  message(outgoing: Outgoing): Outgoing;
  /** Whether a datagram that comes in makes us rekey beside the peer. */
  collides(octets: Uint8Array): boolean;
}

interface Rule {
  readonly fault: DatagramFault;
  readonly exchangeType: number;
  /** Undefined: both. */
  readonly isResponse: boolean | undefined;
  remaining: number;
}

const DELAY_MS = 700;
/** Datagrams of ours that "no-retransmit" remembers. */
const MEMORY = 256;

/** The host with faults. Throws PolicyError for a word that it does not know. */
export function impairHost(host: Host, text: string): Host & { readonly impairment: Impairment } {
  const words = text.split(/[\s,]+/).filter((word) => word !== "");
  const rules = words.map(readRule).filter((rule) => rule !== undefined);
  const messages = words.flatMap((word) => MESSAGE_FAULTS[word] ?? []);
  const has = (habit: (typeof HABITS)[number]): boolean => words.includes(habit);
  const take = (fault: DatagramFault, header: Header): boolean => {
    const rule = rules.find((each) => each.fault === fault && matches(each, header));
    if (rule !== undefined) rule.remaining--;
    return rule !== undefined;
  };
  return {
    ...host,
    impairment: {
      text,
      message: (outgoing) => messages.reduce((result, impair) => impair(result), outgoing),
      collides: (octets) => {
        const header = headerOf(octets);
        return has("collide") && header?.exchangeType === ExchangeType.CREATE_CHILD_SA && !header.isResponse;
      },
    },
    open: async (config, listener) => {
      const open = await host.open(config, {
        ...listener,
        onIkeDatagram: (datagram) => {
          const header = headerOf(datagram.octets);
          if (header === undefined || !take("ignore", header)) listener.onIkeDatagram(datagram);
        },
      });
      return { ...open, sender: impairSender(open.sender, take, has("no-retransmit")) };
    },
  };
}

function impairSender(
  sender: DatagramSender,
  take: (fault: DatagramFault, header: Header) => boolean,
  neverTwice: boolean,
): DatagramSender {
  const sent: string[] = [];
  let before: Parameters<DatagramSender["send"]>[0] | undefined;
  return {
    send: (datagram) => {
      const header = headerOf(datagram.octets);
      if (header === undefined) return sender.send(datagram);
      if (neverTwice) {
        const text = Buffer.from(datagram.octets).toString("latin1");
        if (sent.includes(text)) return undefined;
        sent.push(text);
        if (sent.length > MEMORY) sent.shift();
      }
      if (take("drop", header)) return undefined;
      if (take("corrupt", header)) return sender.send({ ...datagram, octets: flipped(datagram.octets) });
      const kept = { ...datagram, octets: datagram.octets.slice() };
      if (take("delay", header)) {
        setTimeout(() => sender.send(kept), DELAY_MS);
        return undefined;
      }
      const failure = sender.send(datagram);
      if (take("duplicate", header)) sender.send(kept);
      if (take("replay", header) && before !== undefined) sender.send(before);
      before = kept;
      return failure;
    },
  };
}

function readRule(word: string): Rule | undefined {
  const parts = /^([a-z]+)=([A-Z_]+)(?:-(request|response))?(?::([0-9]+))?$/.exec(word);
  const isHabit = HABITS.some((habit) => habit === word);
  if (parts === null && (isHabit || MESSAGE_FAULTS[word] !== undefined)) return undefined;
  const [, name, exchange, direction, count] = parts ?? [];
  const fault = DATAGRAM_FAULTS.find((each) => each === name);
  const exchangeType = Object.values(ExchangeType).find((type) => nameOf(ExchangeType, type) === exchange);
  if (fault === undefined || exchangeType === undefined)
    throw new PolicyError(`IKEBANA_IMPAIR: no fault is called "${word}"`);
  return {
    fault,
    exchangeType,
    isResponse: direction === undefined ? undefined : direction === "response",
    remaining: count === undefined ? Number.POSITIVE_INFINITY : Number(count),
  };
}

function matches({ exchangeType, isResponse, remaining }: Rule, header: Header): boolean {
  return (
    remaining > 0 &&
    exchangeType === header.exchangeType &&
    (isResponse === undefined || isResponse === header.isResponse)
  );
}

/** Of an IKE datagram with or without its non-ESP marker; undefined for anything else. */
function headerOf(octets: Uint8Array): Header | undefined {
  const message = classifyDatagram(octets) === "ike" ? decodeNonEspMarker(octets) : octets;
  return message.length < HEADER_LENGTH ? undefined : decodeHeader(message);
}

const HEADER_LENGTH = 28;

function inPayloads(change: (payload: Payload) => Payload): (outgoing: Outgoing) => Outgoing {
  return ({ header, payloads }) => ({ header, payloads: payloads.map(change) });
}

/** The last bit is another: of a protected message that is the ICV's. */
function flipped(octets: Uint8Array): Uint8Array {
  const copy = octets.slice();
  copy[copy.length - 1]! ^= 1;
  return copy;
}

/** Every address of the family. */
function widened<Selector extends { readonly startAddress: Uint8Array; readonly endAddress: Uint8Array }>(
  selector: Selector,
): Selector {
  return {
    ...selector,
    startAddress: new Uint8Array(selector.startAddress.length),
    endAddress: new Uint8Array(selector.endAddress.length).fill(0xff),
  };
}
