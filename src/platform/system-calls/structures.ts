// Layouts of the C structures that we fill ourselves; the same on x86-64 and arm64.

export const MMSGHDR_SIZE = 64;
export const MSG_NAME_OFFSET = 0;
export const MSG_NAMELEN_OFFSET = 8;
export const MSG_IOV_OFFSET = 16;
export const MSG_IOVLEN_OFFSET = 24;
export const MSG_CONTROL_OFFSET = 32;
export const MSG_CONTROLLEN_OFFSET = 40;
export const MSG_LEN_OFFSET = 56;

export const IOVEC_SIZE = 16;
export const IOV_BASE_OFFSET = 0;
export const IOV_LEN_OFFSET = 8;

/** cmsg_len (8) | cmsg_level (4) | cmsg_type (4) | data, padded to 8 */
export const CMSGHDR_SIZE = 16;
export const CMSG_LEVEL_OFFSET = 8;
export const CMSG_TYPE_OFFSET = 12;
/** ipi_ifindex (4) | ipi_spec_dst (4) | ipi_addr (4) */
export const IN_PKTINFO_SIZE = 12;
/** ipi6_addr (16) | ipi6_ifindex (4) */
export const IN6_PKTINFO_SIZE = 20;

/** fd (4) | events (2) | revents (2) */
export const POLLFD_SIZE = 8;
export const POLLFD_EVENTS_OFFSET = 4;
export const POLLFD_REVENTS_OFFSET = 6;

/** sin_family (2) | sin_port (2, net) | sin_addr (4) | zero (8) */
export const SOCKADDR_IN_SIZE = 16;
/** sin6_family (2) | sin6_port (2, net) | sin6_flowinfo (4) | sin6_addr (16) | sin6_scope_id (4) */
export const SOCKADDR_IN6_SIZE = 28;
/** nl_family (2) | pad (2) | nl_pid (4) | nl_groups (4) */
export const SOCKADDR_NL_SIZE = 12;
/** sll_family (2) | sll_protocol (2, net) | sll_ifindex (4) | sll_hatype (2) | sll_pkttype (1) | sll_halen (1) | sll_addr (8) */
export const SOCKADDR_LL_SIZE = 20;

/** ifr_name (16) | union (24) */
export const IFREQ_SIZE = 40;
export const IFNAMSIZ = 16;
