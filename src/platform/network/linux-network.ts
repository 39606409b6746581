import { PlatformError } from "../../errors/index.ts";
import { Errno } from "../system-calls/errno.ts";
import type { SystemCalls } from "../system-calls/system-calls.ts";
import { describeRoute, describeRule } from "./describe.ts";
import { decodeAddress, encodeAddress } from "./netlink/address.ts";
import {
  NLM_F_CREATE,
  NLM_F_EXCL,
  RTM_DELADDR,
  RTM_DELLINK,
  RTM_DELROUTE,
  RTM_DELRULE,
  RTM_GETADDR,
  RTM_GETLINK,
  RTM_GETROUTE,
  RTM_GETRULE,
  RTM_NEWADDR,
  RTM_NEWLINK,
  RTM_NEWROUTE,
  RTM_NEWRULE,
} from "./netlink/constants.ts";
import {
  decodeHasCarrier,
  decodeLink,
  encodeLinkChange,
  encodeLinkQuery,
  encodeNoLinkLocal,
  encodeVethPair,
  type VethEnd,
} from "./netlink/link.ts";
import { NetlinkMonitor } from "./netlink/netlink-monitor.ts";
import { type NetlinkFailure, NetlinkSocket, netlinkError } from "./netlink/netlink-socket.ts";
import {
  decodeRouteChoice,
  decodeRoutes,
  encodeRoute,
  encodeRouteList,
  encodeRouteQuery,
  type IndexedRoute,
} from "./netlink/route.ts";
import { decodeRule, encodeRule, encodeRuleList } from "./netlink/rule.ts";
import type {
  Link,
  LinkAddress,
  LinkOptions,
  Network,
  Route,
  RouteChoice,
  RoutedPacket,
  Rule,
} from "./network.ts";
import { isSameRoute } from "./same-route.ts";

const NEW = NLM_F_CREATE | NLM_F_EXCL;

/** The network of the kernel, through netlink: that of the namespace in which the thread was when it made this. */
export class LinuxNetwork implements Network {
  readonly #systemCalls: SystemCalls;
  readonly #netlink: NetlinkSocket;
  #monitor: NetlinkMonitor | undefined;

  constructor(systemCalls: SystemCalls) {
    this.#systemCalls = systemCalls;
    this.#netlink = new NetlinkSocket(systemCalls);
  }

  links(): readonly Link[] {
    return this.#list("links", RTM_GETLINK, encodeLinkQuery(), decodeLink);
  }

  linkIndex(name: string): number | undefined {
    return this.links().find((link) => link.name === name)?.index;
  }

  setLinkUp(link: string, options: LinkOptions = {}): void {
    const what = `set link ${link} up`;
    const index = this.#indexOf(link, what);
    const body = encodeLinkChange({ index, isUp: true, ...options });
    this.#change(what, RTM_NEWLINK, body);
  }

  /**
   * From now on the link makes itself no link-local address when it comes up, and so has nothing to say on its own: no
   * solicitations, no listener reports. Does nothing where there is no IPv6.
   */
  withholdLinkLocal(link: string): void {
    const what = `withhold the link-local address of link ${link}`;
    this.#change(what, RTM_NEWLINK, encodeNoLinkLocal(this.#indexOf(link, what)), {
      harmless: [Errno.EAFNOSUPPORT, Errno.EOPNOTSUPP],
    });
  }

  setLinkDown(link: string): void {
    const what = `set link ${link} down`;
    this.#change(what, RTM_NEWLINK, encodeLinkChange({ index: this.#indexOf(link, what), isUp: false }));
  }

  deleteLink(link: string): void {
    const index = this.linkIndex(link);
    if (index === undefined) return;
    this.#change(`delete link ${link}`, RTM_DELLINK, encodeLinkChange({ index }), {
      harmless: [Errno.ENODEV],
    });
  }

  /** Makes two links that are the ends of one cable, each in the namespace of its process if it names one. */
  createVethPair(left: VethEnd, right: VethEnd): void {
    this.#change(`create veth pair ${left.name}, ${right.name}`, RTM_NEWLINK, encodeVethPair(left, right), {
      flags: NEW,
    });
  }

  /** Whether a veth or Ethernet link is up, plugged in, and switched through by the kernel. */
  hasCarrier(link: string): boolean {
    const messages = this.#netlink.list("list links", RTM_GETLINK, encodeLinkQuery());
    return messages.some(({ body }) => decodeLink(body)?.name === link && decodeHasCarrier(body));
  }

  /** Moves a link into the network namespace of a process. It arrives down and without addresses. */
  moveLink(link: string, pid: number): void {
    const what = `move link ${link} into the namespace of process ${pid}`;
    this.#change(what, RTM_NEWLINK, encodeLinkChange({ index: this.#indexOf(link, what), pid }));
  }

  addAddress(link: string, prefix: string): void {
    const what = `add address ${prefix} dev ${link}`;
    const body = encodeAddress({ index: this.#indexOf(link, what), prefix });
    this.#change(what, RTM_NEWADDR, body, { flags: NEW, harmless: [Errno.EEXIST] });
  }

  removeAddress(link: string, prefix: string): void {
    const index = this.linkIndex(link);
    if (index === undefined) return;
    this.#change(`remove address ${prefix} dev ${link}`, RTM_DELADDR, encodeAddress({ index, prefix }), {
      harmless: [Errno.EADDRNOTAVAIL, Errno.ENODEV],
    });
  }

  addresses(): readonly LinkAddress[] {
    const names = this.#linkNames();
    const found = this.#list("addresses", RTM_GETADDR, new Uint8Array(8), decodeAddress);
    return found.map(({ index, address, prefixLength }) => ({
      link: names.get(index) ?? `#${index}`,
      address,
      prefixLength,
    }));
  }

  addRoute(route: Route): void {
    const what = `add route ${describeRoute(route)}`;
    const failure = this.#netlink.change(RTM_NEWROUTE, encodeRoute(this.#indexed(route, what)), NEW);
    if (failure === undefined) return;
    if (failure.errno === Errno.EEXIST && this.routes().some((each) => isSameRoute(route, each))) return;
    throw netlinkError(what, failure);
  }

  removeRoute(route: Route): void {
    const what = `remove route ${describeRoute(route)}`;
    if (route.link !== undefined && this.linkIndex(route.link) === undefined) return;
    this.#change(what, RTM_DELROUTE, encodeRoute(this.#indexed(route, what)), {
      harmless: [Errno.ESRCH, Errno.ENODEV],
    });
  }

  routes(): readonly Route[] {
    const names = this.#linkNames();
    const found = this.#netlink.list("list routes", RTM_GETROUTE, encodeRouteList());
    return found.flatMap((message) => decodeRoutes(message.body)).map((route) => named(route, names));
  }

  addRule(rule: Rule): void {
    this.#change(`add ${describeRule(rule)}`, RTM_NEWRULE, encodeRule(rule), {
      flags: NEW,
      harmless: [Errno.EEXIST],
    });
  }

  removeRule(rule: Rule): void {
    this.#change(`remove ${describeRule(rule)}`, RTM_DELRULE, encodeRule(rule), { harmless: [Errno.ENOENT] });
  }

  rules(): readonly Rule[] {
    return this.#list("rules", RTM_GETRULE, encodeRuleList(), decodeRule);
  }

  lookUpRoute(destination: string, packet: RoutedPacket = {}): RouteChoice | undefined {
    const answer = this.#netlink.get(RTM_GETROUTE, encodeRouteQuery(destination, packet));
    if ("errno" in answer) return noRoute(destination, answer);
    const choice = decodeRouteChoice(answer.body);
    if (choice === undefined) return undefined;
    const { index, gateway } = choice;
    // Over IPv6 the kernel tells which one it would have chosen, also of a packet that has one.
    const { source = choice.source } = packet;
    const link = this.#linkNames().get(index) ?? `#${index}`;
    return { source, link, ...(gateway !== undefined && { gateway }) };
  }

  hasChanged(): boolean {
    if (this.#monitor !== undefined) return this.#monitor.hasChanged();
    this.#monitor = new NetlinkMonitor(this.#systemCalls);
    return false;
  }

  close(): void {
    this.#netlink.close();
    this.#monitor?.close();
  }

  #change(
    what: string,
    type: number,
    body: Uint8Array,
    { flags = 0, harmless = [] }: { readonly flags?: number; readonly harmless?: readonly number[] } = {},
  ): void {
    const failure = this.#netlink.change(type, body, flags);
    if (failure !== undefined && !harmless.includes(failure.errno)) throw netlinkError(what, failure);
  }

  #list<T>(things: string, type: number, body: Uint8Array, decode: (body: Uint8Array) => T | undefined): T[] {
    const messages = this.#netlink.list(`list ${things}`, type, body);
    return messages.map((message) => decode(message.body)).filter((thing) => thing !== undefined);
  }

  #linkNames(): ReadonlyMap<number, string> {
    return new Map(this.links().map(({ index, name }) => [index, name]));
  }

  #indexOf(link: string, what: string): number {
    const index = this.linkIndex(link);
    if (index === undefined) throw new PlatformError(`${what}: there is no link ${link}`, { code: "ENODEV" });
    return index;
  }

  #indexed({ link, ...route }: Route, what: string): IndexedRoute {
    return link === undefined ? route : { ...route, index: this.#indexOf(link, what) };
  }
}

function named({ index, ...route }: IndexedRoute, names: ReadonlyMap<number, string>): Route {
  return index === undefined ? route : { ...route, link: names.get(index) ?? `#${index}` };
}

/** The kernel says in three ways that it would not know where to send a packet; anything else is a fault. */
function noRoute(destination: string, failure: NetlinkFailure): undefined {
  const expected: readonly number[] = [Errno.ENETUNREACH, Errno.EHOSTUNREACH, Errno.EACCES, Errno.EINVAL];
  if (!expected.includes(failure.errno)) throw netlinkError(`look up the route to ${destination}`, failure);
}
