import { expect, test } from "vitest";
import { ChildSas } from "../../src/engine/child-sas.ts";
import type { DataPlane } from "../../src/esp/index.ts";
import { systemRandom } from "../../src/platform/random.ts";

test("an SA that is removed goes also when the policies that stay do not fit", async () => {
  const removed: number[] = [];
  const dataPlane: Pick<DataPlane, "setPolicies" | "removeChildSa"> = {
    setPolicies: () => {
      throw new RangeError("no room");
    },
    removeChildSa: (inboundSpi) => {
      removed.push(inboundSpi);
      return Promise.resolve();
    },
  };
  const childSas = new ChildSas({
    dataPlane: dataPlane as DataPlane,
    random: systemRandom,
    onUsedUp: () => {},
  });
  expect(() => childSas.remove(0x1234)).toThrow("no room");
  expect(removed).toEqual([0x1234]);
});
