import { describe, expect, test } from "vitest";
import { ExchangeType, NotifyType } from "../../src/iana/ikev2-parameters.ts";
import { findNotify } from "../../src/ike/payloads.ts";
import { decodeHeader, decodeMessage } from "../../src/wire/message.ts";
import {
  INITIATOR_ADDRESS,
  initiatorPolicy,
  Link,
  RESPONDER_ADDRESS,
  responderPolicy,
  SimulatedMachine,
} from "../support/simulator/index.ts";

const SECRETS = [new Uint8Array(32).fill(7), new Uint8Array(32).fill(8)] as const;

/** A client and a gateway with crash detection, and a way to give either of them another life. */
function pairWithSecrets(secrets: readonly (Uint8Array | undefined)[] = SECRETS) {
  const link = new Link();
  const start = (who: 0 | 1, seed: number): SimulatedMachine => {
    const machine: SimulatedMachine = new SimulatedMachine({
      name: who === 0 ? "client" : "gateway",
      address: who === 0 ? INITIATOR_ADDRESS : RESPONDER_ADDRESS,
      connections: [who === 0 ? initiatorPolicy() : responderPolicy()],
      seed,
      crashSecret: secrets[who],
      clock: link,
      transmit: (octets, path) => link.transmit(machine, octets, path),
    });
    link.add(machine);
    return machine;
  };
  const client = start(0, 1);
  const gateway = start(1, 2);
  client.connect();
  link.deliverAll();
  return { link, client, gateway, start };
}

function tokenIn(octets: Uint8Array): Uint8Array | undefined {
  return findNotify(decodeMessage(octets).payloads, NotifyType.QUICK_CRASH_DETECTION)?.data;
}

test("a gateway that was started again shows so, and its client gives the IKE SA up with the first message", () => {
  const { link, client, start } = pairWithSecrets();
  start(1, 3);
  client.handle({ kind: "liveness", connection: "tunnel" });
  link.deliver(); // --> INFORMATIONAL
  link.deliver(); // <-- { INVALID_IKE_SPI, QUICK_CRASH_DETECTION }
  expect(client.ikeSas).toHaveLength(0);
  expect(client.installed.size).toBe(0);
  expect(client.event("ike-sa-deleted")!.facts.reason).toBe("peer-restarted");
  client.connect();
  link.deliverAll();
  expect(client.state).toBe("established");
});

test("so does a client, to a gateway that asks it", () => {
  const { link, gateway, start } = pairWithSecrets();
  start(0, 3);
  gateway.handle({ kind: "liveness", connection: "tunnel" });
  link.deliverAll();
  expect(gateway.event("ike-sa-deleted")!.facts.reason).toBe("peer-restarted");
});

test("behind a rekeying the token is another, and works as well", () => {
  const { link, client, start } = pairWithSecrets();
  client.rekey("ike");
  link.deliverAll();
  start(1, 3);
  client.handle({ kind: "liveness", connection: "tunnel" });
  link.deliverAll();
  expect(client.event("ike-sa-deleted")!.facts.reason).toBe("peer-restarted");
});

test("an IKE SA that one side knows and the other is about to is no lost one: its token goes to nobody", () => {
  const { link, client, gateway } = pairWithSecrets();
  gateway.handle({ kind: "liveness", connection: "tunnel" });
  const early = link.take();
  client.rekey("ike");
  link.deliver(); // --> CREATE_CHILD_SA { SA, Ni, KEi }
  link.take(); // <-- { SA, Nr, KEr } is on its way for long
  const fresh = gateway.ikeSas.at(-1)!;
  const view = new DataView(early.octets.buffer, early.octets.byteOffset);
  view.setBigUint64(0, BigInt(`0x${fresh.initiatorSpi}`));
  view.setBigUint64(8, BigInt(`0x${fresh.responderSpi}`));
  client.handle({ kind: "datagram", octets: early.octets, path: early.path });
  expect(link.inFlight).toEqual([]);
  // As if the other side had begun.
  early.octets[19]! ^= 0x08;
  client.handle({ kind: "datagram", octets: early.octets, path: early.path });
  expect(decodeHeader(link.take().octets).responderSpi).toBe(BigInt(`0x${fresh.responderSpi}`));
  expect(tokenIn(link.transmitted.at(-1)!.octets)).toBeUndefined();
});

describe("nothing ends by", () => {
  test("the token of another secret, as somebody has it who is not the gateway", () => {
    const { link, client, start } = pairWithSecrets();
    const other = start(1, 3);
    expect(other.ikeSas).toHaveLength(0);
    const stranger = new SimulatedMachine({
      name: "stranger",
      address: RESPONDER_ADDRESS,
      connections: [],
      seed: 4,
      crashSecret: new Uint8Array(32).fill(9),
      clock: link,
      transmit: (octets, path) => link.transmit(stranger, octets, path),
    });
    link.add(stranger);
    client.handle({ kind: "liveness", connection: "tunnel" });
    link.deliverAll();
    expect(client.state).toBe("established");
  });

  test("an answer without a token, from a gateway that has none", () => {
    const { link, client, start } = pairWithSecrets([SECRETS[0], undefined]);
    start(1, 3);
    client.handle({ kind: "liveness", connection: "tunnel" });
    link.deliverAll();
    expect(client.state).toBe("established");
  });

  test("what a gateway tells that has the IKE SA, however it is asked: its token goes to nobody", () => {
    const { link, client, gateway } = pairWithSecrets();
    client.handle({ kind: "liveness", connection: "tunnel" });
    const request = link.take();
    const header = decodeHeader(request.octets);
    expect(header.exchangeType).toBe(ExchangeType.INFORMATIONAL);
    const flags = 19;
    const spis = [0, 8] as const;
    const asked: Uint8Array[] = [];
    // As if we were the responder; with another SPI in either place.
    for (const change of [
      (octets: Uint8Array) => {
        octets[flags]! ^= 0x08;
      },
      ...spis.map((at) => (octets: Uint8Array) => {
        octets[at]! ^= 1;
      }),
      ...spis.map((at) => (octets: Uint8Array) => {
        octets[at]! ^= 1;
        octets[flags]! ^= 0x08;
      }),
    ]) {
      const octets = request.octets.slice();
      change(octets);
      gateway.handle({ kind: "datagram", octets, path: request.path });
      while (link.inFlight.length > 0) asked.push(link.take().octets);
    }
    const { initiatorSpi, responderSpi } = header;
    const ofLive = asked.filter((octets) => {
      const answer = decodeHeader(octets);
      return answer.initiatorSpi === initiatorSpi && answer.responderSpi === responderSpi;
    });
    expect(ofLive.map(tokenIn).filter((token) => token !== undefined)).toEqual([]);
    // And what was given for others is not the token of this one.
    for (const octets of asked) {
      const forged = octets.slice();
      forged.set(request.octets.subarray(0, 16), 0);
      client.handle({
        kind: "datagram",
        octets: forged,
        path: { local: request.path.remote, remote: request.path.local },
      });
    }
    expect(client.state).toBe("established");
  });
});
