import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { PathMtus } from "../../src/esp/path-mtus.ts";
import type { Path } from "../../src/platform/address.ts";
import { type Child, EspBed } from "./esp-bed.ts";

const TUN_MTU = 1400;
const PATHS: readonly Path[] = [4500, 4501].map((port) => ({
  local: { address: "192.0.2.1", port: 4500 },
  remote: { address: "192.0.2.2", port },
}));
/** Outer IP and UDP header, SPI and number, IV, ICV; the text is whole words of 4, and 2 of them are its trailer. */
const inside = (mtu: number): number => {
  const room = mtu - 28 - 32;
  return room - (room % 4) - 2;
};

describe("the path of a child SA", () => {
  let bed: EspBed;
  let child: Child;
  let paths: PathMtus;
  /** What the kernel says. */
  let known: number | undefined;

  beforeEach(() => {
    bed = new EspBed();
    child = bed.install();
    known = 1500;
    paths = new PathMtus({ sad: bed.sad, tunMtu: TUN_MTU, read: () => known });
    paths.set(child.inboundSpi, PATHS[0]!, { isRaw: false });
  });
  afterEach(() => paths.close());

  const innerMtu = (): number => bed.sad.traffic(child.inboundSpi)!.innerMtu;
  const lookAgain = (): void => paths.lookFor(bed.sad.outboundOf(child.inboundSpi)!.slot);

  test("has room for what the TUN device takes, as long as nobody says otherwise", () => {
    expect(innerMtu()).toBe(TUN_MTU);
  });

  test("is held to what it was found to carry, until it is found to carry more", () => {
    paths.limit(child.inboundSpi, 1300);
    expect(innerMtu()).toBe(inside(1300));
    lookAgain();
    expect(innerMtu()).toBe(inside(1300));
    paths.limit(child.inboundSpi, 1350);
    expect(innerMtu()).toBe(inside(1350));
    paths.limit(child.inboundSpi, undefined);
    expect(innerMtu()).toBe(TUN_MTU);
  });

  test("is held to the kernel's word where that is less", () => {
    paths.limit(child.inboundSpi, 1300);
    known = 1200;
    lookAgain();
    expect(innerMtu()).toBe(inside(1200));
    known = 1500;
    lookAgain();
    expect(innerMtu()).toBe(inside(1300));
  });

  test("is another one when the child SA moves, and may be known when it is installed", () => {
    paths.limit(child.inboundSpi, 1300);
    paths.set(child.inboundSpi, PATHS[1]!, { isRaw: false });
    expect(innerMtu()).toBe(TUN_MTU);
    const second = bed.install();
    paths.set(second.inboundSpi, PATHS[1]!, { isRaw: false, limit: 1300 });
    expect(bed.sad.traffic(second.inboundSpi)!.innerMtu).toBe(inside(1300));
  });

  test("of an SA that is gone interests nobody", () => {
    paths.forget(child.inboundSpi);
    paths.limit(child.inboundSpi, 1300);
    expect(innerMtu()).toBe(TUN_MTU);
  });

  test("is worth a probe as long as what the TUN device takes can become, and no longer than the kernel says", () => {
    expect(paths.mostOn(PATHS[0]!)).toBe(1500);
    known = 9000;
    const most = paths.mostOn(PATHS[0]!)!;
    expect(inside(most)).toBeGreaterThanOrEqual(TUN_MTU);
    expect(most).toBeLessThan(TUN_MTU + 128);
    known = undefined;
    expect(paths.mostOn(PATHS[0]!)).toBeUndefined();
  });
});
