/** The IANA registries "RADIUS Types", as far as we speak of them, in registry order. Entries without a remark come from RFC 2865 and RFC 2866. */

/** RADIUS Packet Type Codes. */
export const RadiusCode = {
  ACCESS_REQUEST: 1,
  ACCESS_ACCEPT: 2,
  ACCESS_REJECT: 3,
  ACCOUNTING_REQUEST: 4,
  ACCOUNTING_RESPONSE: 5,
  ACCESS_CHALLENGE: 11,
  DISCONNECT_REQUEST: 40, // RFC 5176
  DISCONNECT_ACK: 41, // RFC 5176
  DISCONNECT_NAK: 42, // RFC 5176
  COA_REQUEST: 43, // RFC 5176
  COA_NAK: 45, // RFC 5176
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
  PROXY_STATE: 33,
  ACCT_STATUS_TYPE: 40,
  ACCT_DELAY_TIME: 41,
  ACCT_INPUT_OCTETS: 42,
  ACCT_OUTPUT_OCTETS: 43,
  ACCT_SESSION_ID: 44,
  ACCT_SESSION_TIME: 46,
  ACCT_INPUT_PACKETS: 47,
  ACCT_OUTPUT_PACKETS: 48,
  ACCT_TERMINATE_CAUSE: 49,
  ACCT_MULTI_SESSION_ID: 50,
  ACCT_INPUT_GIGAWORDS: 52, // RFC 2869
  ACCT_OUTPUT_GIGAWORDS: 53, // RFC 2869
  EVENT_TIMESTAMP: 55, // RFC 2869
  NAS_PORT_TYPE: 61,
  EAP_MESSAGE: 79, // RFC 3579
  MESSAGE_AUTHENTICATOR: 80, // RFC 3579
  ACCT_INTERIM_INTERVAL: 85, // RFC 2869
  NAS_IPV6_ADDRESS: 95, // RFC 3162
  ERROR_CAUSE: 101, // RFC 5176
  FRAMED_IPV6_ADDRESS: 168, // RFC 6911
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

/** Values of Acct-Status-Type. */
export const AcctStatusType = {
  START: 1,
  STOP: 2,
  INTERIM_UPDATE: 3, // RFC 2869
} as const;

/** Values of Acct-Terminate-Cause. */
export const AcctTerminateCause = {
  USER_REQUEST: 1,
  LOST_CARRIER: 2,
  SESSION_TIMEOUT: 5,
  ADMIN_RESET: 6,
  ADMIN_REBOOT: 7,
  NAS_ERROR: 9,
  NAS_REQUEST: 10,
} as const;

/** Values of Error-Cause, RFC 5176 section 3.5. */
export const ErrorCause = {
  UNSUPPORTED_ATTRIBUTE: 401,
  MISSING_ATTRIBUTE: 402,
  NAS_IDENTIFICATION_MISMATCH: 403,
  UNSUPPORTED_SERVICE: 405,
  UNSUPPORTED_EXTENSION: 406,
  SESSION_CONTEXT_NOT_FOUND: 503,
  RESOURCES_UNAVAILABLE: 506,
} as const;
