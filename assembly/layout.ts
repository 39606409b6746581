// One shared memory, written down once. AssemblyScript and TypeScript both read this file, so it holds
// untyped constants only and imports nothing.
//
// _BASE is an address, _OFFSET a place inside a record, _SIZE octets, _COUNT how many.
// All words are little-endian; addresses of packets and peers are in network order where marked "net".
//
//   0            64 KB       128 KB       6 MB          12 MB           178 MB
//   | constants  | control   | SPD        | selectors   | SA slots      | workers, each with tables for busy keys; IKE SPIs
//
// Pages that nobody touches cost nothing: the memory is reserved, not filled.

/** Raised whenever a number below changes. */
export const LAYOUT_VERSION = 21;

/** The kernel's constant tables stay below. */
export const TABLES_END = 65536;

// ---- Control: a few words, each alone on its line ----------------------------------------------------------

export const CONTROL_BASE = 65536;
/** u32, the host once: LAYOUT_VERSION. */
export const CONTROL_VERSION_OFFSET = 0;
/** u32, the host, atomic: address of the roots of the SPD, or 0. */
export const CONTROL_SPD_OFFSET = 64;
/** u32, the host, atomic: raised when keys are removed; each worker then zeroes what its kernels left behind. */
export const CONTROL_WIPE_OFFSET = 128;
/** u32, the host, atomic: raised behind each change of the SPD. */
export const CONTROL_SPD_CHANGES_OFFSET = 192;
export const CONTROL_SIZE = 4096;

// ---- SPD: a tree by remote address, whose nodes bear trees by local address, whose nodes bear lists of policies --------
//
// The host alone writes. It fills what nobody can reach yet and hangs it in by one atomic store; what it takes out it fills
// anew only when every worker has passed. So a reader follows any pointer at any moment.
//
//   roots -> node -> node (remote prefixes) -> node (local prefixes) -> policy -> policy

export const SPD_NODE_BASE = 131072;
export const SPD_NODE_COUNT = 131072;
/** A prefix: the bits of an address from the first on as a number, u64 high and u64 low, and how many of them count, u32. */
export const NODE_KEY_OFFSET = 0;
export const NODE_LENGTH_OFFSET = 16;
/** u32, atomic: address of a tree or of a policy, or 0. */
export const NODE_PAYLOAD_OFFSET = 20;
/** u32 each, atomic: longer prefixes, those whose next bit is 0 and those whose next bit is 1; 0 is none. */
export const NODE_CHILDREN_OFFSET = 24;
export const NODE_SIZE = 32;
/** A node's place may hold roots instead, u32 each, atomic: the trees of IPv4 and IPv6. */
export const ROOTS_IPV4_OFFSET = 0;
export const ROOTS_IPV6_OFFSET = 4;

export const POLICY_BASE = 4325376;
export const POLICY_COUNT = 65536;
/** u32, atomic: address of the next policy of the list, or 0. */
export const POLICY_NEXT_OFFSET = 0;
/** u32: address of its selector. */
export const POLICY_SELECTOR_OFFSET = 4;
/** u64: of all that match a packet, the lowest decides. Lists are in this order. */
export const POLICY_PRECEDENCE_OFFSET = 8;
/** u32 each: an action, and the outbound SA: its slot and the generation it must still have. A trap has its number in the
 * place of the slot. */
export const POLICY_ACTION_OFFSET = 16;
export const POLICY_SA_OFFSET = 20;
export const POLICY_GENERATION_OFFSET = 24;
export const POLICY_SIZE = 32;
export const POLICY_DISCARD = 0;
export const POLICY_PROTECT = 1;
/** There is no SA yet: the packet calls for one. */
export const POLICY_TRAP = 2;

// ---- Selectors: shared by the SPD and by the check of what arrives (RFC 4301 section 4.4.1.1) ------------------

export const SELECTOR_BASE = 6422528;
export const SELECTOR_COUNT = 65536;
/** u32: 4 or 6. */
export const SELECTOR_FAMILY_OFFSET = 0;
/** u32: IP protocol, 0 is any. */
export const SELECTOR_PROTOCOL_OFFSET = 4;
/** u32 each: inclusive port ranges; 0..65535 is any, 65535..0 is OPAQUE (RFC 7296 section 3.13.1). */
export const SELECTOR_LOCAL_PORT_START_OFFSET = 8;
export const SELECTOR_LOCAL_PORT_END_OFFSET = 12;
export const SELECTOR_REMOTE_PORT_START_OFFSET = 16;
export const SELECTOR_REMOTE_PORT_END_OFFSET = 20;
/** 16 octets each, net: inclusive address ranges; IPv4 uses the first four. */
export const SELECTOR_LOCAL_START_OFFSET = 32;
export const SELECTOR_LOCAL_END_OFFSET = 48;
export const SELECTOR_REMOTE_START_OFFSET = 64;
export const SELECTOR_REMOTE_END_OFFSET = 80;
export const SELECTOR_SIZE = 96;

// ---- Dummies: outbound SAs that send dummy packets while they have nothing else to send (RFC 4303 section 2.6) --------

export const DUMMIES_BASE = 69632;
/** u32, the host, atomic: how many slots are listed. */
export const DUMMIES_COUNT_OFFSET = 0;
/** u32, the host, atomic: raised whenever the list changes. */
export const DUMMIES_VERSION_OFFSET = 4;
/** u32 each: slot numbers. One that a worker reads while the list changes may be an old one: the slot itself says what it sends. */
export const DUMMIES_SLOTS_OFFSET = 64;
export const DUMMIES_LIMIT = 4096;

// ---- SAD: slots; an inbound SPI is random | worker | slot, so the look-up is one load ---------------------------

export const SA_BASE = 12713984;
/** Two for each child SA: 10,000 tunnels, and room for those that stand beside them while they are rekeyed. */
export const SA_SLOT_COUNT = 32768;
/** An odd number of lines, so that the heads of many slots spread over the processor's cache. */
export const SA_SLOT_SIZE = 5312;
/** The low bits of an inbound SPI name its slot, the next ones the worker that alone may touch its window. */
export const SPI_SLOT_BITS = 15;
export const SPI_WORKER_BITS = 3;

/** u32, the host, atomic. */
export const SA_STATE_OFFSET = 0;
export const SA_FREE = 0;
export const SA_RESERVED = 1;
export const SA_ACTIVE = 2;
export const SA_REMOVED = 3;
/** u32: the SPI as a number. */
export const SA_SPI_OFFSET = 4;
/** u32: SA_FLAG_*. */
export const SA_FLAGS_OFFSET = 8;
export const SA_FLAG_INBOUND = 1;
export const SA_FLAG_ESN = 2;
/** No IV is sent: the sequence number stands in for it (RFC 8750). */
export const SA_FLAG_IMPLICIT_IV = 4;
/** DSCP goes from the inner header to the outer one, or inbound back (RFC 4301 section 5.1.2). ECN always does. */
export const SA_FLAG_COPY_DSCP = 8;
/** TCP SYNs name no larger segments than SA_INNER_MTU lets through. */
export const SA_FLAG_CLAMP_MSS = 256;
/** Transport mode (RFC 4303 section 3.1.1): the IP header is not inside. */
export const SA_FLAG_TRANSPORT = 512;
/** Outside, any packet may be fragmented, or those that may be inside (RFC 4301 section 8.1). Else none may that has another way. */
export const SA_FLAG_FRAGMENT_OUTSIDE = 1024;
export const SA_FLAG_COPY_DF = 2048;
/** u32: ALGORITHM_*. */
export const SA_ALGORITHM_OFFSET = 12;
/** 4 octets: the salt of RFC 4106 section 4, RFC 4543 section 3.2 and RFC 7634 section 2, the nonce of RFC 3686 section 4. */
export const SA_SALT_OFFSET = 16;
/** u32 each: the SA's selectors, a run in the selector table. */
export const SA_SELECTOR_FIRST_OFFSET = 20;
export const SA_SELECTOR_COUNT_OFFSET = 24;
/** u32: 64 to 8192; 0 turns the check off (RFC 4303 section 3.4.3). */
export const SA_REPLAY_WINDOW_OFFSET = 28;
/** u32, the host, atomic: which of the SA's two paths (0 or 1) holds. A move fills the other and flips. */
export const SA_PATH_OFFSET = 32;
/** u8 each, for ALGORITHM_ENCRYPT_THEN_MAC: CIPHER_* and HASH_*. */
export const SA_CIPHER_OFFSET = 36;
export const SA_HASH_OFFSET = 37;
/** u8: the worker that alone seals with the SA, or opens: nobody else takes its numbers or touches its window. */
export const SA_WORKER_OFFSET = 38;
/** u8 each, espPrepareSa: octets of IV, of what the text is a whole number of, and of ICV. */
export const SA_IV_LENGTH_OFFSET = 40;
export const SA_UNIT_OFFSET = 41;
export const SA_ICV_LENGTH_OFFSET = 42;
/** u32, the host: raised whenever the slot is reserved, so that a policy cannot mean a slot's next tenant. */
export const SA_GENERATION_OFFSET = 44;
/** u64 each (two u32, low first), the host: hard limits. All ones is none. */
export const SA_PACKET_LIMIT_OFFSET = 48;
export const SA_OCTET_LIMIT_OFFSET = 56;

/** From here to SA_PATHS_OFFSET the SA's worker writes. u64: outbound the last number sent, inbound the highest that was authentic. */
export const SA_SEQUENCE_OFFSET = 64;
/** u64 each: inner packets and their octets, sealed or delivered. */
export const SA_PACKETS_OFFSET = 72;
export const SA_OCTETS_OFFSET = 80;
/** f64: when the SA last carried an authentic packet, in milliseconds of the worker's monotonic clock. */
export const SA_LAST_USED_OFFSET = 88;
/** f64, outbound: when the SA last sent a dummy packet, by the same clock. u64: how many it has sent. */
export const SA_LAST_DUMMY_OFFSET = 96;
export const SA_DUMMIES_OFFSET = 104;
/** u32 each, outbound, the host: octets that inner packets are padded to (RFC 4303 section 2.7), octets of a dummy packet, and
 * the milliseconds of silence after which one is sent. 0 is none. */
export const SA_PAD_TO_OFFSET = 112;
export const SA_DUMMY_LENGTH_OFFSET = 116;
export const SA_DUMMY_EVERY_OFFSET = 120;
/** u32, the host, atomic: the longest inner packet that fits the SA's path, and the TUN device. 0 is not known. */
export const SA_INNER_MTU_OFFSET = 124;
/** u64 for each STATUS_* at 8 * status: what became of the packets of this SA. */
export const SA_COUNTERS_OFFSET = 128;
/** u64 for each EVENT_* at 8 * event: what was done to packets that went on. */
export const SA_EVENTS_OFFSET = 448;
export const EVENT_MSS_CLAMPED = 0;
/** An IPv4 packet that was too long became fragments, before they were sealed. */
export const EVENT_FRAGMENTED = 1;
/** A packet that was too long went whole, to be fragmented outside. */
export const EVENT_FRAGMENTED_OUTSIDE = 2;
export const EVENT_COUNT = 3;

/**
 * Inbound, the bitmap ring of the replay window (RFC 6479): a power of two of blocks, one bit for each number. Outbound, where there
 * is no window, the expanded key that makes the IVs of AES-CBC.
 */
export const SA_REPLAY_OFFSET = 512;
export const SA_REPLAY_SIZE = 2048;
/** Two paths: where ESP goes and where it leaves from (outbound). */
export const SA_PATHS_OFFSET = 2560;
/** Inbound in transport mode there stands instead the IP header that packets get, 20 or 40 octets, and its length, u32: all but
 * lengths, protocol, traffic class and checksum. */
export const SA_HEADER_LENGTH_OFFSET = 2560;
export const SA_HEADER_OFFSET = 2576;
/** Inbound, u32, the host, atomic: a number for the socket address that the peer sends from, as far as is known. 0 is none. */
export const SA_PEER_OFFSET = 2632;
/** u32: which UDP socket of the worker sends. */
export const PATH_SOCKET_OFFSET = 0;
/** u32 each: octets used of the peer's socket address and of the prepared control message. */
export const PATH_PEER_LENGTH_OFFSET = 4;
export const PATH_CONTROL_LENGTH_OFFSET = 8;
/** sockaddr_in or sockaddr_in6 of the peer, ready for msg_name. */
export const PATH_PEER_OFFSET = 16;
export const PATH_PEER_SIZE = 32;
/** cmsghdr with IP_PKTINFO or IPV6_PKTINFO, ready for msg_control. */
export const PATH_CONTROL_OFFSET = 48;
export const PATH_CONTROL_SIZE = 64;
export const PATH_SIZE = 128;
/** Expanded key: the kernel's own record, as small as it gets. What only speeds a key up lies in a worker's tables. */
export const SA_AEAD_OFFSET = 2816;
export const AEAD_CONTEXT_SIZE = 2496;

// ---- Algorithms, and the jobs of their kernels ----------------------------------------------------------------------

export const ALGORITHM_AES_GCM = 1;
export const ALGORITHM_CHACHA20_POLY1305 = 2;
export const ALGORITHM_AES_GMAC = 3;
/** A cipher, and HMAC over what it makes. */
export const ALGORITHM_ENCRYPT_THEN_MAC = 4;
export const CIPHER_NULL = 0;
export const CIPHER_AES_CBC = 1;
export const CIPHER_AES_CTR = 2;
export const HASH_SHA1 = 1;
export const HASH_SHA2_256 = 2;
export const HASH_SHA2_384 = 3;
export const HASH_SHA2_512 = 4;

/** A job: one packet to seal or to open. Source and destination are equal or do not overlap. */
export const JOB_CONTEXT_OFFSET = 0;
export const JOB_AAD_OFFSET = 4;
export const JOB_AAD_LENGTH_OFFSET = 8;
export const JOB_SOURCE_OFFSET = 12;
export const JOB_DESTINATION_OFFSET = 16;
/** u32: octets of plaintext, without the tag. */
export const JOB_LENGTH_OFFSET = 20;
/** u32: address of the tag, written by seal, compared by open: 16 octets, or as many as the hash of the SA sends. */
export const JOB_TAG_OFFSET = 24;
/** u32, open: JOB_AUTHENTIC or JOB_FORGED. A forged packet's destination is zeroed. Sealing with encrypt-then-MAC may use it. */
export const JOB_VERDICT_OFFSET = 28;
/** 12 octets. */
export const JOB_NONCE_OFFSET = 32;
/** u32: free for the caller. */
export const JOB_TAG_ALONG_OFFSET = 44;
/** 16 octets: free for the caller; ESP keeps here an AAD that is not found in the packet (RFC 4106 section 5). */
export const JOB_AAD_ROOM_OFFSET = 48;
/** Encrypt-then-MAC has the same room for the high half of an extended sequence number: u32 net, and u32 its octets, 4 or 0. */
export const JOB_HIGH_HALF_OFFSET = 48;
export const JOB_HIGH_HALF_LENGTH_OFFSET = 52;
export const JOB_SIZE = 64;
export const JOB_FORGED = 0;
export const JOB_AUTHENTIC = 1;
export const TAG_LENGTH = 16;

// ---- Workers: region 0 belongs to the host's own instance, the others to data workers --------------------------

export const WORKER_BASE = 186777600;
export const WORKER_COUNT = 5;
export const WORKER_SIZE = 29687808;

/** u32, the worker, atomic: raised once a round; the host waits for it before it reuses what it took away. */
export const WORKER_EPOCH_OFFSET = 0;
/** u64 for each STATUS_*, the worker: at 8 * status. Packets of an SA are counted there, all others here. */
export const WORKER_COUNTERS_OFFSET = 64;
/** f64, the worker: milliseconds of the system's monotonic clock when the round began. */
export const WORKER_CLOCK_OFFSET = 256;
/** u32, the host, atomic: COMMAND_*. */
export const WORKER_COMMAND_OFFSET = 320;
export const COMMAND_RUN = 0;
export const COMMAND_STOP = 1;
/** u32, the worker: 1 as long as its kernel is lent AES. */
export const WORKER_AES_LENT_OFFSET = 384;
/** u32, the worker: 1 when its kernel is lent ChaCha20. */
export const WORKER_CHACHA_LENT_OFFSET = 388;
/** Tallies of the system calls that move packets, TALLY_*, written by the worker: f64 calls, packets and octets, then f64 for each
 * class of packets in a call: 1, 2 to 3, 4 to 7 and so on, the last is 128 and more. */
export const WORKER_TALLIES_OFFSET = 512;
export const TALLY_TUN_READ = 0;
export const TALLY_TUN_WRITE = 1;
export const TALLY_UDP_RECEIVE = 2;
export const TALLY_UDP_TRANSMIT = 3;
export const TALLY_CLASS_COUNT = 8;
export const TALLY_SIZE = 96;
/** Rounds that were timed, written by the worker: f64 rounds, packets, and milliseconds in all, in system calls and in WebAssembly. */
export const WORKER_TIMES_OFFSET = 1024;
export const TIMES_ROUNDS_OFFSET = 0;
export const TIMES_PACKETS_OFFSET = 8;
export const TIMES_TOTAL_OFFSET = 16;
export const TIMES_SYSTEM_CALLS_OFFSET = 24;
export const TIMES_WEBASSEMBLY_OFFSET = 32;
/** Packet descriptors of the current batch. */
export const WORKER_DESCRIPTORS_OFFSET = 4096;
export const DESCRIPTOR_COUNT = 1024;
/** The jobs of the current batch, one array for each kernel. */
export const WORKER_GCM_JOBS_OFFSET = 69632;
export const WORKER_CHACHA_JOBS_OFFSET = 135168;
export const WORKER_ETM_JOBS_OFFSET = 200704;
export const WORKER_GMAC_JOBS_OFFSET = 266240;
/** What kernels need beside the packet; each instance has its own. */
export const WORKER_SCRATCH_OFFSET = 331776;
export const WORKER_SCRATCH_SIZE = 262144;
/** What a decapsulated batch becomes at the TUN device: a list of writes, of u32 each:
 * how many pieces, the SA's slot, then address and length of each piece. */
export const WORKER_WRITES_OFFSET = 593920;
export const WORKER_WRITES_SIZE = 16384;
/** u32 addresses: the flows that may still grow while a batch is coalesced. */
export const WORKER_FLOWS_OFFSET = 610304;
export const FLOW_COUNT = 16;
/** u32, the kernel: ICMP messages of the batch that was encapsulated last, for the TUN device. */
export const WORKER_REPLY_COUNT_OFFSET = 655360;
/** Each: u32 length of the packet, and the packet at REPLY_PACKET_OFFSET, with room for a virtio_net_hdr before it. */
export const WORKER_REPLIES_OFFSET = 655424;
export const REPLY_COUNT = 16;
export const REPLY_PACKET_OFFSET = 16;
export const REPLY_SIZE = 1344;
/** A piece of a super-packet, while it is looked at; 64 KB. */
export const WORKER_STAGING_OFFSET = 720896;
/** IKE datagrams on their way to the host: a ring with one writer (the worker) and one reader (the host). */
export const WORKER_MAILBOX_OFFSET = 856064;
export const RING_SIZE = 1048576;
/** u32, the writer, atomic: where in the records area the next record goes. */
export const RING_TAIL_OFFSET = 0;
/** u32, the reader, atomic: where the oldest record is; equal to the tail when there is none. */
export const RING_HEAD_OFFSET = 64;
/** u32, atomic: 1 from the writer's doorbell until the reader answers it. */
export const RING_BELL_OFFSET = 128;
/** Records: u32 size of the whole (a multiple of 4; 0 is "go on at the start"), then what it carries. */
export const RING_RECORDS_OFFSET = 192;
export const RING_RECORDS_SIZE = 1048384;
/** Of the mailbox: u16 datagram length, u16 remote port, u16 local port, u8 octets of the remote and u8 of the local address, the
 * two as text, the datagram. */
export const MAILBOX_RECORD_HEADER_SIZE = 12;
/** What the TUN device gave: packets behind one another, or super-packets. */
export const WORKER_TUN_SLAB_OFFSET = 1904640;
export const TUN_SLAB_SIZE = 1310720;
/** What goes to the sockets: datagrams back to back, so that equal ones can leave as one segmented message. */
export const WORKER_SEND_SLAB_OFFSET = 3215360;
export const SEND_SLAB_SIZE = 1638400;
/** Where datagrams arrive: room for one coalesced message each. */
export const WORKER_RECEIVE_OFFSET = 4853760;
export const RECEIVE_SLOT_SIZE = 66560;
export const RECEIVE_SLOT_COUNT = 64;
/** msghdr, iovec, control and names of system calls: the platform's own record. */
export const WORKER_IO_OFFSET = 9113600;
export const WORKER_IO_SIZE = 393216;
/** u32 for each SA slot: TABLES_BUILT and the number of its key's tables, or octets that the key has carried without any. */
export const WORKER_TABLE_WORDS_OFFSET = 9568256;
export const TABLES_BUILT = 2147483648;
/** u32 each: the SA slot whose key has the tables, plus one, or 0; the turn in which they were used last; and what for (key-tables.ts). */
export const WORKER_TABLE_OWNERS_OFFSET = 9699328;
export const TABLE_OWNER_SIZE = 16;
/** Planes of counters that are the same for every key (ctr.ts), written once. */
export const WORKER_COUNTER_PLANES_OFFSET = 9703424;
/** Tables of keys that carry much: powers of GHASH's H, and round 1 of the counters. The worker builds them when a key deserves them,
 * and the key that was used least recently gives its own up. */
export const WORKER_TABLES_OFFSET = 9764864;
export const TABLES_SIZE = 73728;
export const TABLES_COUNT = 256;
/** What came to this worker and is for an SA of its companion: a ring with one writer and one reader, the companion. */
export const WORKER_HANDOVER_OFFSET = 28639232;

// ---- virtio_net_hdr: what lies before each packet of a TUN device with offloads (linux/virtio_net.h) ------------------

/** u8: VNET_NEEDS_CHECKSUM when the transport checksum holds the sum of its pseudo-header only. */
export const VNET_FLAGS_OFFSET = 0;
export const VNET_NEEDS_CHECKSUM = 1;
/** u8: what a super-packet is to be cut into; VNET_ECN beside it means that CWR belongs to the first segment only. */
export const VNET_KIND_OFFSET = 1;
export const VNET_NONE = 0;
export const VNET_TCP_IPV4 = 1;
export const VNET_TCP_IPV6 = 4;
export const VNET_UDP = 5;
export const VNET_ECN = 128;
/** u16: octets of all headers. */
export const VNET_HEADERS_LENGTH_OFFSET = 2;
/** u16: octets of payload in each segment but the last. */
export const VNET_SEGMENT_LENGTH_OFFSET = 4;
/** u16 each: where the transport header begins, and where in it the checksum is. */
export const VNET_CHECKSUM_START_OFFSET = 6;
export const VNET_CHECKSUM_OFFSET_OFFSET = 8;
export const VNET_HEADER_SIZE = 10;

/** What espCoalesceBatch may do: each is a bit. */
export const COALESCE_HEADERS = 1;
export const COALESCE_TCP = 2;
export const COALESCE_UDP = 4;
/** Packets in one super-packet: what older kernels take of UDP. */
export const COALESCE_LIMIT = 64;

// ---- Packet descriptor -----------------------------------------------------------------------------------------------

export const DESCRIPTOR_SOURCE_OFFSET = 0;
/** u32: octets at source: an inner packet, behind which TRAILER_ROOM octets are the kernel's to write, or an ESP packet from its SPI on. */
export const DESCRIPTOR_LENGTH_OFFSET = 4;
/** u32 each, the kernel: where the result begins and how long it is. */
export const DESCRIPTOR_RESULT_OFFSET = 8;
export const DESCRIPTOR_RESULT_LENGTH_OFFSET = 12;
/** u32, the kernel: STATUS_*. */
export const DESCRIPTOR_STATUS_OFFSET = 16;
/** u32, the kernel: slot number of the SA, or NO_SLOT. */
export const DESCRIPTOR_SA_OFFSET = 20;
/** u64, the kernel: the sequence number; with STATUS_TRAPPED the number of the trap. */
export const DESCRIPTOR_SEQUENCE_OFFSET = 24;
/** u32, the kernel: address of the packet's AEAD job while the batch runs, 0 is none. */
export const DESCRIPTOR_JOB_OFFSET = 32;
/** u32, outbound: address of the virtio_net_hdr of the packet at source, 0 is none. */
export const DESCRIPTOR_HEADER_OFFSET = 36;
/** u32 each, the kernel. Outbound: octets of each ESP packet of the result but the last, which may be shorter, and how many there are.
 * Inbound: octets of payload of each packet of a group, and how many there are; both at its first. */
export const DESCRIPTOR_SEGMENT_LENGTH_OFFSET = 40;
export const DESCRIPTOR_SEGMENT_COUNT_OFFSET = 44;
/** u32, the kernel, inbound: address of the descriptor that follows in the group, 0 is none. */
export const DESCRIPTOR_NEXT_OFFSET = 48;
/** u32, outbound: octets of a super-packet's payload that have left before. The kernel leaves here how many have by now, 0 when all have. */
export const DESCRIPTOR_RESUME_OFFSET = 48;
/** u32, the kernel, inbound: address of the last descriptor of a group; 0 for one that is not its first. */
export const DESCRIPTOR_LAST_OFFSET = 52;
/** u32, outbound: how many segments of a super-packet to make at most, 0 is all. */
export const DESCRIPTOR_SEGMENT_LIMIT_OFFSET = 52;
/** u32, the kernel, inbound: the TCP sequence number that continues the group. */
export const DESCRIPTOR_CONTINUES_OFFSET = 56;
/**
 * u32: the outer traffic class (IPv4: type of service). Outbound the kernel says it, with MAY_FRAGMENT; inbound the host does, and
 * coalescing takes the room.
 */
export const DESCRIPTOR_TRAFFIC_CLASS_OFFSET = 56;
/** The datagrams go without DF. */
export const MAY_FRAGMENT = 256;
/** u16 each, the kernel, inbound: where the transport header and where the payload begin in the packet. */
export const DESCRIPTOR_TRANSPORT_OFFSET = 60;
export const DESCRIPTOR_PAYLOAD_OFFSET = 62;
export const DESCRIPTOR_SIZE = 64;
/** Padding, pad length and next header (RFC 4303 section 2.4): at most 15 + 2 octets. */
export const TRAILER_ROOM = 24;
export const NO_SLOT = 4294967295;

// ---- Status: what became of a packet; also the index of its counter ----------------------------------------------

export const STATUS_OK = 0;
/** Not a whole IPv4 or IPv6 packet, or of a length that no ESP packet of its SA has. */
export const STATUS_RUNT = 1;
/** Outbound: no policy matches. */
export const STATUS_NO_POLICY = 2;
/** Outbound: a policy matches and discards, or its SA is gone. Inbound: the SPI is not ours. */
export const STATUS_NO_SA = 3;
/** Outbound: the next number would cycle (RFC 4303 section 3.3.3). */
export const STATUS_SEQUENCE_EXHAUSTED = 4;
/** The hard packet or octet limit of the SA is reached. */
export const STATUS_LIMIT_REACHED = 5;
/** Inbound: seen before. */
export const STATUS_REPLAYED = 6;
/** Inbound: left of the window. */
export const STATUS_TOO_OLD = 7;
/** Inbound: the ICV does not match. */
export const STATUS_INTEGRITY_FAILED = 8;
/** Inbound: authentic, but the padding or next header makes no sense; or an IKE datagram whose header makes none. */
export const STATUS_MALFORMED = 9;
/** Inbound: authentic, but the inner packet is outside the SA's selectors. */
export const STATUS_SELECTOR_MISMATCH = 10;
/** Inbound: a dummy packet (next header 59); dropped without fault. */
export const STATUS_DUMMY = 11;
/** The result would not fit where it has to go. */
export const STATUS_TOO_LONG = 12;
/** The socket or the TUN device did not take it. */
export const STATUS_DEVICE_REFUSED = 13;
/** An IKE datagram that found the mailbox full, or came on top of all that strangers may send. */
export const STATUS_MAILBOX_FULL = 14;
/** Inbound: marked as congestion on the way, and its sender knows no ECN: only its loss can tell (RFC 6040 section 4.2). */
export const STATUS_CE_ON_NOT_ECT = 15;
/** Outbound: a policy matches that has no SA yet. The packet waits for one, or is dropped. */
export const STATUS_TRAPPED = 16;
/** Outbound: given up because its flow has too long a queue. */
export const STATUS_SHED = 17;
/** Outbound: longer than the path of its SA takes, and not to be fragmented. Its sender is told (RFC 4301 section 8.2.1). */
export const STATUS_TOO_BIG = 18;
/** For an SA of another worker: handed over, or dropped where there was no room. */
export const STATUS_OTHER_WORKER = 19;
export const STATUS_COUNT = 20;

// ---- IKE SPIs: which may be ours ----------------------------------------------------------------------------

/** u8 each, the host, atomic: how many of our IKE SPIs end with the number of this place. 255 is that or more. */
export const IKE_SPI_BASE = 335216640;
export const IKE_SPI_COUNT = 262144;

export const MEMORY_SIZE = 335478784;
