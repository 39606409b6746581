import { AF_NETLINK, MSG_DONTWAIT, SOCK_CLOEXEC, SOCK_RAW } from "../../system-calls/constants.ts";
import { Errno, succeed } from "../../system-calls/errno.ts";
import { SOCKADDR_NL_SIZE } from "../../system-calls/structures.ts";
import type { SystemCalls } from "../../system-calls/system-calls.ts";
import {
  NETLINK_ROUTE,
  RTMGRP_IPV4_IFADDR,
  RTMGRP_IPV4_ROUTE,
  RTMGRP_IPV4_RULE,
  RTMGRP_IPV6_IFADDR,
  RTMGRP_IPV6_ROUTE,
  RTMGRP_LINK,
} from "./constants.ts";
import { viewOf } from "./message.ts";

/** The kernel says nothing when the routes of a link go with it, so links are listened to as well. */
const GROUPS =
  RTMGRP_LINK |
  RTMGRP_IPV4_IFADDR |
  RTMGRP_IPV4_ROUTE |
  RTMGRP_IPV4_RULE |
  RTMGRP_IPV6_IFADDR |
  RTMGRP_IPV6_ROUTE;

/** sockaddr_nl: family (2) | pad (2) | port (4) | groups (4), in the order of the machine. */
const GROUPS_OFFSET = 8;
/** What is left comes with the next look. */
const MOST_MESSAGES = 256;

/** Listens to what the kernel says of links, addresses, routes and rules, in the namespace of the thread that opened it. */
export class NetlinkMonitor {
  readonly #systemCalls: SystemCalls;
  readonly #descriptor: number;
  /** Messages are not read, only taken: the kernel cuts what is longer. */
  readonly #room = new Uint8Array(64);

  constructor(systemCalls: SystemCalls) {
    this.#systemCalls = systemCalls;
    const what = "listen to changes of the network";
    this.#descriptor = succeed(what, systemCalls.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    const address = new Uint8Array(SOCKADDR_NL_SIZE);
    address[0] = AF_NETLINK;
    viewOf(address).setUint32(GROUPS_OFFSET, GROUPS, true);
    try {
      succeed(what, systemCalls.bind(this.#descriptor, address));
    } catch (error) {
      systemCalls.close(this.#descriptor);
      throw error;
    }
  }

  /** Whether anything has changed since the last call. */
  hasChanged(): boolean {
    let isChanged = false;
    for (let count = 0; count < MOST_MESSAGES; count++) {
      const length = this.#systemCalls.recv(this.#descriptor, this.#room, MSG_DONTWAIT);
      if (length === -Errno.EAGAIN) break;
      // Too many to keep (ENOBUFS) is a change as well.
      isChanged = true;
    }
    return isChanged;
  }

  close(): void {
    this.#systemCalls.close(this.#descriptor);
  }
}
