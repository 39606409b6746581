/** Assigned Internet Protocol Numbers: those that traffic selectors, ESP and their tests name. */
export const IpProtocol = {
  HOPOPT: 0, // as a selector: any protocol
  ICMP: 1,
  IGMP: 2,
  IPV4: 4,
  TCP: 6,
  UDP: 17,
  IPV6: 41,
  IPV6_ROUTE: 43,
  IPV6_FRAG: 44,
  GRE: 47,
  ESP: 50,
  AH: 51,
  IPV6_ICMP: 58,
  IPV6_NONXT: 59,
  IPV6_OPTS: 60,
  OSPFIGP: 89,
  IPCOMP: 108,
  L2TP: 115,
  SCTP: 132,
  MOBILITY_HEADER: 135,
  UDPLITE: 136,
  AGGFRAG: 144, // RFC 9347
} as const;
