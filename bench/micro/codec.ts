import { randomBytes } from "node:crypto";
import { AuthenticationMethod, ExchangeType, IdType, NotifyType } from "../../src/iana/ikev2-parameters.ts";
import { DEFAULT_ESP_PROPOSALS, DEFAULT_IKE_PROPOSALS } from "../../src/policy/default-proposals.ts";
import { selectorsFromPrefixes } from "../../src/policy/traffic-selectors.ts";
import { decodeMessage, encodeMessage, type Payload, type Proposal } from "../../src/wire/index.ts";
import { expectEqual, type Subject } from "./subject.ts";

/** Messages to values and back. */
export function* codecSubjects(): Generator<Subject> {
  for (const { name, exchangeType, payloads } of [ikeSaInit(), ikeAuth()]) {
    const message = {
      initiatorSpi: 0xc0ffee0123456789n,
      responderSpi: 0n,
      exchangeType,
      isInitiator: true,
      isResponse: false,
      messageId: 0,
      payloads,
    };
    const octets = encodeMessage(message);
    const encodedAgain = (): Uint8Array =>
      encodeMessage({ ...message, payloads: decodeMessage(octets).payloads });
    const prove = (): void =>
      expectEqual(
        name,
        new Map([
          ["encoded", octets],
          ["decoded and encoded", encodedAgain()],
        ]),
      );
    const common = { group: "Message codec", operations: 1, octets: 0, prove };
    const title = `${name}, ${octets.length} octets`;
    yield {
      ...common,
      name: `decode ${title}`,
      contenders: [{ name: "src/wire", run: () => decodeMessage(octets) }],
    };
    yield {
      ...common,
      name: `encode ${title}`,
      contenders: [{ name: "src/wire", run: () => encodeMessage(message) }],
    };
  }
}

interface NamedPayloads {
  readonly name: string;
  readonly exchangeType: number;
  readonly payloads: readonly Payload[];
}

function ikeSaInit(): NamedPayloads {
  return {
    name: "IKE_SA_INIT",
    exchangeType: ExchangeType.IKE_SA_INIT,
    payloads: [
      { kind: "security-association", critical: false, proposals: numbered(DEFAULT_IKE_PROPOSALS, 0) },
      { kind: "key-exchange", critical: false, group: 31, data: randomBytes(32) },
      { kind: "nonce", critical: false, nonce: randomBytes(32) },
      notify(NotifyType.NAT_DETECTION_SOURCE_IP, 20),
      notify(NotifyType.NAT_DETECTION_DESTINATION_IP, 20),
      notify(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED, 0),
    ],
  };
}

/** What is inside of the SK payload, here without it. */
function ikeAuth(): NamedPayloads {
  const selectors = selectorsFromPrefixes(["10.1.0.0/16", "fd00:1::/32"]);
  return {
    name: "content of IKE_AUTH",
    exchangeType: ExchangeType.IKE_AUTH,
    payloads: [
      {
        kind: "identification-initiator",
        critical: false,
        idType: IdType.ID_FQDN,
        data: Buffer.from("gw.example.org"),
      },
      {
        kind: "authentication",
        critical: false,
        method: AuthenticationMethod.SHARED_KEY_MESSAGE_INTEGRITY_CODE,
        data: randomBytes(32),
      },
      {
        kind: "security-association",
        critical: false,
        proposals: numbered(DEFAULT_ESP_PROPOSALS, 4),
      },
      { kind: "traffic-selectors-initiator", critical: false, selectors },
      { kind: "traffic-selectors-responder", critical: false, selectors },
      notify(NotifyType.INITIAL_CONTACT, 0),
    ],
  };
}

function numbered(proposals: readonly Proposal[], spiLength: number): readonly Proposal[] {
  return proposals.map((proposal, i) => ({ ...proposal, number: i + 1, spi: randomBytes(spiLength) }));
}

function notify(notifyType: number, length: number): Payload {
  return {
    kind: "notify",
    critical: false,
    protocolId: 0,
    notifyType,
    spi: new Uint8Array(0),
    data: randomBytes(length),
  };
}
