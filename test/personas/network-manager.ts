import { ConfigurationAttribute, KeyExchangeMethod } from "../../src/iana/ikev2-parameters.ts";
import { parseIdentity } from "../../src/policy/identity.ts";
import { CHARON_AUTH, CHARON_IKE, CHARON_INIT } from "./charon.ts";
import { esp, HOUR_MS, ike, type Persona } from "./persona.ts";

const { INTERNAL_IP4_ADDRESS, INTERNAL_IP4_DNS, INTERNAL_IP4_NBNS, INTERNAL_IP6_ADDRESS, INTERNAL_IP6_DNS } =
  ConfigurationAttribute;

const IKE = ike(
  `aes128-aes192-aes256-sha256-sha384-sha512-${CHARON_IKE}`,
  `aes128gcm16-aes256gcm16-chacha20poly1305-${CHARON_IKE}`,
);
const ESP = esp(
  "aes128gcm16-aes192gcm16-aes256gcm16-chacha20poly1305",
  "aes128-aes192-aes256-sha256-sha384-sha512-sha1-aesxcbc",
);

/** NetworkManager with strongSwan's plug-in (charon-nm). */
export const NETWORK_MANAGER: Persona = {
  name: "NetworkManager with strongSwan",
  init: { proposals: IKE, group: KeyExchangeMethod.ECP_256, others: CHARON_INIT },
  auth: {
    identity: parseIdentity("fqdn:anna"),
    namesGateway: true,
    authorityCount: 140,
    others: CHARON_AUTH,
    asks: [INTERNAL_IP4_ADDRESS, INTERNAL_IP6_ADDRESS, INTERNAL_IP4_DNS, INTERNAL_IP6_DNS, INTERNAL_IP4_NBNS],
    proposals: ESP,
  },
  fragmentLength: 1280,
  childRekeys: [{ proposals: ESP }],
  ikeRekey: { proposals: IKE, group: KeyExchangeMethod.ECP_256 },
  childRekeyMs: HOUR_MS,
  ikeRekeyMs: 10 * HOUR_MS,
};
