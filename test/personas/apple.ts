import { ConfigurationAttribute, KeyExchangeMethod, NotifyType } from "../../src/iana/ikev2-parameters.ts";
import { notify } from "../../src/ike/payloads.ts";
import { parseIdentity } from "../../src/policy/identity.ts";
import { esp, HOUR_MS, ike, type Persona } from "./persona.ts";

// What iOS, iPadOS and macOS have in common: IDr, no CERTREQ, no hash algorithms.

const {
  INTERNAL_IP4_ADDRESS,
  INTERNAL_IP4_NETMASK,
  INTERNAL_IP4_DHCP,
  INTERNAL_IP4_DNS,
  INTERNAL_IP6_ADDRESS,
  INTERNAL_IP6_DHCP,
  INTERNAL_IP6_DNS,
  INTERNAL_DNS_DOMAIN,
} = ConfigurationAttribute;

export const APPLE_INIT = [
  notify(NotifyType.REDIRECT_SUPPORTED),
  notify(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED),
];

export const APPLE_AUTH = {
  identity: parseIdentity("fqdn:anna"),
  namesGateway: true,
  others: [
    notify(NotifyType.INITIAL_CONTACT),
    notify(NotifyType.ESP_TFC_PADDING_NOT_SUPPORTED),
    notify(NotifyType.NON_FIRST_FRAGMENTS_ALSO),
    notify(NotifyType.MOBIKE_SUPPORTED),
  ],
  asks: [
    INTERNAL_IP4_ADDRESS,
    INTERNAL_IP4_NETMASK,
    INTERNAL_IP4_DHCP,
    INTERNAL_IP4_DNS,
    INTERNAL_IP6_ADDRESS,
    INTERNAL_IP6_DHCP,
    INTERNAL_IP6_DNS,
    INTERNAL_DNS_DOMAIN,
  ],
};

const PROFILE_IKE = ike("aes256gcm16-prfsha256-ecp256");
const PROFILE_ESP = esp("aes256gcm16");

/** With the profile that "ikebana profile --for apple" makes: one proposal, PFS, and rekeying just short of a day. */
export const APPLE_PROFILE: Persona = {
  name: "iOS and macOS with their profile",
  init: { proposals: PROFILE_IKE, group: KeyExchangeMethod.ECP_256, others: APPLE_INIT },
  auth: { ...APPLE_AUTH, proposals: PROFILE_ESP },
  fragmentLength: 1228,
  childRekeys: [{ proposals: esp("aes256gcm16-ecp256"), group: KeyExchangeMethod.ECP_256 }],
  ikeRekey: { proposals: PROFILE_IKE, group: KeyExchangeMethod.ECP_256 },
  childRekeyMs: 23.5 * HOUR_MS,
  ikeRekeyMs: 23.5 * HOUR_MS,
};
