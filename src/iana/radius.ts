/** The IANA registries "RADIUS Types", as far as we speak of them, in registry order. Entries without a remark come from RFC 2865 and RFC 2866. */

/** RADIUS Packet Type Codes. */
export const RadiusCode = {
  ACCESS_REQUEST: 1,
  ACCESS_ACCEPT: 2,
  ACCESS_REJECT: 3,
  ACCESS_CHALLENGE: 11,
} as const;

/** RADIUS Attribute Types. */
export const RadiusAttribute = {
  USER_NAME: 1,
  NAS_IP_ADDRESS: 4,
  SERVICE_TYPE: 6,
  FRAMED_IP_ADDRESS: 8,
  REPLY_MESSAGE: 18,
  STATE: 24,
  CLASS: 25,
  VENDOR_SPECIFIC: 26,
  SESSION_TIMEOUT: 27,
  CALLED_STATION_ID: 30,
  CALLING_STATION_ID: 31,
  NAS_IDENTIFIER: 32,
  NAS_PORT_TYPE: 61,
  EAP_MESSAGE: 79, // RFC 3579
  MESSAGE_AUTHENTICATOR: 80, // RFC 3579
} as const;

/** Microsoft's attributes, RFC 2548; the vendor has number 311. */
export const MICROSOFT_VENDOR_ID = 311;
export const MicrosoftAttribute = {
  MS_MPPE_SEND_KEY: 16,
  MS_MPPE_RECV_KEY: 17,
} as const;

/** Values of Service-Type. */
export const ServiceType = {
  FRAMED: 2,
} as const;

/** Values of NAS-Port-Type. */
export const NasPortType = {
  VIRTUAL: 5,
} as const;
