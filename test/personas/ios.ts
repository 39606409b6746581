import { KeyExchangeMethod } from "../../src/iana/ikev2-parameters.ts";
import { APPLE_AUTH, APPLE_INIT } from "./apple.ts";
import { esp, HOUR_MS, ike, type Persona } from "./persona.ts";

const IKE = ike(
  "aes256-prfsha256-sha256-modp2048",
  "aes256-prfsha256-sha256-ecp256",
  "aes256-prfsha256-sha256-modp1536",
  "aes128-prfsha1-sha1-modp1024",
  "3des-prfsha1-sha1-modp1024",
);

/** iOS and iPadOS 16, set up by hand. They rekey the IKE SA every eight minutes. */
export const IOS: Persona = {
  name: "iOS set up by hand",
  init: { proposals: IKE, group: KeyExchangeMethod.MODP_2048, others: APPLE_INIT },
  auth: { ...APPLE_AUTH, proposals: esp("aes256-sha256", "aes128-sha1", "3des-sha1") },
  fragmentLength: 1228,
  childRekeys: [
    {
      proposals: esp("aes256-sha256-modp2048", "aes256-sha256", "aes128-sha1", "3des-sha1"),
      group: KeyExchangeMethod.MODP_2048,
    },
    { proposals: esp("aes256-sha256", "aes128-sha1", "3des-sha1") },
  ],
  ikeRekey: { proposals: IKE, group: KeyExchangeMethod.MODP_2048 },
  childRekeyMs: HOUR_MS,
  ikeRekeyMs: (8 / 60) * HOUR_MS,
};
