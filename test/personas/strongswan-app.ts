import { ConfigurationAttribute, KeyExchangeMethod } from "../../src/iana/ikev2-parameters.ts";
import { parseIdentity } from "../../src/policy/identity.ts";
import { CHARON_AUTH, CHARON_IKE, CHARON_INIT } from "./charon.ts";
import { esp, HOUR_MS, ike, type Persona } from "./persona.ts";

const { INTERNAL_IP4_ADDRESS, INTERNAL_IP4_DNS, INTERNAL_IP6_ADDRESS, INTERNAL_IP6_DNS } =
  ConfigurationAttribute;

const IKE = ike(
  `aes256-aes192-aes128-sha256-sha384-sha512-${CHARON_IKE}`,
  `aes256gcm16-aes128gcm16-chacha20poly1305-${CHARON_IKE}`,
);

/** The strongSwan app of Android: ecp256 first, the CA of the system's store that the gateway should have, the user's name as IDi. */
export const STRONGSWAN_APP: Persona = {
  name: "the strongSwan app",
  init: { proposals: IKE, group: KeyExchangeMethod.ECP_256, others: CHARON_INIT },
  auth: {
    identity: parseIdentity("fqdn:anna"),
    namesGateway: true,
    authorityCount: 140,
    others: CHARON_AUTH,
    asks: [INTERNAL_IP4_ADDRESS, INTERNAL_IP6_ADDRESS, INTERNAL_IP4_DNS, INTERNAL_IP6_DNS],
    proposals: esp("aes256gcm16-aes128gcm16-chacha20poly1305", "aes256-sha256", "aes128-sha256"),
  },
  fragmentLength: 1280,
  childRekeys: [
    {
      proposals: esp(
        "aes256gcm16-aes128gcm16-chacha20poly1305-ecp256",
        "aes256gcm16-aes128gcm16-chacha20poly1305",
      ),
      group: KeyExchangeMethod.ECP_256,
    },
    { proposals: esp("aes256gcm16-aes128gcm16-chacha20poly1305") },
  ],
  ikeRekey: { proposals: IKE, group: KeyExchangeMethod.ECP_256 },
  childRekeyMs: HOUR_MS,
  ikeRekeyMs: 10 * HOUR_MS,
};
