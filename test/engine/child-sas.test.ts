import { expect, test } from "vitest";
import { ChildSas } from "../../src/engine/child-sas.ts";
import type { DataPlane } from "../../src/esp/index.ts";
import type { NegotiatedChildSa } from "../../src/ike/io.ts";
import { systemRandom } from "../../src/platform/random.ts";
import type { ConnectionPolicy } from "../../src/policy/connection.ts";
import { trafficSelector } from "../support/traffic-selectors.ts";

test("an SA that is removed goes also when the policies that stay do not fit", () => {
  const removed: number[] = [];
  const room = { isFull: false };
  const change = () => {
    if (room.isFull) throw new RangeError("no room");
  };
  const dataPlane: Partial<DataPlane> = {
    installChildSa: () => {},
    setPoliciesByPrecedence: change,
    setPolicy: change,
    removePolicy: () => {},
    carried: () => undefined,
    removeChildSa: (inboundSpi) => {
      removed.push(inboundSpi);
      return Promise.resolve(undefined);
    },
  };
  const childSas = new ChildSas({
    dataPlane: dataPlane as DataPlane,
    random: systemRandom,
    onUsedUp: () => {},
  });
  const side = [trafficSelector("10.0.0.0/8")];
  const children = [{ name: "lan", local: side, remote: side }];
  childSas.protect([{ name: "office", children } as unknown as ConnectionPolicy]);
  const childSa = { connection: "office", child: "lan", local: side, remote: side, carriesOutbound: true };
  for (const inboundSpi of [1, 2])
    childSas.install({ ...childSa, inboundSpi } as unknown as NegotiatedChildSa);
  room.isFull = true;
  // The other one does not count as replaced any more, which its policy has to say.
  expect(() => childSas.remove(2)).toThrow("no room");
  expect(removed).toEqual([2]);
  childSas.remove(1);
  expect(removed).toEqual([2, 1]);
});
