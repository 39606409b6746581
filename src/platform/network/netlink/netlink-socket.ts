import { PlatformError } from "../../../errors/index.ts";
import { AF_NETLINK, SOCK_CLOEXEC, SOCK_RAW, SOL_SOCKET } from "../../system-calls/constants.ts";
import { Errno, errnoName, succeed, systemError } from "../../system-calls/errno.ts";
import { SOCKADDR_NL_SIZE } from "../../system-calls/structures.ts";
import type { SystemCalls } from "../../system-calls/system-calls.ts";
import {
  NETLINK_CAP_ACK,
  NETLINK_EXT_ACK,
  NETLINK_ROUTE,
  NLM_F_ACK,
  NLM_F_ACK_TLVS,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSGERR_ATTR_MSG,
  SOL_NETLINK,
} from "./constants.ts";
import {
  decodeAttributes,
  decodeMessages,
  encodeMessage,
  type NetlinkMessage,
  readText,
  viewOf,
} from "./message.ts";

const SO_RCVTIMEO = 20;
/** The kernel answers before the request returns; more than this means that it never will. */
const ANSWER_TIMEOUT_SECONDS = 5;
/** Somebody changes the table while we list it: list again, but not for ever. */
const DUMP_ATTEMPTS = 5;
/** A dump's datagrams grow up to 32 KB. */
const RECEIVE_LENGTH = 65_536;

/** A failure that the kernel reported, as a value: the caller knows which of them do no harm. */
export interface NetlinkFailure {
  /** Errno, above zero. */
  readonly errno: number;
  /** What the kernel adds in words, or "". */
  readonly reason: string;
}

/** A conversation with rtnetlink, in the network namespace of the thread that opened it. Each question waits for its answer. */
export class NetlinkSocket {
  readonly #systemCalls: SystemCalls;
  readonly #descriptor: number;
  readonly #room = new Uint8Array(RECEIVE_LENGTH);
  #sequence = 0;

  constructor(systemCalls: SystemCalls) {
    this.#systemCalls = systemCalls;
    this.#descriptor = succeed(
      "open a netlink socket",
      systemCalls.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE),
    );
    // Connected to port 0, the kernel, it hears nobody else.
    const kernel = new Uint8Array(SOCKADDR_NL_SIZE);
    kernel[0] = AF_NETLINK;
    try {
      succeed("connect a netlink socket", systemCalls.connect(this.#descriptor, kernel));
    } catch (error) {
      systemCalls.close(this.#descriptor);
      throw error;
    }
    const one = Uint8Array.of(1, 0, 0, 0);
    systemCalls.setsockopt(this.#descriptor, SOL_NETLINK, NETLINK_EXT_ACK, one);
    systemCalls.setsockopt(this.#descriptor, SOL_NETLINK, NETLINK_CAP_ACK, one);
    const timeout = new Uint8Array(new BigInt64Array([BigInt(ANSWER_TIMEOUT_SECONDS), 0n]).buffer);
    systemCalls.setsockopt(this.#descriptor, SOL_SOCKET, SO_RCVTIMEO, timeout);
  }

  /** Asks for a change. Undefined when it was made. */
  change(type: number, body: Uint8Array, flags = 0): NetlinkFailure | undefined {
    const { failure } = this.#exchange({ type, flags: NLM_F_REQUEST | NLM_F_ACK | flags, body });
    return failure;
  }

  /** Asks for one thing. */
  get(type: number, body: Uint8Array): NetlinkMessage | NetlinkFailure {
    const { failure, messages } = this.#exchange({ type, flags: NLM_F_REQUEST | NLM_F_ACK, body });
    return failure ?? messages[0] ?? { errno: Errno.ENOENT, reason: "" };
  }

  /** Asks for all of a kind. Throws PlatformError when the kernel refuses. */
  list(what: string, type: number, body: Uint8Array): readonly NetlinkMessage[] {
    for (let attempt = 1; ; attempt++) {
      const { failure, messages } = this.#exchange({ type, flags: NLM_F_REQUEST | NLM_F_DUMP, body });
      if (failure !== undefined) throw netlinkError(what, failure);
      const isTorn = messages.some((message) => (message.flags & NLM_F_DUMP_INTR) !== 0);
      if (!isTorn || attempt === DUMP_ATTEMPTS) return messages;
    }
  }

  close(): void {
    this.#systemCalls.close(this.#descriptor);
  }

  #exchange(request: Omit<NetlinkMessage, "sequence">): {
    readonly failure: NetlinkFailure | undefined;
    readonly messages: readonly NetlinkMessage[];
  } {
    this.#sequence = (this.#sequence + 1) >>> 0;
    const sequence = this.#sequence;
    const sent = this.#systemCalls.send(this.#descriptor, encodeMessage({ ...request, sequence }), 0);
    if (sent < 0) return { failure: { errno: -sent, reason: "" }, messages: [] };

    const messages: NetlinkMessage[] = [];
    for (;;) {
      for (const message of this.#receive()) {
        if (message.sequence !== sequence) continue; // the rest of an answer that we stopped reading
        if (message.type !== NLMSG_ERROR && message.type !== NLMSG_DONE) messages.push(message);
        else return { failure: failureIn(message), messages };
      }
    }
  }

  #receive(): readonly NetlinkMessage[] {
    for (;;) {
      const length = this.#systemCalls.recv(this.#descriptor, this.#room, 0);
      if (length === -Errno.EINTR) continue;
      if (length === -Errno.EAGAIN) {
        throw new PlatformError(`netlink gave no answer in ${ANSWER_TIMEOUT_SECONDS} s`, {
          code: "ETIMEDOUT",
        });
      }
      if (length < 0) throw systemError("receive from netlink", length);
      return decodeMessages(this.#room.subarray(0, length));
    }
  }
}

/** "add route 10.2.0.0/16 dev ikebana0: EINVAL (Nexthop has invalid gateway)". */
export function netlinkError(what: string, { errno, reason }: NetlinkFailure): PlatformError {
  const code = errnoName(-errno);
  return new PlatformError(`${what}: ${code}${reason === "" ? "" : ` (${reason})`}`, { code });
}

/** NLMSG_ERROR and NLMSG_DONE begin with a negated errno; 0 is success. The request's header and attributes may follow. */
function failureIn({ type, flags, body }: NetlinkMessage): NetlinkFailure | undefined {
  const errno = body.length < 4 ? 0 : -viewOf(body).getInt32(0, true);
  if (errno === 0) return undefined;
  const attributesAt = type === NLMSG_ERROR ? 20 : 4;
  const attributes =
    (flags & NLM_F_ACK_TLVS) === 0 ? undefined : decodeAttributes(body.subarray(attributesAt));
  return { errno, reason: readText(attributes?.get(NLMSGERR_ATTR_MSG)) ?? "" };
}
