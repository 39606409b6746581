import { expect, test } from "vitest";
import { WORKER_BASE, WORKER_SEND_SLAB_OFFSET, WORKER_SIZE } from "../../assembly/layout.ts";
import { createSharedMemory } from "../../src/esp/kernel.ts";
import { type IkeDatagram, MailboxReader, MailboxWriter } from "../../src/esp/mailbox.ts";
import { SeededRandom } from "../support/kernel.ts";

const WORKER = 1;
const REGION = WORKER_BASE + WORKER * WORKER_SIZE;

class Post {
  readonly memory = createSharedMemory();
  readonly octets = new Uint8Array(this.memory.buffer);
  readonly writer = new MailboxWriter(this.memory, WORKER);
  readonly reader = new MailboxReader(this.memory, WORKER);

  put({ octets, path }: IkeDatagram, isStranger = false): boolean {
    const address = REGION + WORKER_SEND_SLAB_OFFSET;
    this.octets.set(octets, address);
    return this.writer.put({ address, length: octets.length, ...path, isStranger });
  }
}

function datagram(random: SeededRandom, length: number): IkeDatagram {
  const isIpv6 = random.below(2) === 0;
  const end = () => ({
    address: isIpv6 ? `2001:db8::${random.below(65_536).toString(16)}` : `192.0.2.${random.below(256)}`,
    port: random.below(65_536),
  });
  return { octets: random.octets(length), path: { local: end(), remote: end() } };
}

/** Compares octets in one step: a matcher looks at each. */
function expectSame(actual: IkeDatagram | undefined, expected: IkeDatagram | undefined): void {
  expect(actual?.path).toEqual(expected?.path);
  expect(Buffer.compare(actual?.octets ?? NOTHING, expected?.octets ?? NOTHING)).toBe(0);
}

const NOTHING = new Uint8Array(0);

test("datagrams come out as they went in, in order, however the ring turns", () => {
  const post = new Post();
  const random = new SeededRandom(1);
  const waiting: IkeDatagram[] = [];
  let [put, refused] = [0, 0];
  for (let turn = 0; turn < 4000; turn++) {
    // Now the writer is faster, now the reader, so that it is full at times and empty at others.
    if (random.below(100) < (turn % 1000 < 500 ? 80 : 20)) {
      const next = datagram(random, random.below(4) === 0 ? random.below(65_536) : random.below(2000));
      if (post.put(next)) {
        waiting.push(next);
        put++;
      } else {
        refused++;
      }
    } else {
      expectSame(post.reader.take(), waiting.shift());
    }
  }
  while (waiting.length > 0) expectSame(post.reader.take(), waiting.shift());
  expect(post.reader.take()).toBeUndefined();
  expect(put).toBeGreaterThan(1000);
  expect(refused).toBeGreaterThan(10);
});

test("a full mailbox refuses, keeps what it has, and takes again when there is room", () => {
  const post = new Post();
  const random = new SeededRandom(2);
  const big = datagram(random, 60_000);
  let count = 0;
  while (post.put(big)) count++;
  expect(count).toBe(17);
  expect(post.put(datagram(random, 60_000))).toBe(false);
  expectSame(post.reader.take(), big);
  expectSame(post.reader.take(), big);
  expect(post.put(big)).toBe(true);
  for (let i = 0; i < count - 1; i++) expectSame(post.reader.take(), big);
  expect(post.reader.take()).toBeUndefined();
});

test("the bell rings once until it is answered", () => {
  const post = new Post();
  expect([post.writer.shouldRing(), post.writer.shouldRing()]).toEqual([true, false]);
  post.reader.answer();
  expect([post.writer.shouldRing(), post.writer.shouldRing()]).toEqual([true, false]);
});

test("strangers fill half of it, and leave the other half to those that are known, wherever the ring stands", () => {
  const post = new Post();
  const random = new SeededRandom(4);
  for (let turn = 0; turn < 20; turn++) {
    const next = datagram(random, 20_000);
    let [strangers, known] = [0, 0];
    while (post.put(next, true)) strangers++;
    expect(post.put(next, true)).toBe(false);
    while (post.put(next)) known++;
    expect(strangers).toBeGreaterThanOrEqual(24);
    expect(strangers).toBeLessThanOrEqual(26);
    expect(known).toBeGreaterThanOrEqual(24);
    for (let i = 0; i < strangers + known; i++) expect(post.reader.take()).toBeDefined();
    // A little further each time.
    expect(post.put(datagram(random, 50_000))).toBe(true);
    post.reader.take();
  }
});
