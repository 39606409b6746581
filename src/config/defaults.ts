/** What holds where the configuration says nothing. */
export const DEFAULT_CONFIG_FILE = "/etc/ikebana/ikebana.yaml";
export const DEFAULT_SOCKET = "/run/ikebana/ikebana.sock";
export const DEFAULT_STATE_DIRECTORY = "/var/lib/ikebana";

export const DEFAULT_TUN_NAME = "ikebana0";

/**
 * 1500 octets outside, less an IPv6 header (40), UDP (8), ESP (8), IV (8), padding and trailer (up to 17) and ICV (16), leave 1403; IPv4 outside leaves more.
 */
export const DEFAULT_MTU = 1400;

/** RFC 7296 section 2. */
export const IKE_PORT = 500;
/** RFC 3948 section 2.2. */
export const NAT_TRAVERSAL_PORT = 4500;

export const DEFAULT_REPLAY_WINDOW_PACKETS = 1024;
