import { prfKeyLength } from "../../crypto/prf.ts";
import { ExchangeType, NotifyType } from "../../iana/ikev2-parameters.ts";
import type { Path } from "../../platform/address.ts";
import type { ConnectionPolicy } from "../../policy/connection.ts";
import { hasAdditional, numberProposals, offeredGroups, withPlain } from "../../policy/transforms.ts";
import { encodeMessage } from "../../wire/message.ts";
import type { Payload } from "../../wire/payloads/payload.ts";
import type { Proposal } from "../../wire/payloads/proposal.ts";
import { signatureHashes } from "../certificates.ts";
import type { IkeSa } from "../ike-sa.ts";
import type { Initiating } from "../ike-sa-state.ts";
import { reasonOf } from "../key-agreement.ts";
import type { Machine } from "../machine.ts";
import { forcedNatDetectionSource, natDetectionHash } from "../nat-detection.ts";
import { hasNonceLength, NONCE_LENGTH } from "../nonces.ts";
import { notify } from "../payloads.ts";
import { initialPath } from "../ports.ts";
import { usePpk } from "../ppk.ts";
import { suiteOf } from "../proposals.ts";
import { redirectSupport, type SentTo } from "../redirect/follow.ts";
import { openStreamTo, tryTcp } from "../streams.ts";

// IKE_SA_INIT, RFC 7296 section 1.2:
//
//   --> HDR(SPIi, 0), [N(COOKIE)], SAi1, KEi, Ni, N(NAT_DETECTION_*), N(IKEV2_FRAGMENTATION_SUPPORTED), [N(SIGNATURE_HASH_ALGORITHMS)],
//       [N(REDIRECT_SUPPORTED) | N(REDIRECTED_FROM)], [N(USE_PPK)], [N(INTERMEDIATE_EXCHANGE_SUPPORTED)]
//   <-- HDR(SPIi, 0), N(COOKIE) | N(INVALID_KE_PAYLOAD) | N(error)        and the request comes again
//   <-- HDR(SPIi, 0), N(REDIRECT)                                         and another one goes elsewhere
//   <-- HDR(SPIi, SPIr), SAr1, KEr, Nr, N(NAT_DETECTION_*), N(IKEV2_FRAGMENTATION_SUPPORTED), [CERTREQ],
//       [N(SIGNATURE_HASH_ALGORITHMS)], [N(USE_PPK)], [N(INTERMEDIATE_EXCHANGE_SUPPORTED)]
//
// Here is how we begin; `ike-sa-init-response.ts` takes the answer, and `ike-sa-init-request.ts` the requests of others.

/** Begins a connection. `sentTo`: in place of the configured address. */
export function initiate(
  machine: Machine,
  connection: ConnectionPolicy,
  now: number,
  sentTo?: SentTo,
): IkeSa {
  const ikeSa = prepare(machine, connection, now);
  begin(ikeSa, sentTo, now);
  return ikeSa;
}

/** The key pair first, then the request. */
export function beginAlong(machine: Machine, connection: ConnectionPolicy, path: Path, now: number): IkeSa {
  const ikeSa = prepare(machine, connection, now);
  ikeSa.path = path;
  generateKeyPair(ikeSa);
  return ikeSa;
}

/** An IKE SA that does nothing yet. */
export function prepare(machine: Machine, connection: ConnectionPolicy, now: number): IkeSa {
  const ikeSa = machine.adopt({
    role: "initiator",
    path: initialPath(connection, machine.ports),
    state: firstState(machine, connection),
    connection,
    now,
  });
  ikeSa.remoteIdentity = connection.remote.identity;
  return ikeSa;
}

/** The peer will not have us: nothing of what it was sent is used again, and nothing is sent. */
export function beginAgain(ikeSa: IkeSa): void {
  ikeSa.outbox.stopRetransmitting(0);
  ikeSa.ignoreHint();
  if (ikeSa.connection !== undefined) ikeSa.state = firstState(ikeSa.machine, ikeSa.connection);
}

/** Begins what `prepare` has made, or what has waited for where to go. */
export function begin(ikeSa: IkeSa, sentTo: SentTo | undefined, now: number): void {
  const { machine, connection } = ikeSa;
  if (connection === undefined) return;
  const { remote, tcp } = connection;
  const called = { ...connection, remote: { ...remote, address: sentTo?.address ?? remote.address } };
  const stream = tcp?.mode === "always" ? openStreamTo(machine, called) : undefined;
  ikeSa.sentTo = sentTo;
  ikeSa.path = stream ?? initialPath(called, machine.ports);
  if (tcp?.mode !== "always" || stream !== undefined) {
    generateKeyPair(ikeSa);
    return;
  }
  const message = `no TCP connection to ${called.remote.address} can be opened`;
  ikeSa.close({ reason: "timeout", message }, now);
}

function firstState(machine: Machine, connection: ConnectionPolicy): Initiating {
  const [group = 0] = offeredGroups(connection.ikeProposals);
  return {
    name: "initiating",
    ni: machine.random.bytes(NONCE_LENGTH),
    group,
    keyPair: undefined,
    cookie: undefined,
    natDetectionSource: forcedNatDetectionSource(machine.random),
    groupsTried: [group],
    restarts: 0,
    request: undefined,
    hint: undefined,
  };
}

export function generateKeyPair(ikeSa: IkeSa): void {
  if (ikeSa.state.name !== "initiating") return;
  const { group } = ikeSa.state;
  ikeSa.machine.compute({ kind: "generate-key-pair", group }, (result, now) => {
    const { state } = ikeSa;
    if (state.name !== "initiating" || state.group !== group || state.keyPair !== undefined) return;
    if (result.kind !== "key-pair") {
      ikeSa.close(
        { reason: "protocol-error", message: `no key pair of group ${group}: ${reasonOf(result)}` },
        now,
      );
      return;
    }
    sendInitRequest(ikeSa, { ...state, keyPair: result }, now);
  });
}

export function sendInitRequest(ikeSa: IkeSa, state: Initiating, now: number): void {
  const request = encodeMessage({
    initiatorSpi: ikeSa.localSpi,
    responderSpi: 0n,
    exchangeType: ExchangeType.IKE_SA_INIT,
    isInitiator: true,
    isResponse: false,
    messageId: 0,
    payloads: buildInitRequest(ikeSa, state),
  });
  ikeSa.state = { ...state, request };
  ikeSa.outbox.transmitRequest(
    { purpose: { kind: "init" }, exchangeType: ExchangeType.IKE_SA_INIT, messageId: 0, datagrams: [request] },
    now,
  );
  tryTcp(ikeSa, 1, now);
}

function buildInitRequest(ikeSa: IkeSa, state: Initiating): readonly Payload[] {
  const { cookie, ni, group, keyPair, natDetectionSource } = state;
  const destination = natDetectionHash({
    initiatorSpi: ikeSa.localSpi,
    responderSpi: 0n,
    end: ikeSa.path.remote,
  });
  const natDetection = [
    notify(NotifyType.NAT_DETECTION_SOURCE_IP, natDetectionSource),
    notify(NotifyType.NAT_DETECTION_DESTINATION_IP, destination),
  ];
  return [
    ...(cookie === undefined ? [] : [notify(NotifyType.COOKIE, cookie)]),
    { kind: "security-association", critical: false, proposals: offered(ikeSa) },
    { kind: "key-exchange", critical: false, group, data: keyPair?.publicValue ?? new Uint8Array(0) },
    { kind: "nonce", critical: false, nonce: ni },
    ...(ikeSa.connection?.encapsulation === "raw" ? [] : natDetection),
    notify(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED),
    ...redirectSupport(ikeSa),
    ...signatureHashes(ikeSa.connection === undefined ? [] : [ikeSa.connection]),
    ...usePpk(ikeSa.connection === undefined ? [] : [ikeSa.connection]),
    ...(offered(ikeSa).some(hasAdditional) ? [notify(NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED)] : []),
  ];
}

export function offered(ikeSa: IkeSa): readonly Proposal[] {
  return numberProposals(withPlain(ikeSa.connection?.ikeProposals ?? []));
}

/** RFC 7296 section 2.10: and at least half the key of the PRF. */
export function isNonceFit(nonce: Uint8Array, proposal: Proposal): boolean {
  return hasNonceLength(nonce) && 2 * nonce.length >= prfKeyLength(suiteOf(proposal).prfId);
}

export const NO_NAT_TRAVERSAL = "the peer does no NAT traversal, and the connection is for ESP in UDP only";
