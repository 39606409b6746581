import { pskAuth } from "../../../src/auth/psk.ts";
import { identificationBody, signedOctets } from "../../../src/auth/signed-octets.ts";
import { concat } from "../../../src/bytes/concat.ts";
import type { ComputeResult } from "../../../src/crypto/jobs.ts";
import { SeededCryptoProvider } from "../../../src/crypto/key-exchange/seeded-crypto-provider.ts";
import { deriveIkeKeys, type IkeKeys } from "../../../src/crypto/keymat.ts";
import { keyLengths } from "../../../src/crypto/suites.ts";
import { AuthenticationMethod, ExchangeType, NotifyType } from "../../../src/iana/ikev2-parameters.ts";
import { MessageProtection } from "../../../src/ike/message-protection.ts";
import { find, notify } from "../../../src/ike/payloads.ts";
import { suiteOf } from "../../../src/ike/proposals.ts";
import type { Path } from "../../../src/platform/address.ts";
import type { ConnectionPolicy } from "../../../src/policy/connection.ts";
import { numberProposals, offeredGroups } from "../../../src/policy/transforms.ts";
import {
  decodeMessage,
  decodePayloads,
  encodeMessage,
  encodePayloads,
  type Header,
  type PayloadChain,
} from "../../../src/wire/message.ts";
import type { Payload } from "../../../src/wire/payloads/payload.ts";
import type { Proposal } from "../../../src/wire/payloads/proposal.ts";
import { SeededRandom } from "./seeded-random.ts";
import type { SimulatedMachine } from "./simulated-machine.ts";

/**
 * A peer without a mind of its own: it knows how to get keys, and sends whatever a test tells it to, right or wrong. It
 * speaks to a machine directly; the answers wait on the link.
 */
export class ScriptedPeer {
  readonly role: "initiator" | "responder";
  readonly policy: ConnectionPolicy;
  readonly random: SeededRandom;
  readonly nonce: Uint8Array;
  readonly spi: bigint;
  readonly group: number;
  readonly publicValue: Uint8Array;
  proposal: Proposal;
  peerSpi = 0n;
  peerNonce: Uint8Array = new Uint8Array(0);
  keys: IkeKeys | undefined;
  protection: MessageProtection | undefined;
  initRequest: Uint8Array = new Uint8Array(0);
  initResponse: Uint8Array = new Uint8Array(0);
  port = 4500;

  readonly #provider: SeededCryptoProvider;
  readonly #keyPair: Extract<ComputeResult, { kind: "key-pair" }>;

  constructor(facts: { role: "initiator" | "responder"; policy: ConnectionPolicy; seed: number }) {
    this.role = facts.role;
    this.policy = facts.policy;
    this.random = new SeededRandom(facts.seed);
    this.nonce = this.random.bytes(32);
    this.spi = new DataView(this.random.bytes(8).buffer).getBigUint64(0);
    this.proposal = numberProposals(this.policy.ikeProposals)[0]!;
    this.group = offeredGroups([this.proposal])[0]!;
    this.#provider = new SeededCryptoProvider(facts.seed);
    const keyPair = this.#provider.compute({ kind: "generate-key-pair", group: this.group });
    if (keyPair.kind !== "key-pair") throw new Error("no key pair");
    this.#keyPair = keyPair;
    this.publicValue = keyPair.publicValue;
  }

  get initiatorSpi(): bigint {
    return this.role === "initiator" ? this.spi : this.peerSpi;
  }

  get responderSpi(): bigint {
    return this.role === "initiator" ? this.peerSpi : this.spi;
  }

  path(machine: SimulatedMachine): Path {
    return {
      local: { address: machine.address, port: this.port },
      remote: { address: this.policy.local.address ?? "", port: this.port },
    };
  }

  send(machine: SimulatedMachine, octets: Uint8Array): void {
    machine.handle({ kind: "datagram", octets, path: this.path(machine) });
  }

  /** IKE_SA_INIT without protection: SA, KE, Nonce, NAT detection, and what is given beside them. */
  init(
    facts: { payloads?: readonly Payload[]; extra?: readonly Payload[]; responderSpi?: bigint } = {},
  ): Uint8Array {
    const isResponse = this.role === "responder";
    const octets = encodeMessage({
      initiatorSpi: this.initiatorSpi,
      responderSpi: facts.responderSpi ?? (isResponse ? this.spi : 0n),
      exchangeType: ExchangeType.IKE_SA_INIT,
      isInitiator: !isResponse,
      isResponse,
      messageId: 0,
      payloads: facts.payloads ?? [...this.initPayloads(), ...(facts.extra ?? [])],
    });
    if (isResponse) this.initResponse = octets;
    else this.initRequest = octets;
    return octets;
  }

  initPayloads(): Payload[] {
    const proposals = this.role === "initiator" ? numberProposals(this.policy.ikeProposals) : [this.proposal];
    return [
      { kind: "security-association", critical: false, proposals },
      { kind: "key-exchange", critical: false, group: this.group, data: this.publicValue },
      { kind: "nonce", critical: false, nonce: this.nonce },
      notify(NotifyType.NAT_DETECTION_SOURCE_IP, new Uint8Array(20)),
      notify(NotifyType.NAT_DETECTION_DESTINATION_IP, new Uint8Array(20)),
      notify(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED),
    ];
  }

  /** Takes the other side's IKE_SA_INIT; from here on there are keys. A responder has to have `init` called afterwards. */
  agree(octets: Uint8Array): void {
    const { header, payloads } = decodeMessage(octets);
    const ke = find(payloads, "key-exchange")!;
    this.peerNonce = find(payloads, "nonce")!.nonce;
    if (this.role === "initiator") {
      this.peerSpi = header.responderSpi;
      this.initResponse = octets;
      this.proposal = find(payloads, "security-association")!.proposals[0]!;
    } else {
      this.peerSpi = header.initiatorSpi;
      this.initRequest = octets;
    }
    const { privateKey } = this.#keyPair;
    const job = { kind: "agree", group: this.group, privateKey, peerPublicValue: ke.data } as const;
    const shared = this.#provider.compute(job);
    if (shared.kind !== "shared-secret") throw new Error("no shared secret");
    const { sharedSecret } = shared;
    const { encryption, integrity, prfId } = suiteOf(this.proposal);
    const isInitiator = this.role === "initiator";
    this.keys = deriveIkeKeys({
      prfId,
      ni: isInitiator ? this.nonce : this.peerNonce,
      nr: isInitiator ? this.peerNonce : this.nonce,
      sharedSecret,
      initiatorSpi: this.initiatorSpi,
      responderSpi: this.responderSpi,
      lengths: keyLengths({ encryption, integrity }),
    });
    const { proposal, keys, role, random } = this;
    this.protection = new MessageProtection({ proposal, keys, role, random, fragmentLength: undefined });
  }

  /** A protected message of one datagram. */
  seal(facts: {
    exchangeType: number;
    messageId: number;
    payloads: readonly Payload[];
    isResponse?: boolean;
  }): Uint8Array {
    return this.sealAll(facts)[0]!;
  }

  sealAll(facts: {
    exchangeType: number;
    messageId: number;
    payloads: readonly Payload[];
    isResponse?: boolean;
    fragmentLength?: number;
  }): readonly Uint8Array[] {
    const { exchangeType, messageId, payloads, isResponse = false, fragmentLength } = facts;
    const { initiatorSpi, responderSpi, role, random, proposal } = this;
    const isInitiator = role === "initiator";
    if (fragmentLength !== undefined) {
      this.protection = new MessageProtection({ proposal, keys: this.keys!, role, random, fragmentLength });
    }
    return this.protection!.seal(
      { initiatorSpi, responderSpi, exchangeType, isInitiator, isResponse, messageId },
      payloads,
    );
  }

  open(octets: Uint8Array): { readonly header: Header; readonly payloads: readonly Payload[] } {
    const { header, payloads } = decodeMessage(octets);
    const sealed = find(payloads, "encrypted");
    const plaintext = sealed && this.protection!.open(sealed);
    if (sealed === undefined || plaintext === undefined) throw new Error("not for us");
    return { header, payloads: decodePayloads({ firstType: sealed.nextPayload, octets: plaintext }) };
  }

  /** What AUTH of this side covers. */
  signedOctets(): Uint8Array {
    const isInitiator = this.role === "initiator";
    return signedOctets({
      message: isInitiator ? this.initRequest : this.initResponse,
      peerNonce: this.peerNonce,
      prfId: suiteOf(this.proposal).prfId,
      skP: isInitiator ? this.keys!.skPi : this.keys!.skPr,
      identificationBody: identificationBody(this.policy.local.identity),
    });
  }

  /** By the pre-shared key, or another. */
  auth(key: Uint8Array = keyOf(this.policy)): Payload {
    const { prfId } = suiteOf(this.proposal);
    const data = pskAuth({ prfId, psk: key, signedOctets: this.signedOctets() });
    const method = AuthenticationMethod.SHARED_KEY_MESSAGE_INTEGRITY_CODE;
    return { kind: "authentication", critical: false, method, data };
  }

  identification(): Payload {
    const { type, data } = this.policy.local.identity;
    const kind = this.role === "initiator" ? "identification-initiator" : "identification-responder";
    return { kind, critical: false, idType: type, data };
  }

  /** `seal` for what has no encoding. */
  sealRaw(facts: {
    exchangeType: number;
    messageId: number;
    payloads: readonly RawPayload[];
    isResponse?: boolean;
  }): Uint8Array {
    const { exchangeType, messageId, payloads, isResponse = false } = facts;
    const { initiatorSpi, responderSpi } = this;
    const isInitiator = this.role === "initiator";
    const header = { initiatorSpi, responderSpi, exchangeType, isInitiator, isResponse, messageId };
    return this.protection!.sealChain(header, chainOf(payloads))[0]!;
  }

  /** `init` for what has no encoding. */
  initRaw(payloads: readonly RawPayload[]): Uint8Array {
    const { firstType, octets } = chainOf(payloads);
    const message = concat(this.init({ payloads: [] }), octets);
    message[16] = firstType;
    new DataView(message.buffer).setUint32(24, message.length);
    return message;
  }

  /** What IKE_AUTH holds when nothing is wrong with it. For a responder the answer takes the first proposal offered. */
  authPayloads(): Payload[] {
    const child = this.policy.children[0]!;
    const proposals = numberProposals(child.espProposals, Uint8Array.of(0, 0, 2, 1));
    const isInitiator = this.role === "initiator";
    return [
      this.identification(),
      this.auth(),
      { kind: "security-association", critical: false, proposals },
      {
        kind: "traffic-selectors-initiator",
        critical: false,
        selectors: isInitiator ? child.local : child.remote,
      },
      {
        kind: "traffic-selectors-responder",
        critical: false,
        selectors: isInitiator ? child.remote : child.local,
      },
    ];
  }
}

/** A payload that may be anything. */
export interface RawPayload {
  readonly type: number;
  readonly body: Uint8Array;
}

/** Payloads as mere octets, for a test to spoil. */
export function raw(payloads: readonly Payload[]): RawPayload[] {
  return payloads.map((payload) => {
    const { firstType, octets } = encodePayloads([payload]);
    return { type: firstType, body: octets.slice(4) };
  });
}

function chainOf(payloads: readonly RawPayload[]): PayloadChain {
  const parts = payloads.map(({ body }, i) => {
    const length = body.length + 4;
    return concat(Uint8Array.of(payloads[i + 1]?.type ?? 0, 0, length >>> 8, length), body);
  });
  return { firstType: payloads[0]?.type ?? 0, octets: concat(...parts) };
}

function keyOf({ local }: ConnectionPolicy): Uint8Array {
  return local.authentication.kind === "psk" ? local.authentication.key : new Uint8Array(0);
}
