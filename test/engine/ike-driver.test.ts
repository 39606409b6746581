import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Authenticator } from "../../src/auth/authenticator.ts";
import { SeededCryptoProvider } from "../../src/crypto/key-exchange/seeded-crypto-provider.ts";
import { IkeDriver } from "../../src/engine/ike-driver.ts";
import { Wakefulness } from "../../src/engine/wakefulness.ts";
import { IkeEndpoint } from "../../src/ike/endpoint.ts";
import type { IkeEvent } from "../../src/ike/io.ts";
import type { Path } from "../../src/platform/address.ts";
import { initiatorPolicy, responderPolicy, SeededRandom } from "../support/simulator/index.ts";

// Two drivers in virtual time, joined by hand: the timers are the test's, and so is the clock.

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
});

afterEach(() => {
  vi.useRealTimers();
});

class Side {
  readonly events: IkeEvent[] = [];
  readonly driver: IkeDriver;
  readonly endpoint: IkeEndpoint;
  transmitted = 0;
  peer: Side | undefined;
  #spi: number;

  constructor(facts: {
    readonly seed: number;
    readonly connection: ReturnType<typeof initiatorPolicy>;
    readonly wakefulness: Wakefulness;
  }) {
    this.#spi = 0x1000_0000 * facts.seed;
    this.endpoint = new IkeEndpoint({
      connections: [facts.connection],
      random: new SeededRandom(facts.seed),
      allocateSpi: () => this.#spi++,
    });
    const provider = new SeededCryptoProvider(facts.seed);
    this.driver = new IkeDriver({
      endpoint: this.endpoint,
      clock: facts.wakefulness,
      crypto: provider,
      authenticator: new Authenticator(Date.now),
      perform: (output) => {
        if (output.kind === "event") this.events.push(output.event);
        if (output.kind === "transmit") this.#transmit(output.octets, output.path);
      },
      afterwards: () => {},
      onFault: (error) => {
        throw error;
      },
    });
  }

  #transmit(octets: Uint8Array, { local, remote }: Path): void {
    this.transmitted++;
    const path = { local: remote, remote: local };
    const copy = octets.slice();
    queueMicrotask(() => this.peer?.driver.feed({ kind: "datagram", octets: copy, path }));
  }

  get states(): readonly string[] {
    return this.endpoint.ikeSas.map(({ state }) => state);
  }
}

/** What the two sides of a connection see of the time; only the left one sleeps. */
function start() {
  const clock = { left: 0, right: 0, uptime: 0 };
  const left = new Side({
    seed: 1,
    connection: initiatorPolicy(),
    wakefulness: new Wakefulness({ now: () => clock.left }, () => clock.uptime),
  });
  const right = new Side({
    seed: 2,
    connection: responderPolicy(),
    wakefulness: new Wakefulness({ now: () => clock.right }, () => clock.right),
  });
  left.peer = right;
  right.peer = left;
  const pass = async (ms: number): Promise<void> => {
    for (let rest = ms; rest > 0; rest -= 100) {
      clock.left += 100;
      clock.right += 100;
      clock.uptime += 100;
      await vi.advanceTimersByTimeAsync(100);
    }
  };
  return { clock, left, right, pass };
}

async function connected(): Promise<ReturnType<typeof start>> {
  const all = start();
  all.left.driver.feed({ kind: "initiate", connection: "tunnel" });
  await all.pass(1_000);
  expect([all.left.states, all.right.states]).toEqual([["established"], ["established"]]);
  return all;
}

test("when nobody ran us for ten hours, nothing expires: the peer is asked at once, and the SA goes on", async () => {
  const { clock, left, right, pass } = await connected();
  const before = left.transmitted;
  clock.left += 36_000_000;
  clock.uptime += 36_000_000;
  // The timer that was set for ten seconds later fires now.
  await pass(10_100);
  expect(left.transmitted).toBe(before + 1);
  await pass(1_000);
  expect([left.states, right.states]).toEqual([["established"], ["established"]]);
  expect(left.events.map(({ name }) => name)).not.toContain("ike-sa-rekeyed");
  left.driver.stop();
  right.driver.stop();
});

test("when the machine slept, and its clock with it, the peer is asked within seconds; a dead one is noticed", async () => {
  const { clock, left, right, pass } = await connected();
  clock.uptime += 36_000_000;
  left.peer = undefined;
  const before = left.transmitted;
  await pass(10_100);
  expect(left.transmitted).toBeGreaterThan(before);
  await pass(90_000);
  expect(left.states).toEqual([]);
  expect(left.events.at(-1)).toMatchObject({ name: "ike-sa-deleted", facts: { reason: "timeout" } });
  left.driver.stop();
  right.driver.stop();
});

test("the date may jump by years, both ways: no timer knows", async () => {
  const { left, right, pass } = await connected();
  const before = left.transmitted + right.transmitted;
  for (const date of ["1970-01-01", "2099-12-31", "2026-01-01"]) {
    vi.setSystemTime(new Date(date));
    await pass(5_000);
  }
  expect(left.transmitted + right.transmitted).toBe(before);
  expect([left.states, right.states]).toEqual([["established"], ["established"]]);
  left.driver.stop();
  right.driver.stop();
});
