import { KeyExchangeMethod } from "../../src/iana/ikev2-parameters.ts";
import { APPLE_AUTH, APPLE_INIT } from "./apple.ts";
import { esp, HOUR_MS, ike, type Persona } from "./persona.ts";

const IKE = ike("aes256-prfsha256-sha256-modp2048");
const ESP = esp("aes256-sha256");

/** macOS 13 and 14, set up by hand: one proposal, and child SAs are rekeyed without a key exchange. */
export const MACOS: Persona = {
  name: "macOS set up by hand",
  init: { proposals: IKE, group: KeyExchangeMethod.MODP_2048, others: APPLE_INIT },
  auth: { ...APPLE_AUTH, proposals: ESP },
  fragmentLength: 1228,
  childRekeys: [{ proposals: ESP }],
  ikeRekey: { proposals: IKE, group: KeyExchangeMethod.MODP_2048 },
  childRekeyMs: 0.4 * HOUR_MS,
  ikeRekeyMs: 0.8 * HOUR_MS,
};
