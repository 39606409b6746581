import { fromHex } from "../../src/bytes/hex.ts";
import { ConfigurationAttribute, KeyExchangeMethod, NotifyType } from "../../src/iana/ikev2-parameters.ts";
import { notify } from "../../src/ike/payloads.ts";
import { parseIdentity } from "../../src/policy/identity.ts";
import type { Payload } from "../../src/wire/payloads/payload.ts";
import type { Proposal } from "../../src/wire/payloads/proposal.ts";
import { esp, HOUR_MS, ike, type Persona } from "./persona.ts";

// Windows 10 and 11: no IDr, its private address as IDi, all the CAs that it knows, and no hash algorithms.

const {
  INTERNAL_IP4_ADDRESS,
  INTERNAL_IP4_DNS,
  INTERNAL_IP4_NBNS,
  INTERNAL_IP4_SERVER,
  INTERNAL_IP6_ADDRESS,
  INTERNAL_IP6_DNS,
} = ConfigurationAttribute;
/** From the private range, as the registry's name for IPv4 is. */
const INTERNAL_IP6_SERVER = 23_457;

const VENDOR_IDS = [
  "1e2b516905991c7d7c96fcbfb587e46100000009", // MS NT5 ISAKMPOAKLEY v9
  "fb1de3cdf341b7ea16b7e5be0855f120", // MS-Negotiation Discovery Capable
  "26244d38eddb61b3172a36e3d0cfb819", // Vid-Initial-Contact
  "01528bbbc00696121849ab9a1c5b2a5100000002",
];
const others: readonly Payload[] = [
  notify(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED),
  ...VENDOR_IDS.map((hex): Payload => ({ kind: "vendor-id", critical: false, data: fromHex(hex) })),
];

/** Each cipher with each hash in a proposal of its own, the weakest first, all with the group of 1024 bits. */
const DEFAULT_IKE: readonly Proposal[] = ike(
  ...["3des", "aes256", "aes192", "aes128"].flatMap((cipher) =>
    ["sha1", "sha256", "sha384"].map((hash) => `${cipher}-prf${hash}-${hash}-modp1024`),
  ),
);
/** HMAC-SHA1-96 throughout, down to no encryption at all. */
const DEFAULT_ESP: readonly Proposal[] = esp(
  "aes256-sha1",
  "aes128-sha1",
  "3des-sha1",
  "des-sha1",
  "null-sha1",
);

const COMMON = {
  identity: parseIdentity("192.168.1.7"),
  namesGateway: false,
  others: [notify(NotifyType.MOBIKE_SUPPORTED)],
  asks: [
    INTERNAL_IP4_ADDRESS,
    INTERNAL_IP4_DNS,
    INTERNAL_IP4_NBNS,
    INTERNAL_IP4_SERVER,
    INTERNAL_IP6_ADDRESS,
    INTERNAL_IP6_DNS,
    INTERNAL_IP6_SERVER,
  ],
};

/** As it comes. As many CAs as make the 29 fragments that it was seen to send. */
export const WINDOWS_DEFAULT: Persona = {
  name: "Windows with its own proposals",
  init: { proposals: DEFAULT_IKE, group: KeyExchangeMethod.MODP_1024, others },
  auth: { ...COMMON, authorityCount: 616, proposals: DEFAULT_ESP },
  fragmentLength: 552,
  childRekeys: [{ proposals: DEFAULT_ESP }],
  ikeRekey: { proposals: DEFAULT_IKE, group: KeyExchangeMethod.MODP_1024 },
  childRekeyMs: HOUR_MS,
  ikeRekeyMs: 8 * HOUR_MS,
};

const PROFILE_IKE = ike("aes256gcm16-prfsha256-ecp256");
const PROFILE_ESP = esp("aes256gcm16");

/** After `Set-VpnConnectionIPsecConfiguration` as "ikebana profile --for windows" has it: PFS. */
export const WINDOWS_PROFILE: Persona = {
  name: "Windows with the script of its profile",
  init: { proposals: PROFILE_IKE, group: KeyExchangeMethod.ECP_256, others },
  auth: { ...COMMON, authorityCount: 58, proposals: PROFILE_ESP },
  fragmentLength: 552,
  childRekeys: [{ proposals: esp("aes256gcm16-ecp256"), group: KeyExchangeMethod.ECP_256 }],
  ikeRekey: { proposals: PROFILE_IKE, group: KeyExchangeMethod.ECP_256 },
  childRekeyMs: HOUR_MS,
  ikeRekeyMs: 8 * HOUR_MS,
};
