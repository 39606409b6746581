import { expect, test } from "vitest";
import { insidePrefixes } from "../../src/pool/inside-prefixes.ts";

const POOLS = ["10.77.0.0/24", "fd77::/64"];

test.each([
  [["0.0.0.0/0", "::/0"], false, []],
  [["10.0.0.0/8"], false, ["fd77::1/128", "255.255.255.255/32"]],
  [["192.168.0.0/16", "fd00::/8"], false, ["10.77.0.1/32", "255.255.255.255/32"]],
  [["192.168.0.0/16"], true, [...POOLS, "255.255.255.255/32"]],
])("behind a gateway with %j clients (each other: %j) also reach %j", (subnets, reachEachOther, further) => {
  expect(insidePrefixes({ subnets, pools: POOLS, reachEachOther })).toEqual([...subnets, ...further]);
});

test("nobody asks by DHCP where there is no IPv4", () => {
  const inside = insidePrefixes({ subnets: ["fd00::/8"], pools: ["fd77::/64"], reachEachOther: false });
  expect(inside).toEqual(["fd00::/8"]);
});
