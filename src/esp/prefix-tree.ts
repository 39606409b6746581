import {
  NODE_CHILDREN_OFFSET,
  NODE_KEY_OFFSET,
  NODE_LENGTH_OFFSET,
  NODE_PAYLOAD_OFFSET,
} from "../../assembly/layout.ts";
import { type AddressPrefix, bitAt, commonBits } from "./address-prefix.ts";

/** Where a tree's nodes come from and go to. */
export interface NodeStore {
  /** Address of a node. Throws when there is none. */
  take(): number;
  /** Takes a node that nobody can reach any more; a worker may still be reading it. */
  retire(node: number): void;
}

/**
 * A binary tree of address prefixes in the shared memory, path-compressed: a node is a prefix that bears something, or the place
 * where two part. Each change shows by one atomic store. A tree is known by the address of the word that holds its root.
 */
export class PrefixTree {
  readonly #words: Uint32Array;
  readonly #store: NodeStore;

  constructor(words: Uint32Array, store: NodeStore) {
    this.#words = words;
    this.#store = store;
  }

  /** Address of the node of a prefix, which is made when it is not there. What `store` throws leaves the tree as it was. */
  insert(root: number, prefix: AddressPrefix): number {
    let link = root;
    for (;;) {
      const at = this.#load(link);
      if (at === 0) return this.#hangIn(link, prefix);
      const key = this.#keyOf(at);
      const common = Math.min(commonBits(key.words, prefix.words), key.length, prefix.length);
      if (common === key.length) {
        if (key.length === prefix.length) return at;
        link = childLink(at, bitAt(prefix.words, key.length));
      } else if (common === prefix.length) {
        return this.#hangIn(link, prefix, { below: at, bit: bitAt(key.words, common) });
      } else {
        return this.#part(link, { at, key, prefix, common });
      }
    }
  }

  /** Address of the node of a prefix. */
  find(root: number, prefix: AddressPrefix): number | undefined {
    let at = this.#load(root);
    while (at !== 0) {
      const key = this.#keyOf(at);
      const common = Math.min(commonBits(key.words, prefix.words), key.length, prefix.length);
      if (common < key.length) return undefined;
      if (key.length === prefix.length) return at;
      at = this.#load(childLink(at, bitAt(prefix.words, key.length)));
    }
    return undefined;
  }

  /** Takes out the node of a prefix, when it bears nothing, and nodes that are needless without it. */
  prune(root: number, prefix: AddressPrefix): void {
    const links = [root];
    for (;;) {
      const at = this.#load(links.at(-1)!);
      if (at === 0) return;
      const { length } = this.#keyOf(at);
      if (length >= prefix.length) break;
      links.push(childLink(at, bitAt(prefix.words, length)));
    }
    // The node itself, and the fork above it, which may have lost one of its two.
    for (const link of links.slice(-2).reverse()) {
      const at = this.#load(link);
      if (at === 0) continue;
      const children = [this.#load(childLink(at, 0)), this.#load(childLink(at, 1))];
      if (this.#load(at + NODE_PAYLOAD_OFFSET) !== 0 || !children.includes(0)) return;
      this.#publish(link, children[0]! || children[1]!);
      this.#store.retire(at);
    }
  }

  /** Calls `visit` with every node, those below before those above. */
  walk(root: number, visit: (node: number) => void): void {
    const at = this.#load(root);
    if (at === 0) return;
    this.walk(childLink(at, 0), visit);
    this.walk(childLink(at, 1), visit);
    visit(at);
  }

  #part(
    link: number,
    facts: {
      readonly at: number;
      readonly key: AddressPrefix;
      readonly prefix: AddressPrefix;
      readonly common: number;
    },
  ): number {
    const { at, key, prefix, common } = facts;
    const leaf = this.#make(prefix);
    let fork: number;
    try {
      fork = this.#make({ words: prefix.words, length: common });
    } catch (error) {
      this.#store.retire(leaf);
      throw error;
    }
    this.#words[childLink(fork, bitAt(prefix.words, common)) >>> 2] = leaf;
    this.#words[childLink(fork, bitAt(key.words, common)) >>> 2] = at;
    this.#publish(link, fork);
    return leaf;
  }

  #hangIn(
    link: number,
    prefix: AddressPrefix,
    child?: { readonly below: number; readonly bit: 0 | 1 },
  ): number {
    const at = this.#make(prefix);
    if (child !== undefined) this.#words[childLink(at, child.bit) >>> 2] = child.below;
    this.#publish(link, at);
    return at;
  }

  #make({ words: key, length }: AddressPrefix): number {
    const at = this.#store.take();
    const words = this.#words;
    // The key as two 64-bit numbers, low words first.
    [1, 0, 3, 2].forEach((word, i) => {
      words[(at + NODE_KEY_OFFSET + 4 * i) >>> 2] = key[word]!;
    });
    words[(at + NODE_LENGTH_OFFSET) >>> 2] = length;
    words[(at + NODE_PAYLOAD_OFFSET) >>> 2] = 0;
    words[childLink(at, 0) >>> 2] = 0;
    words[childLink(at, 1) >>> 2] = 0;
    return at;
  }

  #keyOf(at: number): AddressPrefix {
    const word = (i: number): number => this.#words[(at + NODE_KEY_OFFSET + 4 * i) >>> 2]!;
    return {
      words: [word(1), word(0), word(3), word(2)],
      length: this.#words[(at + NODE_LENGTH_OFFSET) >>> 2]!,
    };
  }

  #load(link: number): number {
    return Atomics.load(this.#words, link >>> 2);
  }

  #publish(link: number, address: number): void {
    Atomics.store(this.#words, link >>> 2, address);
  }
}

function childLink(node: number, bit: 0 | 1): number {
  return node + NODE_CHILDREN_OFFSET + 4 * bit;
}
