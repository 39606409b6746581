import { describe, expect, test } from "vitest";
import { ExchangeType, NotifyType } from "../../src/iana/ikev2-parameters.ts";
import { find, notify } from "../../src/ike/payloads.ts";
import { decodeHeader } from "../../src/wire/message.ts";
import { expectEstablished, expectMirrored } from "../support/simulator/expectations.ts";
import {
  childPolicy,
  establishedPair,
  pair,
  responderPolicy,
  scriptedEstablished,
} from "../support/simulator/index.ts";
import { Traffic } from "../support/simulator/traffic.ts";

const { CREATE_CHILD_SA, INFORMATIONAL, IKE_SA_INIT } = ExchangeType;
const HOUR = 3_600_000;
const NEVER = Number.POSITIVE_INFINITY;

/** A peer that answers every CREATE_CHILD_SA with one notification, and everything else with nothing; when it was asked. */
function askAgainst(
  notifyType: number,
  facts: { readonly until: number; readonly what: "ike" | "children" },
) {
  const all = scriptedEstablished({
    seed: 1,
    limits: { livenessMs: NEVER, ikeRekeyMs: NEVER, childRekeyMs: NEVER },
  });
  const { peer, machine, link } = all;
  const asked: number[] = [];
  link.fate = () => [0];
  machine.rekey(facts.what);
  while (link.now < facts.until) {
    while (link.inFlight.length > 0) {
      const { octets } = link.take();
      const { exchangeType, messageId, isResponse } = decodeHeader(octets);
      if (isResponse || exchangeType === IKE_SA_INIT) continue;
      const payloads = exchangeType === CREATE_CHILD_SA ? [notify(notifyType)] : [];
      if (exchangeType === CREATE_CHILD_SA) asked.push(link.now);
      peer.send(machine, peer.seal({ exchangeType, messageId, payloads, isResponse: true }));
    }
    if (machine.endpoint.deadline === undefined) break;
    link.advanceTo(Math.min(facts.until, machine.endpoint.deadline.at));
  }
  return { ...all, asked };
}

describe("a peer that refuses to rekey", () => {
  test.each([
    ["a child SA with NO_ADDITIONAL_SAS", NotifyType.NO_ADDITIONAL_SAS, "children"],
    ["a child SA with NO_PROPOSAL_CHOSEN", NotifyType.NO_PROPOSAL_CHOSEN, "children"],
    ["a child SA with TS_UNACCEPTABLE", NotifyType.TS_UNACCEPTABLE, "children"],
    ["a child SA with TEMPORARY_FAILURE for ever", NotifyType.TEMPORARY_FAILURE, "children"],
    ["a child SA with an error that nobody knows", 8_191, "children"],
    ["the IKE SA with NO_PROPOSAL_CHOSEN", NotifyType.NO_PROPOSAL_CHOSEN, "ike"],
    ["the IKE SA with NO_ADDITIONAL_SAS", NotifyType.NO_ADDITIONAL_SAS, "ike"],
    ["the IKE SA with TEMPORARY_FAILURE for ever", NotifyType.TEMPORARY_FAILURE, "ike"],
  ] as const)("%s is asked again, less and less often", (_, notifyType, what) => {
    const { asked, machine } = askAgainst(notifyType, { until: 600_000, what });
    const waits = asked.slice(1).map((at, i) => at - asked[i]!);
    // Soon at first, since a peer may only be busy; then between half a minute and a minute.
    expect(waits[0]).toBeLessThan(2_001);
    for (const wait of waits.slice(6)) expect(wait).toBeGreaterThanOrEqual(30_000);
    for (const wait of waits) expect(wait).toBeLessThanOrEqual(60_001);
    // With chance, so that two sides do not stay in step.
    expect(new Set(waits.slice(6).map((wait) => Math.round(wait))).size).toBeGreaterThan(3);
    expect(asked.length).toBeGreaterThan(10);
    expect(asked.length).toBeLessThan(30);
    // Everything stays meanwhile.
    expect(machine.state).toBe("established");
    expect(machine.installed.size).toBe(1);
    expect(machine.reserved.size).toBeLessThanOrEqual(2);
  });

  test("is not asked for a further child SA more than every five to ten minutes in the end", () => {
    const children = ["lan", "second"].map((name, i) =>
      childPolicy({ name, local: [`10.2.${i}.0/24`], remote: [`10.1.${i}.0/24`] }),
    );
    const all = scriptedEstablished({
      seed: 2,
      responder: { children },
      limits: { livenessMs: NEVER, ikeRekeyMs: NEVER, childRekeyMs: NEVER },
    });
    const { peer, machine, link } = all;
    const asked: number[] = [];
    machine.connect();
    while (link.now < 2 * HOUR) {
      while (link.inFlight.length > 0) {
        const { messageId } = decodeHeader(link.take().octets);
        asked.push(link.now);
        const payloads = [notify(NotifyType.TS_UNACCEPTABLE)];
        peer.send(
          machine,
          peer.seal({ exchangeType: CREATE_CHILD_SA, messageId, payloads, isResponse: true }),
        );
      }
      link.advanceToDeadline();
    }
    expect(asked.length).toBeLessThan(35);
    expect(asked.at(-1)! - asked.at(-2)!).toBeGreaterThanOrEqual(300_000);
  });

  test("and has lost the child SA is told nothing more about it, and asked for another", () => {
    const { peer, machine, link } = scriptedEstablished({ seed: 3 });
    machine.rekey("children");
    const { header } = peer.open(link.take().octets);
    const payloads = [notify(NotifyType.CHILD_SA_NOT_FOUND)];
    const answer = { exchangeType: CREATE_CHILD_SA, messageId: header.messageId, payloads, isResponse: true };
    peer.send(machine, peer.seal(answer));
    const next = peer.open(link.take().octets);
    expect(next.header.exchangeType).toBe(CREATE_CHILD_SA);
    expect(find(next.payloads, "notify")).toBeUndefined();
    expect(link.inFlight).toHaveLength(0);
    expect(machine.installed.size).toBe(0);
    expect(machine.reserved.size).toBe(1);
  });
});

describe("before the hard lifetime is over", () => {
  test("a child SA that the peer does not rekey comes anew in another IKE SA, and no packet is lost", () => {
    const all = establishedPair({
      seed: 4,
      limits: { livenessMs: NEVER },
      // In IKE_AUTH there is no key exchange for the child SA, so that this is noticed when it is rekeyed.
      initiator: { esp: ["aes256gcm16-x25519"] },
      responder: { esp: ["aes256gcm16-ecp384"] },
    });
    const { initiator, responder, link } = all;
    link.fate = () => [10];
    const before = { ike: initiator.ikeSas[0]!.initiatorSpi, child: initiator.outboundSpi() };
    const traffic = new Traffic(all, () => 10);
    traffic.run({ until: 3 * HOUR, everyMs: 2_000 });
    traffic.finish();
    expect(traffic.lost).toEqual([]);
    expect(initiator.event("rekey-failed")).toMatchObject({ facts: { reason: "NO_PROPOSAL_CHOSEN" } });
    expectEstablished(initiator, responder);
    expect(initiator.ikeSas[0]!.initiatorSpi).not.toBe(before.ike);
    expect(initiator.outboundSpi()).not.toBe(before.child);
    expect([initiator.reserved.size, responder.reserved.size]).toEqual([1, 1]);
  });

  test("an IKE SA that the peer does not rekey is replaced by a new one, and no packet is lost", () => {
    const all = pair({
      seed: 5,
      limits: { livenessMs: NEVER, childRekeyMs: NEVER, ikeRekeyMs: HOUR },
      initiator: { ike: ["aes256gcm16-prfsha256-x25519"] },
    });
    const { initiator, responder, link } = all;
    link.fate = () => [10];
    initiator.connect();
    link.run({ until: 1_000 });
    // From now on the responder allows nothing that is offered: as after a change of its configuration.
    const strict = responderPolicy({ ike: ["aes256gcm16-prfsha384-ecp384"] });
    const lenient = responderPolicy();
    const traffic = new Traffic(all, () => 10);
    responder.endpoint.replaceConnections([strict]);
    traffic.run({ until: HOUR + 20_000, everyMs: 2_000 });
    responder.endpoint.replaceConnections([lenient]);
    traffic.run({ until: 2 * HOUR, everyMs: 2_000 });
    traffic.finish();
    expect(traffic.lost).toEqual([]);
    expectEstablished(initiator, responder);
  });

  test("nothing is begun for a connection that was dropped, nor by who does not know where to", () => {
    for (const who of ["dropped", "nowhere"] as const) {
      const remoteAddress = who === "nowhere" ? undefined : "192.0.2.1";
      const all = establishedPair({
        seed: 6,
        limits: { livenessMs: NEVER },
        initiator: { esp: ["aes256gcm16-x25519"] },
        responder: { esp: ["aes256gcm16-ecp384"], remoteAddress },
      });
      const { initiator, responder, link } = all;
      initiator.endpoint.replaceConnections([]);
      if (who === "dropped") responder.endpoint.replaceConnections([]);
      const first = link.transmitted.length;
      link.run({ until: 2 * HOUR });
      const kinds = link.transmitted.slice(first).map(({ octets }) => decodeHeader(octets).exchangeType);
      expect(kinds).toContain(CREATE_CHILD_SA);
      expect(kinds).toContain(INFORMATIONAL);
      expect(kinds).not.toContain(IKE_SA_INIT);
      expectMirrored(initiator, responder);
      expect(initiator.installed.size).toBe(0);
    }
  });
});
