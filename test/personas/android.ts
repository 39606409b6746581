import {
  ConfigurationAttribute,
  HashAlgorithm,
  KeyExchangeMethod,
  NotifyType,
} from "../../src/iana/ikev2-parameters.ts";
import { notify } from "../../src/ike/payloads.ts";
import { parseIdentity } from "../../src/policy/identity.ts";
import { esp, HOUR_MS, ike, type Persona } from "./persona.ts";

const { INTERNAL_IP4_ADDRESS, INTERNAL_IP4_DNS, INTERNAL_IP6_ADDRESS, INTERNAL_IP6_DNS } =
  ConfigurationAttribute;
const { SHA1, SHA2_256, SHA2_384, SHA2_512 } = HashAlgorithm;

const PRFS = "prfsha512-prfsha384-prfsha256-prfaesxcbc-prfaescmac";
const GROUPS = "modp4096-x25519-modp3072-modp2048";
const INTEGRITY = "sha512-sha384-sha256-aesxcbc-aescmac";
const SEPARATE = "aes256ctr-aes256-aes192ctr-aes192-aes128ctr-aes128";
const COMBINED =
  "chacha20poly1305-aes256gcm16-aes256gcm12-aes256gcm8-aes192gcm16-aes192gcm12-aes192gcm8-aes128gcm16-aes128gcm12-aes128gcm8";

const IKE = ike(`${SEPARATE}-${INTEGRITY}-${PRFS}-${GROUPS}`, `${COMBINED}-${PRFS}-${GROUPS}`);
const ESP = esp(`${SEPARATE}-${INTEGRITY}`, COMBINED);

/**
 * Android from 11 on, without an app. It announces hash algorithms and verifies RSASSA-PKCS1-v1_5 alone; what the user types into
 * "IPSec identifier" is its IDi, here a key ID.
 */
export const ANDROID: Persona = {
  name: "Android without an app",
  init: {
    proposals: IKE,
    group: KeyExchangeMethod.MODP_4096,
    others: [
      notify(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED),
      notify(
        NotifyType.SIGNATURE_HASH_ALGORITHMS,
        Uint8Array.from([SHA1, SHA2_256, SHA2_384, SHA2_512].flatMap((id) => [0, id])),
      ),
    ],
  },
  auth: {
    identity: parseIdentity("keyid:anna"),
    namesGateway: true,
    others: [notify(NotifyType.EAP_ONLY_AUTHENTICATION), notify(NotifyType.MOBIKE_SUPPORTED)],
    asks: [INTERNAL_IP4_ADDRESS, INTERNAL_IP6_ADDRESS, INTERNAL_IP4_DNS, INTERNAL_IP6_DNS],
    proposals: ESP,
  },
  fragmentLength: 1228,
  childRekeys: [{ proposals: ESP }],
  ikeRekey: { proposals: IKE, group: KeyExchangeMethod.MODP_4096 },
  childRekeyMs: HOUR_MS,
  ikeRekeyMs: 2 * HOUR_MS,
};
