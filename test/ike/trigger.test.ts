import { describe, expect, test } from "vitest";
import { find } from "../../src/ike/payloads.ts";
import { selectorsOfPacket } from "../../src/policy/packet-selectors.ts";
import { formatTrafficSelector } from "../../src/policy/traffic-selectors.ts";
import type { Payload } from "../../src/wire/payloads/payload.ts";
import { innerPacket } from "../support/inner-packets.ts";
import { expectEstablished } from "../support/simulator/expectations.ts";
import { childPolicy, pair, responderPolicy, ScriptedPeer } from "../support/simulator/index.ts";

function triggerOf(child: string, source: string, destination: string) {
  const packet = innerPacket({ source, destination, sourcePort: 40_000, destinationPort: 53 });
  return { child, ...selectorsOfPacket(packet)! };
}

function offeredTo(peer: ScriptedPeer, octets: Uint8Array): readonly (readonly string[])[] {
  const { payloads } = peer.open(octets);
  const list = (kind: "traffic-selectors-initiator" | "traffic-selectors-responder") =>
    (find(payloads as Payload[], kind)?.selectors ?? []).map(formatTrafficSelector);
  return [list("traffic-selectors-initiator"), list("traffic-selectors-responder")];
}

const LAN = childPolicy({ name: "lan", local: ["10.1.0.0/16"], remote: ["10.2.0.0/16"] });
const DMZ = childPolicy({ name: "dmz", local: ["10.1.0.0/16"], remote: ["10.3.0.0/16"] });

describe("the packet that calls for a connection", () => {
  test("stands in front of the selectors of its child, which goes with IKE_AUTH; the other child follows without it", () => {
    const options = { children: [LAN, DMZ] };
    const { initiator, link } = pair({ seed: 1, initiator: options });
    const peer = new ScriptedPeer({ role: "responder", policy: responderPolicy(), seed: 7 });
    const trigger = triggerOf("dmz", "10.1.0.5", "10.3.0.9");
    initiator.handle({ kind: "initiate", connection: "tunnel", trigger });
    peer.agree(link.take().octets);
    peer.send(initiator, peer.init());
    expect(offeredTo(peer, link.take().octets)).toEqual([
      ["10.1.0.5/32[udp/40000]", "10.1.0.0/16"],
      ["10.3.0.9/32[udp/53]", "10.3.0.0/16"],
    ]);
  });

  test("brings up both sides with whole selectors, and both children", () => {
    const mirrored = [LAN, DMZ].map(({ name, local, remote, ...rest }) => ({
      ...rest,
      name,
      local: remote,
      remote: local,
    }));
    const all = pair({ seed: 2, initiator: { children: [LAN, DMZ] }, responder: { children: mirrored } });
    const { initiator, responder, link } = all;
    const trigger = triggerOf("dmz", "10.1.0.5", "10.3.0.9");
    initiator.handle({ kind: "initiate", connection: "tunnel", trigger });
    link.deliverAll();
    expect(initiator.childSas.map(({ name, local, remote }) => ({ name, local, remote }))).toEqual([
      { name: "dmz", local: ["10.1.0.0/16"], remote: ["10.3.0.0/16"] },
      { name: "lan", local: ["10.1.0.0/16"], remote: ["10.2.0.0/16"] },
    ]);
    expect(responder.installed.size).toBe(2);
  });

  test("stands in front when its child SA alone is missing", () => {
    const { initiator, responder, link } = pair({ seed: 3 });
    initiator.connect();
    link.deliverAll();
    initiator.handle({ kind: "terminate", connection: "tunnel", child: "lan" });
    link.deliverAll();
    const before = link.transmitted.length;
    initiator.handle({
      kind: "initiate",
      connection: "tunnel",
      trigger: triggerOf("lan", "10.1.0.5", "10.2.0.9"),
    });
    link.deliverAll();
    expectEstablished(initiator, responder);
    expect(link.transmitted.length).toBe(before + 2);
    // Whoever rekeys it later asks for what there is (RFC 7296 section 2.9.2).
    initiator.rekey("children");
    link.deliverAll();
    expectEstablished(initiator, responder);
    expect(initiator.childSas[0]!.remote).toEqual(["10.2.0.0/16"]);
  });

  test("decides, at a responder whose children each take a part of what is offered, which of them it is", () => {
    const parts = ["10.2.0.0/24", "10.2.1.0/24"].map((prefix, i) =>
      childPolicy({ name: `part${i}`, local: [prefix], remote: ["10.1.0.0/16"] }),
    );
    for (const i of [0, 1]) {
      const { initiator, responder, link } = pair({ seed: 4 + i, responder: { children: parts } });
      const trigger = triggerOf("lan", "10.1.0.5", `10.2.${i}.9`);
      initiator.handle({ kind: "initiate", connection: "tunnel", trigger });
      link.deliverAll();
      expect(responder.childSas.map(({ name }) => name)).toEqual([`part${i}`]);
      expect(initiator.childSas[0]!.remote).toEqual([`10.2.${i}.0/24`]);
    }
  });
});

test("an IKE SA that has been replaced, and that the peer never deletes, is no reason not to begin anew", () => {
  const { initiator, responder, link } = pair({ seed: 8 });
  initiator.connect();
  link.deliverAll();
  initiator.rekey("ike");
  link.deliver(); // --> CREATE_CHILD_SA { SA, Ni, KEi }
  link.deliver(); // <-- CREATE_CHILD_SA { SA, Nr, KEr }
  link.drop(); // --> INFORMATIONAL { D(IKE) } of the old one
  initiator.handle({ kind: "liveness", connection: "tunnel" });
  link.deliverAll();
  expect(responder.ikeSas.map(({ state }) => state)).toEqual(["rekeyed", "established"]);
  initiator.disconnect();
  link.deliverAll();
  expect(responder.ikeSas.map(({ state }) => state)).toEqual(["rekeyed"]);
  responder.connect();
  link.deliverAll();
  expect(responder.ikeSas.map(({ state }) => state)).toEqual(["rekeyed", "established"]);
});
