import { describe, expect, test } from "vitest";
import { ExchangeType, NotifyType, ProtocolId } from "../../src/iana/ikev2-parameters.ts";
import { DEFAULT_LIMITS } from "../../src/ike/limits.ts";
import { encodeIkeSpi, encodeSpi, find, findNotify, notify } from "../../src/ike/payloads.ts";
import { numberProposals } from "../../src/policy/transforms.ts";
import type { Payload } from "../../src/wire/payloads/payload.ts";
import type { TrafficSelector } from "../../src/wire/payloads/traffic-selector.ts";
import { initiatorPolicy, pair, ScriptedPeer, scriptedEstablished } from "../support/simulator/index.ts";

// A peer that has authenticated itself and then takes what it can.

const { CREATE_CHILD_SA, IKE_AUTH } = ExchangeType;
const NEVER = Number.POSITIVE_INFINITY;

function childWith(peer: ScriptedPeer, spi: number): Payload[] {
  return [
    ...peer
      .authPayloads()
      .slice(2)
      .map((payload) =>
        payload.kind === "security-association"
          ? { ...payload, proposals: payload.proposals.map((each) => ({ ...each, spi: encodeSpi(spi) })) }
          : payload,
      ),
    { kind: "nonce", critical: false, nonce: peer.random.bytes(32) },
  ];
}

function rekeySa(spi: number): Payload {
  return { ...notify(NotifyType.REKEY_SA), protocolId: ProtocolId.ESP, spi: encodeSpi(spi) };
}

/** As many selectors as a payload holds, none within another. */
function pieces(selector: TrafficSelector): TrafficSelector[] {
  return Array.from({ length: 255 }, (_, i) => ({
    ...selector,
    protocol: 17,
    startPort: 2 * i,
    endPort: 2 * i,
  }));
}

function newIkeSa(peer: ScriptedPeer): Payload[] {
  const spi = encodeIkeSpi(BigInt(peer.random.u32()) + 1n);
  return [
    {
      kind: "security-association",
      critical: false,
      proposals: numberProposals(peer.policy.ikeProposals, spi),
    },
    { kind: "nonce", critical: false, nonce: peer.random.bytes(32) },
    { kind: "key-exchange", critical: false, group: peer.group, data: peer.publicValue },
  ];
}

describe("a peer that is authenticated", () => {
  test("gets so many child SAs in one IKE SA, then NO_ADDITIONAL_SAS; what it has goes on", () => {
    const { peer, machine, link } = scriptedEstablished({ seed: 1, limits: { livenessMs: NEVER } });
    const { childSaCount } = DEFAULT_LIMITS;
    let refused = 0;
    for (let i = 0; i < 200; i++) {
      link.advanceBy(100);
      const payloads = childWith(peer, 0x1000 + i);
      peer.send(machine, peer.seal({ exchangeType: CREATE_CHILD_SA, messageId: 2 + i, payloads }));
      const answer = peer.open(link.take().octets).payloads;
      if (findNotify(answer, NotifyType.NO_ADDITIONAL_SAS) !== undefined) refused++;
    }
    expect(machine.installed.size).toBe(childSaCount);
    expect(machine.reserved.size).toBe(childSaCount);
    expect(refused).toBe(200 - (childSaCount - 1));
    expect(machine.state).toBe("established");
  });

  test("that asks for all of them in one window gets no more than that", () => {
    const esp = ["aes256gcm16-x25519"];
    const { peer, machine, link } = scriptedEstablished({
      seed: 2,
      limits: { livenessMs: NEVER, childSaCount: 2 },
      peer: { esp },
      responder: { esp },
    });
    machine.holdsJobs = true;
    for (let i = 0; i < 4; i++) {
      const ke: Payload = {
        kind: "key-exchange",
        critical: false,
        group: peer.group,
        data: peer.publicValue,
      };
      const payloads = [...childWith(peer, 0x1000 + i), ke];
      peer.send(machine, peer.seal({ exchangeType: CREATE_CHILD_SA, messageId: 2 + i, payloads }));
    }
    for (let i = 0; i < 2; i++) machine.finishJobs();
    machine.holdsJobs = false;
    machine.finishJobs();
    expect(link.inFlight).toHaveLength(4);
    expect(machine.installed.size).toBe(2);
    expect(machine.reserved.size).toBe(2);
  });

  test("that cuts its selectors into many takes no more of the data plane than a few hundred pairs", () => {
    const { peer, machine, link } = scriptedEstablished({ seed: 6, limits: { livenessMs: NEVER } });
    const payloads = childWith(peer, 0x1000).map((payload) =>
      payload.kind === "traffic-selectors-initiator" || payload.kind === "traffic-selectors-responder"
        ? { ...payload, selectors: pieces(payload.selectors[0]!) }
        : payload,
    );
    peer.send(machine, peer.seal({ exchangeType: CREATE_CHILD_SA, messageId: 2, payloads }));
    const answer = peer.open(link.take().octets).payloads;
    expect(find(answer, "traffic-selectors-initiator")!.selectors).toHaveLength(16);
    const { local, remote } = [...machine.installed.values()].at(-1)!;
    expect(local.length * remote.length).toBe(256);
  });

  test("that rekeys child SAs and never deletes the old ones holds at most twice as many", () => {
    const { peer, machine, link } = scriptedEstablished({ seed: 3, limits: { livenessMs: NEVER } });
    let spi = 0x201;
    for (let i = 0; i < 300; i++) {
      link.advanceBy(50);
      const payloads = [rekeySa(spi), ...childWith(peer, 0x1000 + i)];
      peer.send(machine, peer.seal({ exchangeType: CREATE_CHILD_SA, messageId: 2 + i, payloads }));
      const answer = peer.open(link.take().octets).payloads;
      if (find(answer, "security-association") !== undefined) spi = 0x1000 + i;
    }
    expect(machine.installed.size).toBeLessThanOrEqual(2 * DEFAULT_LIMITS.childSaCount);
    expect(machine.reserved.size).toBe(machine.installed.size);
  });

  test("that asks faster than anybody needs is told TEMPORARY_FAILURE, and costs nothing more", () => {
    const { peer, machine, link } = scriptedEstablished({ seed: 4, limits: { livenessMs: NEVER } });
    const { peerCreationsPerSecond } = DEFAULT_LIMITS;
    let busy = 0;
    for (let i = 0; i < 500; i++) {
      const payloads = newIkeSa(peer).map((payload) =>
        // A group that is not wanted: each request is answered, and leaves nothing.
        payload.kind === "key-exchange" ? { ...payload, group: 31_000 } : payload,
      );
      peer.send(machine, peer.seal({ exchangeType: CREATE_CHILD_SA, messageId: 2 + i, payloads }));
      const answer = peer.open(link.take().octets).payloads;
      if (findNotify(answer, NotifyType.TEMPORARY_FAILURE) !== undefined) busy++;
    }
    expect(busy).toBe(500 - peerCreationsPerSecond);
    link.advanceBy(1_000);
    const payloads = childWith(peer, 0x5000);
    peer.send(machine, peer.seal({ exchangeType: CREATE_CHILD_SA, messageId: 502, payloads }));
    expect(find(peer.open(link.take().octets).payloads, "security-association")).toBeDefined();
  });

  test("that connects again and again keeps the newest few IKE SAs", () => {
    const { responder: machine, link } = pair({ seed: 5, limits: { livenessMs: NEVER } });
    const connect = (i: number): void => {
      const peer = new ScriptedPeer({ role: "initiator", policy: initiatorPolicy(), seed: 10_000 + i });
      peer.send(machine, peer.init());
      peer.agree(link.inFlight.pop()!.octets);
      peer.send(machine, peer.seal({ exchangeType: IKE_AUTH, messageId: 1, payloads: peer.authPayloads() }));
      link.inFlight.length = 0;
      link.advanceBy(50);
      link.inFlight.length = 0;
    };
    for (let i = 0; i < 300; i++) connect(i);
    const counts = (): { established: number; all: number } => ({
      established: machine.ikeSas.filter(({ state }) => state === "established").length,
      all: machine.ikeSas.length,
    });
    expect(counts().established).toBe(DEFAULT_LIMITS.ikeSaCount);
    expect(counts().all).toBeLessThanOrEqual(
      DEFAULT_LIMITS.ikeSaCount + DEFAULT_LIMITS.ikeSaRemainsCount + 1,
    );
    expect(machine.installed.size).toBe(DEFAULT_LIMITS.ikeSaCount);
    expect(machine.reserved.size).toBe(DEFAULT_LIMITS.ikeSaCount);
  });
});
