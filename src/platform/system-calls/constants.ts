// Numbers of the Linux interface that x86-64 and arm64 share, by header. SYSTEM_CALL_NUMBERS holds those that differ.

// fcntl.h
export const O_RDONLY = 0;
export const O_RDWR = 2;
export const O_NONBLOCK = 0x800;
export const O_CLOEXEC = 0x80000;

export const LOCK_EX = 2;
export const LOCK_NB = 4;

// poll.h
export const POLLIN = 1;

// sys/eventfd.h
export const EFD_NONBLOCK = 0x800;
export const EFD_CLOEXEC = 0x80000;

// sys/socket.h
export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const AF_PACKET = 17;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_NONBLOCK = 0x800;
export const SOCK_CLOEXEC = 0x80000;
export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
export const SO_KEEPALIVE = 9;
export const SO_REUSEPORT = 15;
export const SO_ATTACH_FILTER = 26;
export const SO_SNDBUFFORCE = 32;
export const SO_RCVBUFFORCE = 33;
export const SO_TIMESTAMPNS = 35;
export const SO_MARK = 36;
export const SO_ATTACH_REUSEPORT_CBPF = 51;
export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;

// netinet/in.h
export const IPPROTO_IP = 0;
export const IPPROTO_IPV6 = 41;
export const IP_TOS = 1;
export const IP_PKTINFO = 8;
export const IP_MTU_DISCOVER = 10;
export const IP_RECVTOS = 13;
export const IP_MTU = 14;
export const IPV6_MTU_DISCOVER = 23;
export const IPV6_MTU = 24;
export const IPV6_V6ONLY = 26;
export const IPV6_RECVPKTINFO = 49;
export const IPV6_PKTINFO = 50;
export const IPV6_RECVTCLASS = 66;
export const IPV6_TCLASS = 67;

// netinet/tcp.h
export const IPPROTO_TCP = 6;
export const TCP_NODELAY = 1;
export const TCP_KEEPIDLE = 4;
export const TCP_KEEPINTVL = 5;
export const TCP_KEEPCNT = 6;
export const TCP_USER_TIMEOUT = 18;
export const TCP_NOTSENT_LOWAT = 25;

// linux/in.h, linux/in6.h: the same for both families
/** No DF. */
export const PMTUDISC_DONT = 0;
/** DF, but for what is longer than the path takes. */
export const PMTUDISC_WANT = 1;
/** DF; what is longer than the path takes is refused. */
export const PMTUDISC_DO = 2;
/** DF; what is longer than the link takes is refused. */
export const PMTUDISC_PROBE = 3;

// linux/udp.h
export const SOL_UDP = 17;
export const UDP_SEGMENT = 103; // Linux 4.18
export const UDP_GRO = 104; // Linux 5.0

// linux/if_tun.h
export const TUNSETIFF = 0x400454ca;
export const TUNSETOFFLOAD = 0x400454d0;
export const IFF_TUN = 1;
export const IFF_MULTI_QUEUE = 0x100;
export const IFF_NO_PI = 0x1000;
export const IFF_VNET_HDR = 0x4000;
export const TUN_F_CSUM = 1;
export const TUN_F_TSO4 = 2;
export const TUN_F_TSO6 = 4;
export const TUN_F_USO4 = 0x20; // Linux 6.2
export const TUN_F_USO6 = 0x40; // Linux 6.2

// linux/sockios.h
export const SIOCSIFMTU = 0x8922;

// linux/if_packet.h, linux/if_ether.h
export const SOL_PACKET = 263;
export const PACKET_RX_RING = 5;
export const PACKET_STATISTICS = 6;
export const PACKET_VERSION = 10;
export const TPACKET_V2 = 1;
export const ETH_P_ALL = 3;

// sys/mman.h
export const PROT_READ_WRITE = 3;
export const MAP_SHARED = 1;

// sys/ioctl.h
export const FIONCLEX = 0x5450;
export const FIOCLEX = 0x5451;

// linux/prctl.h, linux/capability.h
export const PR_CAP_AMBIENT = 47;
export const PR_CAP_AMBIENT_LOWER = 3;
export const CAP_NET_BIND_SERVICE = 10;
export const CAP_NET_RAW = 13;

// sched.h, time.h
export const CLONE_NEWNET = 0x40000000;
export const CLOCK_REALTIME = 0;

/** Called through syscall(): musl's own sendmmsg loops over sendmsg. */
export const SYSTEM_CALL_NUMBERS = {
  x64: { recvmmsg: 299, sendmmsg: 307 },
  arm64: { recvmmsg: 243, sendmmsg: 269 },
} as const;
