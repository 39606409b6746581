/** The IANA registries "Extensible Authentication Protocol (EAP) Registry", as far as we speak of them, in registry order. */

/** EAP Packet Codes, RFC 3748 section 4. */
export const EapCode = {
  REQUEST: 1,
  RESPONSE: 2,
  SUCCESS: 3,
  FAILURE: 4,
} as const;

/** EAP Method Types, RFC 3748 section 5. */
export const EapType = {
  IDENTITY: 1,
  NOTIFICATION: 2,
  LEGACY_NAK: 3,
  MD5_CHALLENGE: 4,
  OTP: 5,
  GTC: 6,
  EAP_TLS: 13, // RFC 5216, RFC 9190
  EAP_SIM: 18, // RFC 4186
  EAP_TTLS: 21, // RFC 5281
  EAP_AKA: 23, // RFC 4187
  PEAP: 25,
  MS_EAP_AUTHENTICATION: 26, // EAP-MSCHAPv2, draft-kamath-pppext-eap-mschapv2
  TEAP: 55, // RFC 7170
  EXPANDED: 254,
} as const;
