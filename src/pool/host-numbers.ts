import { formatAddress } from "../bytes/ip-address.ts";
import type { PoolPrefix } from "./prefix.ts";

/**
 * The addresses of one prefix by their numbers in it. Taking and giving back cost the same however many there are: fresh numbers go
 * up from the first, and those that came back wait in a queue, so that an address is idle for as long as possible before somebody else has it.
 */
export class HostNumbers {
  readonly prefix: PoolPrefix;
  readonly #taken = new Set<number>();
  readonly #returned = new Set<number>();
  #next: number;

  constructor(prefix: PoolPrefix) {
    this.prefix = prefix;
    this.#next = prefix.first;
  }

  get takenCount(): number {
    return this.#taken.size;
  }

  /** Any number that is free; undefined when there is none. */
  take(): number | undefined {
    while (this.#next <= this.prefix.last) {
      const number = this.#next++;
      if (this.takeThis(number)) return number;
    }
    for (const number of this.#returned) if (this.takeThis(number)) return number;
    return undefined;
  }

  /** Whether a client may have it. */
  isForHosts(number: number): boolean {
    const { first, last, own } = this.prefix;
    return number >= first && number <= last && number !== own;
  }

  /** This one; false when it is taken or not for hosts. */
  takeThis(number: number): boolean {
    if (!this.isForHosts(number) || this.#taken.has(number)) return false;
    this.#returned.delete(number);
    this.#taken.add(number);
    return true;
  }

  giveBack(number: number): void {
    if (!this.#taken.delete(number)) return;
    // What `take` has not come to yet, it will find by itself.
    if (number < this.#next) this.#returned.add(number);
  }

  addressOf(number: number): string {
    return formatAddress(this.prefix.octetsOf(number));
  }
}
