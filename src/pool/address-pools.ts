import { compareOctets } from "../bytes/compare.ts";
import { parseAddress, parsePrefix } from "../bytes/ip-address.ts";
import { PolicyError } from "../errors/index.ts";
import { HostNumbers } from "./host-numbers.ts";
import { parsePoolPrefix } from "./prefix.ts";

const DEFAULT_DEVICES = 5;
/** Addresses that we keep for somebody who may come back. More than clients at once (src/ike/limits.ts), and the state file stays small. */
const MAXIMUM_REMEMBERED = 32_768;
/** Of what a peer calls its device. */
const LONGEST_DEVICE = 256;

/** Who asks: the name that was authenticated, and which of that user's devices. */
export interface Holder {
  readonly user: string;
  readonly device: string;
}

export interface WantedAddresses {
  readonly ipv4: boolean;
  readonly ipv6: boolean;
  /** What the device would like, if nobody else has it. */
  readonly requested?: readonly string[];
  /** What it has to get, as RADIUS says (Framed-IP-Address, RFC 2865 section 5.8). */
  readonly fixed?: readonly string[];
}

/** Addresses of one device for one IKE SA. Each `assign` makes another, also for the same device. */
export interface AddressLease {
  /** IPv4 before IPv6. */
  readonly addresses: readonly string[];
}

export type AddressRefusal =
  /** Every address of the families that were asked for is in use. */
  | "exhausted"
  | "too-many-devices"
  /** A fixed address, with somebody else. */
  | "address-in-use"
  /** A fixed address that is not for clients. */
  | "address-outside-pool";

/** How many devices with an address a user may have. */
interface DeviceLimits {
  readonly devicesPerUser?: number;
  /** How many a user may have who differs from the others; asked anew for each lease. */
  readonly devicesOf?: (user: string) => number | undefined;
}

/** Addresses of one prefix. */
export interface PoolUsage {
  readonly prefix: string;
  /** With a device that has a lease. */
  readonly inUse: number;
  /** With any device, idle ones among them. */
  readonly taken: number;
  /** All that there are for devices. */
  readonly capacity: number;
}

/** What is kept over a restart, those that were used last at the end. */
export interface RememberedLease extends Holder {
  readonly addresses: readonly string[];
}

interface Place {
  readonly pool: HostNumbers;
  readonly number: number;
}

interface Binding extends Holder {
  ipv4: Place | undefined;
  ipv6: Place | undefined;
  /** Leases that are in use. */
  readonly leases: Set<AddressLease>;
  /** Rises with each binding that becomes idle. */
  idleSince: number;
}

/**
 * Virtual addresses of a gateway's clients. A device keeps its addresses when it goes, and gets them again when it comes back, unless
 * somebody else needed them meanwhile: those that were idle for longest go first. Every step costs the same with one lease and with thousands.
 */
export class AddressPools {
  readonly #pools: readonly HostNumbers[];
  #devicesPerUser = DEFAULT_DEVICES;
  #devicesOf: (user: string) => number | undefined = () => undefined;
  readonly #maximumRemembered: number;
  readonly #users = new Map<string, Map<string, Binding>>();
  readonly #places = new Map<string, Binding>();
  /** Bindings without a lease, those that were idle for longest first. */
  readonly #idle = new Set<Binding>();
  readonly #owners = new WeakMap<AddressLease, Binding>();
  #clock = 0;
  #bindingCount = 0;
  #leaseCount = 0;

  /** Throws PolicyError (code "POOL") when a prefix is none, too small, or overlaps another. */
  constructor(
    options: DeviceLimits & {
      /** "10.77.0.0/24", "fd77::/64"; those of one family are used up one after the other. */
      readonly prefixes: readonly string[];
      readonly maximumRemembered?: number;
    },
  ) {
    const prefixes = options.prefixes.map(parsePoolPrefix);
    for (const [i, prefix] of prefixes.entries()) {
      const other = prefixes.slice(0, i).find((each) => overlap(each.text, prefix.text));
      if (other !== undefined)
        throw new PolicyError(`pools ${other.text} and ${prefix.text} overlap`, { code: "POOL" });
    }
    this.#pools = prefixes.map((prefix) => new HostNumbers(prefix));
    this.limitDevices(options);
    this.#maximumRemembered = options.maximumRemembered ?? MAXIMUM_REMEMBERED;
  }

  /** Leases in use. */
  get leaseCount(): number {
    return this.#leaseCount;
  }

  /** One for each prefix, in their order. */
  get usage(): readonly PoolUsage[] {
    const inUse = new Map(this.#pools.map((pool) => [pool, 0]));
    for (const devices of this.#users.values()) {
      for (const { leases, ipv4, ipv6 } of devices.values()) {
        if (leases.size === 0) continue;
        for (const place of [ipv4, ipv6])
          if (place !== undefined) inUse.set(place.pool, inUse.get(place.pool)! + 1);
      }
    }
    return [...inUse].map(([{ prefix, takenCount }, count]) => ({
      prefix: prefix.text,
      inUse: count,
      taken: takenCount,
      capacity: prefix.capacity,
    }));
  }

  /** Other numbers of devices from now on; nobody who has an address loses it. */
  limitDevices({ devicesPerUser, devicesOf }: DeviceLimits): void {
    this.#devicesPerUser = devicesPerUser ?? DEFAULT_DEVICES;
    this.#devicesOf = devicesOf ?? (() => undefined);
  }

  /**
   * Addresses of the families that are wanted, as far as there are pools. Where one of two families is exhausted, the other one is
   * given alone.
   */
  assign(who: Holder, wanted: WantedAddresses): AddressLease | AddressRefusal {
    const holder = { user: who.user, device: who.device.slice(0, LONGEST_DEVICE) };
    const known = this.#users.get(holder.user)?.get(holder.device);
    const fixed = this.#fixedPlaces(wanted.fixed ?? [], known);
    if (typeof fixed === "string") return fixed;
    if (!this.#hasRoomFor(holder, known)) return "too-many-devices";
    const binding = known ?? this.#admit(holder);
    // It is nobody that has to make room for itself.
    this.#idle.delete(binding);

    for (const place of fixed) this.#settle(binding, place);
    const given: Place[] = [];
    for (const family of [4, 6] as const) {
      if (!(family === 4 ? wanted.ipv4 : wanted.ipv6)) continue;
      const place = placeIn(binding, family) ?? this.#place(binding, family, wanted.requested ?? []);
      if (place !== undefined) given.push(place);
    }
    if (given.length === 0) {
      this.#rest(binding);
      return "exhausted";
    }
    const lease: AddressLease = { addresses: given.map(addressOf) };
    binding.leases.add(lease);
    this.#owners.set(lease, binding);
    this.#leaseCount++;
    return lease;
  }

  /** Gives a lease back; the second time nothing happens. The device's address stays its own for when it comes back. */
  release(lease: AddressLease): void {
    const binding = this.#owners.get(lease);
    if (binding === undefined || !binding.leases.delete(lease)) return;
    this.#leaseCount--;
    this.#rest(binding);
  }

  /** What the next life should know: at most `maximumRemembered`. */
  remembered(): readonly RememberedLease[] {
    const bindings = [...this.#idle];
    for (const devices of this.#users.values())
      for (const binding of devices.values()) if (binding.leases.size > 0) bindings.push(binding);
    return bindings.slice(-this.#maximumRemembered).map(({ user, device, ipv4, ipv6 }) => ({
      user,
      device,
      addresses: [ipv4, ipv6].flatMap((place) => (place === undefined ? [] : [addressOf(place)])),
    }));
  }

  /** Takes in what a former life knew. What does not fit into the pools any more is left out. */
  recall(leases: readonly RememberedLease[]): void {
    for (const { user, device, addresses } of leases.slice(-this.#maximumRemembered)) {
      const places = addresses.slice(0, 2).flatMap((address) => this.#placeOf(address) ?? []);
      const isFree = places.every((place) => !this.#places.has(addressOf(place)));
      const devices = this.#users.get(user);
      if (places.length === 0 || !isFree || devices?.has(device) === true) continue;
      if ((devices?.size ?? 0) >= this.#limitOf(user)) continue;
      const binding = this.#bind({ user, device });
      for (const place of places) this.#settle(binding, place);
      this.#idleFrom(binding);
    }
  }

  /** Where the fixed addresses lie, with whoever is idle there turned out. */
  #fixedPlaces(addresses: readonly string[], known: Binding | undefined): readonly Place[] | AddressRefusal {
    const places: Place[] = [];
    for (const address of addresses) {
      const place = this.#placeOf(address);
      if (place === undefined) return "address-outside-pool";
      const binding = this.#places.get(addressOf(place));
      if (binding !== known && binding !== undefined && binding.leases.size > 0) return "address-in-use";
      // Its own former address is still in use then.
      if (binding !== known && known !== undefined && known.leases.size > 0) return "address-in-use";
      places.push(place);
    }
    for (const place of places) {
      const binding = this.#places.get(addressOf(place));
      if (binding !== undefined && binding !== known) this.#forget(binding);
    }
    return places;
  }

  #limitOf(user: string): number {
    return this.#devicesOf(user) ?? this.#devicesPerUser;
  }

  /** Whether the user has fewer other devices connected than it may have. One that is connected may come anew. */
  #hasRoomFor({ user }: Holder, known: Binding | undefined): boolean {
    if (known !== undefined && known.leases.size > 0) return true;
    const devices = [...(this.#users.get(user)?.values() ?? [])];
    return devices.filter(({ leases }) => leases.size > 0).length < this.#limitOf(user);
  }

  /** A binding for a device that we do not know; those of the user's devices that were idle for longest make room. */
  #admit(holder: Holder): Binding {
    const devices = [...(this.#users.get(holder.user)?.values() ?? [])];
    const idle = devices.filter(({ leases }) => leases.size === 0);
    const excess = devices.length + 1 - this.#limitOf(holder.user);
    idle.sort((a, b) => a.idleSince - b.idleSince);
    for (const binding of idle.slice(0, Math.max(0, excess))) this.#forget(binding);
    return this.#bind(holder);
  }

  #bind(holder: Holder): Binding {
    if (this.#bindingCount >= this.#maximumRemembered) {
      const [oldest] = this.#idle;
      if (oldest !== undefined) this.#forget(oldest);
    }
    const binding: Binding = { ...holder, ipv4: undefined, ipv6: undefined, leases: new Set(), idleSince: 0 };
    const devices = this.#users.get(holder.user) ?? new Map<string, Binding>();
    devices.set(holder.device, binding);
    this.#users.set(holder.user, devices);
    this.#bindingCount++;
    return binding;
  }

  #forget(binding: Binding): void {
    for (const place of [binding.ipv4, binding.ipv6]) if (place !== undefined) this.#vacate(place);
    this.#idle.delete(binding);
    const devices = this.#users.get(binding.user)!;
    devices.delete(binding.device);
    if (devices.size === 0) this.#users.delete(binding.user);
    this.#bindingCount--;
  }

  /** Nobody uses the binding at the moment. One without an address is not worth keeping. */
  #rest(binding: Binding): void {
    if (binding.leases.size > 0) return;
    if (binding.ipv4 === undefined && binding.ipv6 === undefined) this.#forget(binding);
    else this.#idleFrom(binding);
  }

  #idleFrom(binding: Binding): void {
    binding.idleSince = ++this.#clock;
    this.#idle.add(binding);
  }

  /** An address of the family: one that was asked for, a fresh one, or that of whoever was idle for longest. */
  #place(binding: Binding, family: 4 | 6, requested: readonly string[]): Place | undefined {
    for (const address of requested) {
      const wish = this.#placeOf(address);
      if (wish?.pool.prefix.family === family && wish.pool.takeThis(wish.number))
        return this.#put(binding, wish);
    }
    const pools = this.#pools.filter(({ prefix }) => prefix.family === family);
    const free = takeFrom(pools);
    if (free !== undefined) return this.#put(binding, free);
    for (const idle of this.#idle) {
      if (placeIn(idle, family) === undefined) continue;
      this.#forget(idle);
      const freed = takeFrom(pools);
      return freed && this.#put(binding, freed);
    }
    return undefined;
  }

  /** A fixed address takes the place of the one that the device had. */
  #settle(binding: Binding, place: Place): void {
    const former = placeIn(binding, place.pool.prefix.family);
    if (former?.pool === place.pool && former.number === place.number) return;
    if (former !== undefined) this.#vacate(former);
    place.pool.takeThis(place.number);
    this.#put(binding, place);
  }

  #put(binding: Binding, place: Place): Place {
    if (place.pool.prefix.family === 4) binding.ipv4 = place;
    else binding.ipv6 = place;
    this.#places.set(addressOf(place), binding);
    return place;
  }

  #vacate(place: Place): void {
    place.pool.giveBack(place.number);
    this.#places.delete(addressOf(place));
  }

  /** Undefined for what is no address of a client. */
  #placeOf(address: string): Place | undefined {
    const octets = parseAddress(address);
    if (octets === undefined) return undefined;
    for (const pool of this.#pools) {
      const number = pool.prefix.numberOf(octets);
      if (number !== undefined && pool.isForHosts(number)) return { pool, number };
    }
    return undefined;
  }
}

function takeFrom(pools: readonly HostNumbers[]): Place | undefined {
  for (const pool of pools) {
    const number = pool.take();
    if (number !== undefined) return { pool, number };
  }
  return undefined;
}

function placeIn(binding: Binding, family: 4 | 6): Place | undefined {
  return family === 4 ? binding.ipv4 : binding.ipv6;
}

function addressOf({ pool, number }: Place): string {
  return pool.addressOf(number);
}

function overlap(a: string, b: string): boolean {
  const [one, other] = [parsePrefix(a)!, parsePrefix(b)!];
  return (
    one.start.length === other.start.length &&
    compareOctets(one.start, other.end) <= 0 &&
    compareOctets(other.start, one.end) <= 0
  );
}
