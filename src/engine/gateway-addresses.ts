import { isDeepStrictEqual } from "node:util";
import type { AddressSource } from "../ike/machine.ts";
import { userOfAccount } from "../ike/uniqueness.ts";
import {
  type AddressLease,
  AddressPools,
  type AddressRefusal,
  type PoolUsage,
} from "../pool/address-pools.ts";
import type { LeaseFile } from "../pool/lease-file.ts";

/** Which addresses there are for clients. */
export interface PoolPolicy {
  readonly pools: readonly string[];
  readonly devicesPerUser?: number;
  /** For users who may have another number of devices, by the name that they have logged in with. Asked at each login. */
  readonly devicesOf?: (user: string) => number | undefined;
}

/** The addresses of a gateway's clients, with a memory that outlives us. */
export class GatewayAddresses implements AddressSource {
  readonly #file: LeaseFile;
  readonly #onWarning: (message: string) => void;
  #policy: PoolPolicy = { pools: [] };
  #pools = new AddressPools({ prefixes: [] });
  #isLoaded = false;

  constructor(facts: { readonly file: LeaseFile; readonly onWarning: (message: string) => void }) {
    this.#file = facts.file;
    this.#onWarning = facts.onWarning;
  }

  /**
   * Gives out of these pools from now on; devices keep their addresses as far as they are in them. Leases of other pools may be
   * released still. Throws PolicyError for pools that cannot be, and goes on as before.
   */
  configure({ pools: prefixes, devicesPerUser, devicesOf }: PoolPolicy): void {
    const policy: PoolPolicy = {
      pools: prefixes,
      ...(devicesPerUser !== undefined && { devicesPerUser }),
      ...(devicesOf !== undefined && { devicesOf }),
    };
    if (isDeepStrictEqual(policy, this.#policy)) return;
    const limits = {
      ...(devicesPerUser !== undefined && { devicesPerUser }),
      ...(devicesOf !== undefined && {
        devicesOf: (account: string) => {
          const user = userOfAccount(account);
          return user === undefined ? undefined : devicesOf(user);
        },
      }),
    };
    if (isDeepStrictEqual(prefixes, this.#policy.pools)) {
      this.#pools.limitDevices(limits);
      this.#policy = policy;
      return;
    }
    const pools = new AddressPools({ prefixes, ...limits });
    pools.recall(this.#isLoaded ? this.#pools.remembered() : this.#load(prefixes));
    this.#isLoaded = this.#isLoaded || prefixes.length > 0;
    this.#pools = pools;
    this.#policy = policy;
  }

  assign({ user, device, wanted }: Parameters<AddressSource["assign"]>[0]): AddressLease | AddressRefusal {
    const given = this.#pools.assign({ user, device }, wanted);
    if (typeof given !== "string") this.#save();
    return given;
  }

  /** One for each pool, in their order. */
  get usage(): readonly PoolUsage[] {
    return this.#pools.usage;
  }

  /** Of an address that somebody has given back, the file need not know at once. */
  release(lease: AddressLease): void {
    this.#pools.release(lease);
  }

  /** Settles when the file has all of it. */
  async close(): Promise<void> {
    if (this.#isLoaded) await this.#save();
  }

  #load(prefixes: readonly string[]): ReturnType<AddressPools["remembered"]> {
    if (prefixes.length === 0) return [];
    const { leases, fault } = this.#file.load();
    if (fault !== undefined) this.#onWarning(`clients may get other addresses than before: ${fault}`);
    return leases;
  }

  async #save(): Promise<void> {
    try {
      await this.#file.save(() => this.#pools.remembered());
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#onWarning(`after a restart clients may get other addresses than now: ${reason}`);
    }
  }
}
