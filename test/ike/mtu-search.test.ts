import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MtuSearch } from "../../src/ike/mtu-search.ts";

const PATH = { floor: 576, base: 1280, most: 1500 };

/** Searches a path, and tells which sizes were asked for, in order. `isLost` is asked of each probe, beside the path. */
function search(
  facts: ConstructorParameters<typeof MtuSearch>[0],
  pathMtu: number,
  isLost: (index: number) => boolean = () => false,
): { readonly found: number | undefined; readonly sizes: readonly number[] } {
  const search = new MtuSearch(facts);
  const sizes: number[] = [];
  for (let size = search.next(); size !== undefined; size = search.next()) {
    sizes.push(size);
    if (size <= pathMtu && !isLost(sizes.length - 1)) search.carried(size);
    else search.lost(size);
  }
  return { found: search.believed, sizes };
}

describe("a search for the path MTU", () => {
  test("is over with one probe where the path carries what the link does", () => {
    expect(search(PATH, 1500)).toEqual({ found: 1500, sizes: [1500] });
    expect(search({ ...PATH, known: 1500 }, 1500)).toEqual({ found: 1500, sizes: [1500] });
  });

  test("is in vain where nothing is carried that every path carries", () => {
    for (const floor of [576, 1280]) {
      const { found, sizes } = search({ floor, base: 1280, most: 1500 }, 0);
      expect(found).toBeUndefined();
      expect(sizes).toEqual(floor === 576 ? [1500, 1280, 576, 576] : [1500, 1280, 1280]);
    }
    const search1500 = new MtuSearch({ ...PATH, known: 1500 });
    for (let size = search1500.next(); size !== undefined; size = search1500.next()) search1500.lost(size);
    expect(search1500.isVain).toBe(true);
  });

  test("finds what any path carries, to a word of ESP", () => {
    for (let pathMtu = 576; pathMtu <= 1500; pathMtu++) {
      const { found, sizes } = search(PATH, pathMtu);
      expect(found).toBeLessThanOrEqual(pathMtu);
      expect(found).toBeGreaterThan(pathMtu - 4);
      expect(sizes.length).toBeLessThanOrEqual(14);
    }
  });

  test("a path that is as short as it was the last time takes three probes", () => {
    expect(search({ ...PATH, known: 1400 }, 1400)).toEqual({ found: 1400, sizes: [1500, 1400, 1404] });
  });

  test("a path that has grown, or shrunk, is found anew", () => {
    expect(search({ ...PATH, known: 1400 }, 1500)).toEqual({ found: 1500, sizes: [1500] });
    expect(search({ ...PATH, known: 1400 }, 1452).found).toBeGreaterThan(1448);
    expect(search({ ...PATH, known: 1400 }, 1300).found).toBeGreaterThan(1296);
    expect(search({ ...PATH, known: 1500 }, 700).found).toBeGreaterThan(696);
  });

  test("one lost probe changes nothing about the result, but for a path that has grown, which stays as it was at least", () => {
    for (const known of [undefined, 1300, 1500]) {
      for (const pathMtu of [1500, 1400, 1300]) {
        const { found, sizes } = search({ ...PATH, known }, pathMtu);
        for (let lost = 0; lost < sizes.length; lost++) {
          const again = search({ ...PATH, known }, pathMtu, (index) => index === lost);
          expect(again.found).toBeGreaterThan(known === 1300 ? 1296 : found! - 4);
        }
      }
    }
  });

  test("however many are lost, it comes to an end and claims nothing that was not carried", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 576, max: 1500 }),
        fc.option(fc.integer({ min: 576, max: 1500 }), { nil: undefined }),
        fc.array(fc.boolean(), { maxLength: 40 }),
        (pathMtu, known, losses) => {
          const { found, sizes } = search({ ...PATH, known }, pathMtu, (index) => losses[index] === true);
          expect(sizes.length).toBeLessThanOrEqual(32);
          if (found !== undefined && sizes.length < 32) expect(found).toBeLessThanOrEqual(pathMtu);
        },
      ),
    );
  });

  test("asks only for sizes that a block cipher can make", () => {
    const grain = { first: 96, size: 16 };
    for (let pathMtu = 600; pathMtu <= 1500; pathMtu += 7) {
      const { found, sizes } = search({ ...PATH, grain }, pathMtu);
      expect(sizes.every((size) => (size - 96) % 16 === 0)).toBe(true);
      expect(found).toBeLessThanOrEqual(pathMtu);
      expect(found).toBeGreaterThan(pathMtu - 32);
    }
    expect(search({ ...PATH, grain }, 1500)).toEqual({ found: 1488, sizes: [1488] });
  });

  test("what a router says meanwhile is where it goes on from", () => {
    const search = new MtuSearch(PATH);
    expect(search.next()).toBe(1500);
    search.lost(1500);
    search.limit(1300);
    expect(search.next()).toBe(1300);
    search.carried(1300);
    expect(search.next()).toBeUndefined();
    expect(search.believed).toBe(1300);
  });

  test("what was carried the last time is believed until it is lost twice, and then what nearly every path carries", () => {
    const search = new MtuSearch({ ...PATH, known: 1500 });
    expect(search.believed).toBe(1500);
    search.lost(search.next()!);
    expect(search.believed).toBe(1500);
    search.lost(search.next()!);
    expect(search.believed).toBe(1280);
    search.lost(search.next()!);
    expect(search.believed).toBe(576);
    expect(search.isVain).toBe(false);
  });

  test("where nothing is known, nothing is believed before the first probe is lost", () => {
    const search = new MtuSearch(PATH);
    expect(search.believed).toBeUndefined();
    search.lost(search.next()!);
    expect(search.believed).toBe(1280);
    search.carried(search.next()!);
    expect(search.believed).toBe(1280);
  });
});
