import { pskAuth } from "../../src/auth/psk.ts";
import { identificationBody, signedOctets } from "../../src/auth/signed-octets.ts";
import { equal } from "../../src/bytes/constant-time.ts";
import type { ComputeResult } from "../../src/crypto/jobs.ts";
import { SeededCryptoProvider } from "../../src/crypto/key-exchange/seeded-crypto-provider.ts";
import {
  deriveChildKeys,
  deriveIkeKeys,
  deriveRekeyedIkeKeys,
  type IkeKeys,
} from "../../src/crypto/keymat.ts";
import { keyLengths } from "../../src/crypto/suites.ts";
import {
  AuthenticationMethod,
  CertificateEncoding,
  ConfigurationType,
  ExchangeType,
  NotifyType,
  ProtocolId,
  TransformType,
} from "../../src/iana/ikev2-parameters.ts";
import { MessageProtection } from "../../src/ike/message-protection.ts";
import { natDetectionHash } from "../../src/ike/nat-detection.ts";
import {
  decodeIkeSpi,
  decodeSpi,
  deleteChildSas,
  deleteIkeSa,
  encodeIkeSpi,
  encodeSpi,
  find,
  findError,
  notify,
  notifyName,
} from "../../src/ike/payloads.ts";
import { suiteOf } from "../../src/ike/proposals.ts";
import { parseIdentity } from "../../src/policy/identity.ts";
import { findTransform, isNone, numberProposals } from "../../src/policy/transforms.ts";
import {
  decodeHeader,
  decodeMessage,
  decodePayloads,
  encodeMessage,
  type Header,
} from "../../src/wire/message.ts";
import type { Payload } from "../../src/wire/payloads/payload.ts";
import type { Proposal } from "../../src/wire/payloads/proposal.ts";
import type { TrafficSelector } from "../../src/wire/payloads/traffic-selector.ts";
import { login } from "../support/simulator/credentials.ts";
import { RESPONDER_ADDRESS, SeededRandom } from "../support/simulator/index.ts";
import { type Access, PASSWORD, ROOT_HASH } from "./access.ts";
import { EVERYTHING, GATEWAY_NAME, type Persona, type Rekey } from "./persona.ts";

/** What the gateway has shown and given by the end of IKE_AUTH. */
export interface Admission {
  /** What the gateway signed, by which method, and what that covers. */
  readonly auth: { readonly method: number; readonly data: Uint8Array; readonly octets: Uint8Array };
  /** DER, as they came. */
  readonly certificates: readonly Uint8Array[];
  readonly gateway: { readonly idType: number; readonly data: Uint8Array };
  /** Type of the first EAP request. */
  readonly firstEapType: number;
  readonly attributes: readonly { readonly type: number; readonly value: Uint8Array }[];
  readonly datagrams: number;
}

/** A child SA as the client has it. */
export interface ClientChild {
  readonly inboundSpi: number;
  readonly outboundSpi: number;
  readonly proposal: Proposal;
  readonly inboundKey: Uint8Array;
  readonly outboundKey: Uint8Array;
  readonly local: readonly TrafficSelector[];
  readonly remote: readonly TrafficSelector[];
  /** Whether keys of its own were exchanged. */
  readonly hasKeyExchange: boolean;
}

interface Sa {
  readonly proposal: Proposal;
  readonly keys: IkeKeys;
  readonly protection: MessageProtection;
  readonly initiatorSpi: bigint;
  readonly responderSpi: bigint;
  nextMessageId: number;
}

type KeyPair = Extract<ComputeResult, { kind: "key-pair" }>;

const { IKE_SA_INIT, IKE_AUTH, CREATE_CHILD_SA, INFORMATIONAL } = ExchangeType;
/** At home, and as its NAT shows it. */
const HOME = { address: "192.168.1.7", port: 500 };
const OUTSIDE = "198.51.100.7";

/** Speaks as its persona does, and keeps the keys to it. */
export class StockClient {
  readonly persona: Persona;
  readonly access: Access;
  child: ClientChild | undefined;
  /** Groups of the KE payloads in IKE_SA_INIT, in order. */
  readonly groups: number[] = [];
  /** Exchange types of what the gateway has asked. */
  readonly asked: number[] = [];
  /** Whether it answers the gateway's requests. */
  isAwake = true;

  readonly #random: SeededRandom;
  readonly #provider: SeededCryptoProvider;
  readonly #nonce: Uint8Array;
  readonly #initiatorSpi: bigint;
  #port = 500;
  #nextSpi = 0xc000_0000;
  #sa: Sa | undefined;
  #initRequest: Uint8Array = new Uint8Array(0);
  #initResponse: Uint8Array = new Uint8Array(0);
  #peerNonce: Uint8Array = new Uint8Array(0);

  constructor(persona: Persona, access: Access, seed = 1) {
    this.persona = persona;
    this.access = access;
    this.#random = new SeededRandom(seed);
    this.#provider = new SeededCryptoProvider(seed);
    this.#nonce = this.#random.bytes(48);
    this.#initiatorSpi = this.#ikeSpi();
  }

  /** IKE_SA_INIT, once more with the group that the gateway wants. Returns the error that ends it, or undefined. */
  init(group = this.persona.init.group): string | undefined {
    this.groups.push(group);
    const pair = this.#keyPair(group);
    this.#initRequest = this.#buildInit(pair.publicValue, group);
    this.#transmit([this.#initRequest]);
    const [octets] = this.#takeOwn(this.#initiatorSpi);
    if (octets === undefined) throw new Error("no answer");
    const { header, payloads } = decodeMessage(octets);
    const error = findError(payloads);
    if (error?.notifyType === NotifyType.INVALID_KE_PAYLOAD && this.groups.length < 4)
      return this.init((error.data[0]! << 8) | error.data[1]!);
    if (error !== undefined) return notifyName(error.notifyType);
    this.#initResponse = octets;
    const [proposal] = find(payloads, "security-association")!.proposals;
    this.#peerNonce = find(payloads, "nonce")!.nonce;
    const { initiatorSpi, responderSpi } = header;
    const keys = deriveIkeKeys({
      ...this.#derivation(proposal!, { initiatorSpi, responderSpi }),
      ni: this.#nonce,
      nr: this.#peerNonce,
      sharedSecret: this.#agree(pair, group, find(payloads, "key-exchange")!.data),
    });
    this.#sa = this.#saOf({ proposal: proposal!, keys, initiatorSpi, responderSpi, nextMessageId: 1 });
    this.#port = 4500;
    return undefined;
  }

  /** IKE_AUTH from the first message to the child SA; a refusal throws. */
  async logIn(user = "anna", password = PASSWORD): Promise<Admission> {
    const { auth } = this.persona;
    const spi = this.#nextSpi++;
    const first = await this.ask(IKE_AUTH, [
      {
        kind: "identification-initiator",
        critical: false,
        idType: auth.identity.type,
        data: auth.identity.data,
      },
      ...(auth.namesGateway ? [this.#wantedGateway()] : []),
      ...(auth.authorityCount === undefined ? [] : [this.#authorities(auth.authorityCount)]),
      ...auth.others,
      {
        kind: "configuration",
        critical: false,
        configurationType: ConfigurationType.CFG_REQUEST,
        attributes: auth.asks.map((type) => ({ type, value: new Uint8Array(0) })),
      },
      ...childOffer(numberProposals(auth.proposals, encodeSpi(spi))),
    ]);
    const { idType, data: idData } = find(first, "identification-responder")!;
    const identity = { type: idType, data: idData };
    const { method, data } = find(first, "authentication")!;
    const octets = this.#gatewayOctets(identity);
    const firstPacket = find(first, "eap")!.octets;
    const msk = await this.#eap(firstPacket, login(user, password).begin());

    const { prfId } = suiteOf(this.sa.proposal);
    const own = pskAuth({ prfId, psk: msk, signedOctets: this.#ownOctets() });
    const last = await this.ask(IKE_AUTH, [keyedAuth(own)]);
    const theirs = pskAuth({ prfId, psk: msk, signedOctets: this.#gatewayOctets(identity) });
    if (!equal(find(last, "authentication")!.data, theirs)) throw new Error("the gateway has another MSK");
    this.child = this.#childOf(last, spi, { ni: this.#nonce, nr: this.#peerNonce });
    return {
      auth: { method, data, octets },
      certificates: first.flatMap((payload) =>
        payload.kind === "certificate" && payload.encoding === CertificateEncoding.X509_SIGNATURE
          ? [payload.data]
          : [],
      ),
      gateway: { idType, data: idData },
      firstEapType: firstPacket[4]!,
      attributes: find(last, "configuration")!.attributes,
      datagrams: this.#datagrams,
    };
  }

  /** Replaces the child SA and deletes the old one. Returns the error that it is refused with, or undefined. */
  async rekeyChild(rekey: Rekey): Promise<string | undefined> {
    const { inboundSpi } = this.child!;
    const spi = encodeSpi(inboundSpi);
    const replaced = { ...notify(NotifyType.REKEY_SA), protocolId: ProtocolId.ESP, spi };
    const error = await this.createChild(rekey, [replaced]);
    if (error === undefined) await this.ask(INFORMATIONAL, [deleteChildSas([inboundSpi])]);
    return error;
  }

  /** The child SA is a new one from now on. */
  async createChild(
    { proposals, group }: Rekey,
    others: readonly Payload[] = [],
  ): Promise<string | undefined> {
    const spi = this.#nextSpi++;
    const ni = this.#random.bytes(32);
    const pair = group === undefined ? undefined : this.#keyPair(group);
    const [sa, ...selectors] = childOffer(numberProposals(proposals, encodeSpi(spi)));
    const answer = await this.ask(CREATE_CHILD_SA, [
      ...others,
      sa!,
      { kind: "nonce", critical: false, nonce: ni },
      ...(pair === undefined ? [] : [keyExchange(group!, pair.publicValue)]),
      ...selectors,
    ]);
    const error = findError(answer);
    if (error !== undefined) return notifyName(error.notifyType);
    const ke = find(answer, "key-exchange");
    const sharedSecret = ke && pair && this.#agree(pair, group!, ke.data);
    const { nonce: nr } = find(answer, "nonce")!;
    this.child = this.#childOf(answer, spi, { ni, nr, sharedSecret });
    return undefined;
  }

  /** Replaces the IKE SA and deletes the old one. */
  async rekeyIke({ proposals, group }: Required<Rekey> = this.persona.ikeRekey): Promise<string | undefined> {
    const old = this.sa;
    const initiatorSpi = this.#ikeSpi();
    const ni = this.#random.bytes(48);
    const pair = this.#keyPair(group);
    const answer = await this.ask(CREATE_CHILD_SA, [
      {
        kind: "security-association",
        critical: false,
        proposals: numberProposals(proposals, encodeIkeSpi(initiatorSpi)),
      },
      { kind: "nonce", critical: false, nonce: ni },
      keyExchange(group, pair.publicValue),
    ]);
    const error = findError(answer);
    if (error !== undefined) return notifyName(error.notifyType);
    const [proposal] = find(answer, "security-association")!.proposals;
    const responderSpi = decodeIkeSpi(proposal!.spi);
    const keys = deriveRekeyedIkeKeys({
      ...this.#derivation(proposal!, { initiatorSpi, responderSpi }),
      oldPrfId: suiteOf(old.proposal).prfId,
      oldSkD: old.keys.skD,
      ni,
      nr: find(answer, "nonce")!.nonce,
      sharedSecret: this.#agree(pair, group, find(answer, "key-exchange")!.data),
    });
    await this.ask(INFORMATIONAL, [deleteIkeSa()]);
    this.#sa = this.#saOf({ proposal: proposal!, keys, initiatorSpi, responderSpi, nextMessageId: 0 });
    return undefined;
  }

  async disconnect(): Promise<void> {
    await this.ask(INFORMATIONAL, [deleteIkeSa()]);
  }

  /** A request, and what the answer holds. */
  async ask(exchangeType: number, payloads: readonly Payload[]): Promise<readonly Payload[]> {
    const { gateway } = this.access;
    const { sa } = this;
    const datagrams = sa.protection.seal(
      { ...sa, exchangeType, isInitiator: true, isResponse: false, messageId: sa.nextMessageId },
      payloads,
    );
    this.#datagrams = Math.max(this.#datagrams, datagrams.length);
    this.#transmit(datagrams);
    while (gateway.pendingLogins > 0) await gateway.finishLogins();
    const answer = this.hear().find(({ header }) => header.isResponse);
    if (answer?.header.messageId !== sa.nextMessageId) throw new Error("no answer");
    sa.nextMessageId++;
    return answer.payloads;
  }

  /** Takes what the gateway has sent, and answers what it asks. */
  hear(): readonly { readonly header: Header; readonly payloads: readonly Payload[] }[] {
    const heard: { header: Header; payloads: readonly Payload[] }[] = [];
    let parts: Uint8Array[] = [];
    let firstType = 0;
    for (const octets of this.#takeOwn(this.sa.initiatorSpi)) {
      const { header, payloads } = decodeMessage(octets);
      const sealed = find(payloads, "encrypted") ?? find(payloads, "encrypted-fragment")!;
      const plaintext = this.sa.protection.open(sealed);
      if (plaintext === undefined) throw new Error("the gateway's message is not authentic");
      const { fragmentNumber = 1, totalFragments = 1 } = sealed.kind === "encrypted" ? {} : sealed;
      if (fragmentNumber === 1) [parts, firstType] = [[], sealed.nextPayload];
      parts.push(plaintext);
      if (fragmentNumber < totalFragments) continue;
      heard.push({ header, payloads: decodePayloads({ firstType, octets: Buffer.concat(parts) }) });
    }
    for (const { header } of heard.filter(({ header }) => !header.isResponse)) {
      this.asked.push(header.exchangeType);
      if (this.isAwake) this.#answer(header, []);
    }
    return heard;
  }

  /** Datagrams of one IKE SA that are on their way; other clients leave theirs there too. */
  #takeOwn(initiatorSpi: bigint): Uint8Array[] {
    const { inFlight } = this.access.link;
    const isOwn = ({ octets }: { readonly octets: Uint8Array }): boolean =>
      decodeHeader(octets).initiatorSpi === initiatorSpi;
    const own = inFlight.filter(isOwn);
    inFlight.splice(0, inFlight.length, ...inFlight.filter((each) => !isOwn(each)));
    return own.map(({ octets }) => octets);
  }

  /** Answers a request of the gateway. */
  #answer({ exchangeType, messageId }: Header, payloads: readonly Payload[]): void {
    const { sa } = this;
    const header = { ...sa, exchangeType, messageId, isInitiator: true, isResponse: true };
    this.#transmit(sa.protection.seal(header, payloads));
  }

  /** Time passes, and the client hears what there is to hear. */
  wait(ms: number): void {
    const { link, gateway } = this.access;
    const until = link.now + ms;
    while (link.now < until) {
      link.advanceTo(Math.min(until, Math.max(link.now, gateway.endpoint.deadline?.at ?? until)));
      this.hear();
    }
  }

  get sa(): Sa {
    if (this.#sa === undefined) throw new Error("there is no IKE SA");
    return this.#sa;
  }

  // ---- What messages are made of --------------------------------------------------------------------------

  #datagrams = 0;

  #buildInit(publicValue: Uint8Array, group: number): Uint8Array {
    const { proposals, others } = this.persona.init;
    const spis = { initiatorSpi: this.#initiatorSpi, responderSpi: 0n };
    const gatewayEnd = { address: RESPONDER_ADDRESS, port: 500 };
    return encodeMessage({
      ...spis,
      exchangeType: IKE_SA_INIT,
      isInitiator: true,
      isResponse: false,
      messageId: 0,
      payloads: [
        { kind: "security-association", critical: false, proposals },
        keyExchange(group, publicValue),
        { kind: "nonce", critical: false, nonce: this.#nonce },
        notify(NotifyType.NAT_DETECTION_SOURCE_IP, natDetectionHash({ ...spis, end: HOME })),
        notify(NotifyType.NAT_DETECTION_DESTINATION_IP, natDetectionHash({ ...spis, end: gatewayEnd })),
        ...others,
      ],
    });
  }

  #wantedGateway(): Payload {
    const { type, data } = parseIdentity(GATEWAY_NAME);
    return { kind: "identification-responder", critical: false, idType: type, data };
  }

  /** The gateway's CA stands last. */
  #authorities(count: number): Payload {
    const data = this.#random.bytes(20 * count);
    data.set(ROOT_HASH, 20 * (count - 1));
    return {
      kind: "certificate-request",
      critical: false,
      encoding: CertificateEncoding.X509_SIGNATURE,
      data,
    };
  }

  async #eap(first: Uint8Array, session: ReturnType<ReturnType<typeof login>["begin"]>): Promise<Uint8Array> {
    let packet = first;
    for (;;) {
      const step = await session.receive(packet);
      if (step.kind === "success") return step.msk!;
      if (step.kind !== "send") throw new Error(`the login has come to ${step.kind}`);
      const answer = await this.ask(IKE_AUTH, [{ kind: "eap", critical: false, octets: step.packet }]);
      packet = find(answer, "eap")!.octets;
    }
  }

  #ownOctets(): Uint8Array {
    return signedOctets({
      message: this.#initRequest,
      peerNonce: this.#peerNonce,
      prfId: suiteOf(this.sa.proposal).prfId,
      skP: this.sa.keys.skPi,
      identificationBody: identificationBody(this.persona.auth.identity),
    });
  }

  #gatewayOctets(identity: { readonly type: number; readonly data: Uint8Array }): Uint8Array {
    return signedOctets({
      message: this.#initResponse,
      peerNonce: this.#nonce,
      prfId: suiteOf(this.sa.proposal).prfId,
      skP: this.sa.keys.skPr,
      identificationBody: identificationBody(identity),
    });
  }

  #childOf(
    payloads: readonly Payload[],
    inboundSpi: number,
    facts: {
      readonly ni: Uint8Array;
      readonly nr: Uint8Array;
      readonly sharedSecret?: Uint8Array | undefined;
    },
  ): ClientChild {
    const [proposal] = find(payloads, "security-association")?.proposals ?? [];
    if (proposal === undefined) throw new Error("there is no child SA");
    const lengths = keyLengths(espTransforms(proposal));
    const keys = deriveChildKeys({
      prfId: suiteOf(this.sa.proposal).prfId,
      skD: this.sa.keys.skD,
      ...facts,
      keyLength: lengths.encryptionKeyLength + lengths.integrityKeyLength,
    });
    return {
      inboundSpi,
      outboundSpi: decodeSpi(proposal.spi),
      proposal,
      outboundKey: keys.initiatorToResponder,
      inboundKey: keys.responderToInitiator,
      local: find(payloads, "traffic-selectors-initiator")!.selectors,
      remote: find(payloads, "traffic-selectors-responder")!.selectors,
      hasKeyExchange: facts.sharedSecret !== undefined,
    };
  }

  #derivation(proposal: Proposal, spis: { readonly initiatorSpi: bigint; readonly responderSpi: bigint }) {
    const { encryption, integrity, prfId } = suiteOf(proposal);
    return { prfId, lengths: keyLengths({ encryption, integrity }), ...spis };
  }

  #saOf(facts: Omit<Sa, "protection">): Sa {
    const { proposal, keys } = facts;
    const { fragmentLength } = this.persona;
    const common = { proposal, keys, role: "initiator", random: this.#random, fragmentLength } as const;
    return { ...facts, protection: new MessageProtection(common) };
  }

  #keyPair(group: number): KeyPair {
    const pair = this.#provider.compute({ kind: "generate-key-pair", group });
    if (pair.kind !== "key-pair") throw new Error("no key pair");
    return pair;
  }

  #agree({ privateKey }: KeyPair, group: number, peerPublicValue: Uint8Array): Uint8Array {
    const result = this.#provider.compute({ kind: "agree", group, privateKey, peerPublicValue });
    if (result.kind !== "shared-secret") throw new Error("no shared secret");
    return result.sharedSecret;
  }

  #ikeSpi(): bigint {
    return decodeIkeSpi(this.#random.bytes(8));
  }

  #transmit(datagrams: readonly Uint8Array[]): void {
    const port = this.#port;
    const path = {
      local: { address: RESPONDER_ADDRESS, port },
      remote: { address: OUTSIDE, port: port + 40_000 },
    };
    for (const octets of datagrams) this.access.gateway.handle({ kind: "datagram", octets, path });
  }
}

/** Cipher and integrity of a chosen ESP proposal. */
export function espTransforms(proposal: Proposal) {
  const integrity = findTransform(proposal, TransformType.INTEG);
  return {
    encryption: findTransform(proposal, TransformType.ENCR)!,
    integrity: integrity === undefined || isNone(integrity) ? undefined : integrity,
  };
}

function childOffer(proposals: readonly Proposal[]): Payload[] {
  return [
    { kind: "security-association", critical: false, proposals },
    { kind: "traffic-selectors-initiator", critical: false, selectors: EVERYTHING },
    { kind: "traffic-selectors-responder", critical: false, selectors: EVERYTHING },
  ];
}

function keyExchange(group: number, data: Uint8Array): Payload {
  return { kind: "key-exchange", critical: false, group, data };
}

function keyedAuth(data: Uint8Array): Payload {
  const method = AuthenticationMethod.SHARED_KEY_MESSAGE_INTEGRITY_CODE;
  return { kind: "authentication", critical: false, method, data };
}
