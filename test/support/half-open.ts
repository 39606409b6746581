import { randomBytes } from "node:crypto";
import { ExchangeType, KeyExchangeMethod, NotifyType } from "../../src/iana/ikev2-parameters.ts";
import { parseIkeProposal } from "../../src/policy/keywords.ts";
import { encodeMessage } from "../../src/wire/message.ts";
import type { Payload } from "../../src/wire/payloads/payload.ts";

/** An IKE_SA_INIT request with X25519 that nobody means to go on with: it leaves the peer with a half-open SA. */
export function halfOpenRequest(): Uint8Array {
  const notify = (notifyType: number): Payload => ({
    ...{ kind: "notify", critical: false, protocolId: 0, notifyType, spi: new Uint8Array(0) },
    data: randomBytes(20),
  });
  return encodeMessage({
    initiatorSpi: randomBytes(8).readBigUInt64BE() | 1n,
    responderSpi: 0n,
    exchangeType: ExchangeType.IKE_SA_INIT,
    isInitiator: true,
    isResponse: false,
    messageId: 0,
    payloads: [
      {
        kind: "security-association",
        critical: false,
        proposals: [parseIkeProposal("aes256gcm16-prfsha384-x25519")],
      },
      { kind: "key-exchange", critical: false, group: KeyExchangeMethod.CURVE25519, data: randomBytes(32) },
      { kind: "nonce", critical: false, nonce: randomBytes(32) },
      notify(NotifyType.NAT_DETECTION_SOURCE_IP),
      notify(NotifyType.NAT_DETECTION_DESTINATION_IP),
    ],
  });
}
