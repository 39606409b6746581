import type { AddressSource } from "../ike/machine.ts";
import { AddressPools } from "../pool/address-pools.ts";
import type { InsideNetwork } from "./gateway-network.ts";

/**
 * The addresses that a gateway's clients get from it. With other pools it begins anew; who has an address of the old ones keeps it until
 * the end of its connection.
 */
export class GatewayAddresses implements AddressSource {
  #prefixes: readonly string[] = [];
  #pools: AddressPools | undefined;
  /** Where each lease in use is from. */
  readonly #origins = new Map<AddressLease, AddressPools>();

  /** Throws PolicyError (code "POOL") for prefixes that cannot be pools, and leaves everything as it was. */
  configure(inside: InsideNetwork | undefined): void {
    const prefixes = inside?.pools ?? [];
    if (prefixes.join() === this.#prefixes.join()) return;
    this.#pools = prefixes.length === 0 ? undefined : new AddressPools({ prefixes });
    this.#prefixes = prefixes;
  }

  assign({ user, device, wanted }: Parameters<AddressSource["assign"]>[0]): AddressLease | AddressRefusal {
    if (this.#pools === undefined) return "exhausted";
    const lease = this.#pools.assign({ user, device }, wanted);
    if (typeof lease !== "string") this.#origins.set(lease, this.#pools);
    return lease;
  }

  release(lease: AddressLease): void {
    this.#origins.get(lease)?.release(lease);
    this.#origins.delete(lease);
  }

  /** Leases in use. */
  get leaseCount(): number {
    return this.#origins.size;
  }
}

type AddressLease = Exclude<ReturnType<AddressPools["assign"]>, string>;
type AddressRefusal = Extract<ReturnType<AddressPools["assign"]>, string>;
