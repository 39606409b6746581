// The records of layout.ts as classes; the compiler compares the two.

import {
  DESCRIPTOR_CONTINUES_OFFSET,
  DESCRIPTOR_HEADER_OFFSET,
  DESCRIPTOR_JOB_OFFSET,
  DESCRIPTOR_LAST_OFFSET,
  DESCRIPTOR_LENGTH_OFFSET,
  DESCRIPTOR_NEXT_OFFSET,
  DESCRIPTOR_PAYLOAD_OFFSET,
  DESCRIPTOR_RESULT_LENGTH_OFFSET,
  DESCRIPTOR_RESULT_OFFSET,
  DESCRIPTOR_SA_OFFSET,
  DESCRIPTOR_SEGMENT_COUNT_OFFSET,
  DESCRIPTOR_SEGMENT_LENGTH_OFFSET,
  DESCRIPTOR_SEQUENCE_OFFSET,
  DESCRIPTOR_SIZE,
  DESCRIPTOR_SOURCE_OFFSET,
  DESCRIPTOR_STATUS_OFFSET,
  DESCRIPTOR_TRANSPORT_OFFSET,
  JOB_AAD_LENGTH_OFFSET,
  JOB_AAD_OFFSET,
  JOB_AAD_ROOM_OFFSET,
  JOB_CONTEXT_OFFSET,
  JOB_DESTINATION_OFFSET,
  JOB_HIGH_HALF_LENGTH_OFFSET,
  JOB_HIGH_HALF_OFFSET,
  JOB_LENGTH_OFFSET,
  JOB_NONCE_OFFSET,
  JOB_SIZE,
  JOB_SOURCE_OFFSET,
  JOB_TAG_ALONG_OFFSET,
  JOB_TAG_OFFSET,
  JOB_VERDICT_OFFSET,
  NODE_CHILDREN_OFFSET,
  NODE_KEY_OFFSET,
  NODE_LENGTH_OFFSET,
  NODE_PAYLOAD_OFFSET,
  POLICY_ACTION_OFFSET,
  POLICY_GENERATION_OFFSET,
  POLICY_NEXT_OFFSET,
  POLICY_PRECEDENCE_OFFSET,
  POLICY_SA_OFFSET,
  POLICY_SELECTOR_OFFSET,
  POLICY_SIZE,
  SA_ALGORITHM_OFFSET,
  SA_CIPHER_OFFSET,
  SA_DUMMIES_OFFSET,
  SA_DUMMY_EVERY_OFFSET,
  SA_DUMMY_LENGTH_OFFSET,
  SA_FLAGS_OFFSET,
  SA_GENERATION_OFFSET,
  SA_HASH_OFFSET,
  SA_ICV_LENGTH_OFFSET,
  SA_IV_LENGTH_OFFSET,
  SA_LAST_DUMMY_OFFSET,
  SA_LAST_USED_OFFSET,
  SA_OCTET_LIMIT_OFFSET,
  SA_OCTETS_OFFSET,
  SA_PACKET_LIMIT_OFFSET,
  SA_PACKETS_OFFSET,
  SA_PAD_TO_OFFSET,
  SA_PATH_OFFSET,
  SA_REPLAY_WINDOW_OFFSET,
  SA_SALT_OFFSET,
  SA_SELECTOR_COUNT_OFFSET,
  SA_SELECTOR_FIRST_OFFSET,
  SA_SEQUENCE_OFFSET,
  SA_SPI_OFFSET,
  SA_STATE_OFFSET,
  SA_UNIT_OFFSET,
  SA_WORKER_OFFSET,
  SELECTOR_FAMILY_OFFSET,
  SELECTOR_LOCAL_PORT_END_OFFSET,
  SELECTOR_LOCAL_PORT_START_OFFSET,
  SELECTOR_PROTOCOL_OFFSET,
  SELECTOR_REMOTE_PORT_END_OFFSET,
  SELECTOR_REMOTE_PORT_START_OFFSET,
} from "./layout";

/** The head of a SA slot; counters, replay window, paths and the expanded key follow at their own offsets. */
@unmanaged
export class Sa {
  state: u32;
  spi: u32;
  flags: u32;
  algorithm: u32;
  salt: u32;
  selectorFirst: u32;
  selectorCount: u32;
  replayWindow: u32;
  path: u32;
  cipher: u8;
  hash: u8;
  worker: u8;
  reserved0: u8;
  ivLength: u8;
  unit: u8;
  icvLength: u8;
  reserved1: u8;
  generation: u32;
  packetLimit: u64;
  octetLimit: u64;
  sequence: u64;
  packets: u64;
  octets: u64;
  lastUsed: f64;
  lastDummy: f64;
  dummies: u64;
  padTo: u32;
  dummyLength: u32;
  dummyEvery: u32;
}
if (
  offsetof<Sa>("state") != SA_STATE_OFFSET ||
  offsetof<Sa>("spi") != SA_SPI_OFFSET ||
  offsetof<Sa>("flags") != SA_FLAGS_OFFSET ||
  offsetof<Sa>("algorithm") != SA_ALGORITHM_OFFSET ||
  offsetof<Sa>("salt") != SA_SALT_OFFSET ||
  offsetof<Sa>("selectorFirst") != SA_SELECTOR_FIRST_OFFSET ||
  offsetof<Sa>("selectorCount") != SA_SELECTOR_COUNT_OFFSET ||
  offsetof<Sa>("replayWindow") != SA_REPLAY_WINDOW_OFFSET ||
  offsetof<Sa>("path") != SA_PATH_OFFSET ||
  offsetof<Sa>("cipher") != SA_CIPHER_OFFSET ||
  offsetof<Sa>("hash") != SA_HASH_OFFSET ||
  offsetof<Sa>("worker") != SA_WORKER_OFFSET ||
  offsetof<Sa>("ivLength") != SA_IV_LENGTH_OFFSET ||
  offsetof<Sa>("unit") != SA_UNIT_OFFSET ||
  offsetof<Sa>("icvLength") != SA_ICV_LENGTH_OFFSET ||
  offsetof<Sa>("generation") != SA_GENERATION_OFFSET ||
  offsetof<Sa>("packetLimit") != SA_PACKET_LIMIT_OFFSET ||
  offsetof<Sa>("octetLimit") != SA_OCTET_LIMIT_OFFSET ||
  offsetof<Sa>("sequence") != SA_SEQUENCE_OFFSET ||
  offsetof<Sa>("packets") != SA_PACKETS_OFFSET ||
  offsetof<Sa>("octets") != SA_OCTETS_OFFSET ||
  offsetof<Sa>("lastUsed") != SA_LAST_USED_OFFSET ||
  offsetof<Sa>("lastDummy") != SA_LAST_DUMMY_OFFSET ||
  offsetof<Sa>("dummies") != SA_DUMMIES_OFFSET ||
  offsetof<Sa>("padTo") != SA_PAD_TO_OFFSET ||
  offsetof<Sa>("dummyLength") != SA_DUMMY_LENGTH_OFFSET ||
  offsetof<Sa>("dummyEvery") != SA_DUMMY_EVERY_OFFSET
) {
  ERROR("Sa and layout.ts disagree");
}

/** A prefix in the SPD; its two children follow at their own offset. */
@unmanaged
export class Node {
  keyHigh: u64;
  keyLow: u64;
  length: u32;
  payload: u32;
}
if (
  offsetof<Node>("keyHigh") != NODE_KEY_OFFSET ||
  offsetof<Node>("length") != NODE_LENGTH_OFFSET ||
  offsetof<Node>("payload") != NODE_PAYLOAD_OFFSET ||
  offsetof<Node>() != NODE_CHILDREN_OFFSET
) {
  ERROR("Node and layout.ts disagree");
}

@unmanaged
export class Policy {
  next: u32;
  selector: u32;
  precedence: u64;
  action: u32;
  sa: u32;
  generation: u32;
  reserved: u32;
}
if (
  offsetof<Policy>("next") != POLICY_NEXT_OFFSET ||
  offsetof<Policy>("selector") != POLICY_SELECTOR_OFFSET ||
  offsetof<Policy>("precedence") != POLICY_PRECEDENCE_OFFSET ||
  offsetof<Policy>("action") != POLICY_ACTION_OFFSET ||
  offsetof<Policy>("sa") != POLICY_SA_OFFSET ||
  offsetof<Policy>("generation") != POLICY_GENERATION_OFFSET ||
  offsetof<Policy>() != POLICY_SIZE
) {
  ERROR("Policy and layout.ts disagree");
}

/** The head of a selector; its four addresses follow at their own offsets. */
@unmanaged
export class Selector {
  family: u32;
  protocol: u32;
  localPortStart: u32;
  localPortEnd: u32;
  remotePortStart: u32;
  remotePortEnd: u32;
}
if (
  offsetof<Selector>("family") != SELECTOR_FAMILY_OFFSET ||
  offsetof<Selector>("protocol") != SELECTOR_PROTOCOL_OFFSET ||
  offsetof<Selector>("localPortStart") != SELECTOR_LOCAL_PORT_START_OFFSET ||
  offsetof<Selector>("localPortEnd") != SELECTOR_LOCAL_PORT_END_OFFSET ||
  offsetof<Selector>("remotePortStart") != SELECTOR_REMOTE_PORT_START_OFFSET ||
  offsetof<Selector>("remotePortEnd") != SELECTOR_REMOTE_PORT_END_OFFSET
) {
  ERROR("Selector and layout.ts disagree");
}

@unmanaged
export class Descriptor {
  source: u32;
  length: u32;
  result: u32;
  resultLength: u32;
  status: u32;
  sa: u32;
  sequence: u64;
  job: u32;
  header: u32;
  segmentLength: u32;
  segmentCount: u32;
  next: u32;
  last: u32;
  continues: u32;
  transport: u16;
  payload: u16;
}
if (
  offsetof<Descriptor>("source") != DESCRIPTOR_SOURCE_OFFSET ||
  offsetof<Descriptor>("length") != DESCRIPTOR_LENGTH_OFFSET ||
  offsetof<Descriptor>("result") != DESCRIPTOR_RESULT_OFFSET ||
  offsetof<Descriptor>("resultLength") != DESCRIPTOR_RESULT_LENGTH_OFFSET ||
  offsetof<Descriptor>("status") != DESCRIPTOR_STATUS_OFFSET ||
  offsetof<Descriptor>("sa") != DESCRIPTOR_SA_OFFSET ||
  offsetof<Descriptor>("sequence") != DESCRIPTOR_SEQUENCE_OFFSET ||
  offsetof<Descriptor>("job") != DESCRIPTOR_JOB_OFFSET ||
  offsetof<Descriptor>("header") != DESCRIPTOR_HEADER_OFFSET ||
  offsetof<Descriptor>("segmentLength") != DESCRIPTOR_SEGMENT_LENGTH_OFFSET ||
  offsetof<Descriptor>("segmentCount") != DESCRIPTOR_SEGMENT_COUNT_OFFSET ||
  offsetof<Descriptor>("next") != DESCRIPTOR_NEXT_OFFSET ||
  offsetof<Descriptor>("last") != DESCRIPTOR_LAST_OFFSET ||
  offsetof<Descriptor>("continues") != DESCRIPTOR_CONTINUES_OFFSET ||
  offsetof<Descriptor>("transport") != DESCRIPTOR_TRANSPORT_OFFSET ||
  offsetof<Descriptor>("payload") != DESCRIPTOR_PAYLOAD_OFFSET ||
  offsetof<Descriptor>() > <usize>DESCRIPTOR_SIZE
) {
  ERROR("Descriptor and layout.ts disagree");
}

/** One packet for an AEAD kernel. */
@unmanaged
export class Job {
  context: u32;
  aad: u32;
  aadLength: u32;
  source: u32;
  destination: u32;
  length: u32;
  tag: u32;
  verdict: u32;
  /** The nonce: salt, then 8 octets of IV. */
  salt: u32;
  ivFirst: u32;
  ivSecond: u32;
  tagAlong: u32;
  room0: u32;
  room1: u32;
  room2: u32;
  room3: u32;
}
if (
  offsetof<Job>("context") != JOB_CONTEXT_OFFSET ||
  offsetof<Job>("aad") != JOB_AAD_OFFSET ||
  offsetof<Job>("aadLength") != JOB_AAD_LENGTH_OFFSET ||
  offsetof<Job>("source") != JOB_SOURCE_OFFSET ||
  offsetof<Job>("destination") != JOB_DESTINATION_OFFSET ||
  offsetof<Job>("length") != JOB_LENGTH_OFFSET ||
  offsetof<Job>("tag") != JOB_TAG_OFFSET ||
  offsetof<Job>("verdict") != JOB_VERDICT_OFFSET ||
  offsetof<Job>("salt") != JOB_NONCE_OFFSET ||
  offsetof<Job>("tagAlong") != JOB_TAG_ALONG_OFFSET ||
  offsetof<Job>("room0") != JOB_AAD_ROOM_OFFSET ||
  offsetof<Job>("room0") != JOB_HIGH_HALF_OFFSET ||
  offsetof<Job>("room1") != JOB_HIGH_HALF_LENGTH_OFFSET ||
  offsetof<Job>() != JOB_SIZE
) {
  ERROR("Job and layout.ts disagree");
}
