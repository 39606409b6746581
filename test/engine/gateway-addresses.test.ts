import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { GatewayAddresses } from "../../src/engine/gateway-addresses.ts";
import type { AddressLease } from "../../src/pool/address-pools.ts";
import { LeaseFile } from "../../src/pool/lease-file.ts";
import { until } from "../support/waiting.ts";

const wanted = { ipv4: true, ipv6: true };
const POOLS = { pools: ["10.77.0.0/24", "fd77::/64"] };

let directory: string;
let path: string;
let warnings: string[];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "ikebana-addresses-"));
  path = join(directory, "leases.json");
  warnings = [];
});
afterEach(() => rmSync(directory, { recursive: true }));

function life(): GatewayAddresses {
  const addresses = new GatewayAddresses({
    file: new LeaseFile(path),
    onWarning: (message) => warnings.push(message),
  });
  addresses.configure(POOLS);
  return addresses;
}

function give(addresses: GatewayAddresses, user: string): AddressLease {
  const given = addresses.assign({ connection: "gateway", user, device: "phone", wanted });
  if (typeof given === "string") throw new Error(given);
  return given;
}

test("a client has its address again in another life, also after one that was killed", async () => {
  const first = life();
  give(first, "anna");
  const bert = give(first, "bert");
  await first.close();
  const second = life();
  expect(give(second, "bert").addresses).toEqual(bert.addresses);
  const carl = give(second, "carl");
  // It is killed some time later.
  await until("the file names carl", () => readFileSync(path, "utf8").includes("carl"));
  const third = life();
  expect(give(third, "dora").addresses).not.toEqual(carl.addresses);
  expect(give(third, "carl").addresses).toEqual(carl.addresses);
  await third.close();
  await second.close();
});

test("a client keeps its address when the pools change around it, and an old lease may be released", async () => {
  const addresses = life();
  const anna = give(addresses, "anna");
  addresses.configure({ pools: ["10.77.0.0/25", "fd78::/64"] });
  expect(give(addresses, "anna").addresses).toEqual([anna.addresses[0], "fd78::2"]);
  addresses.release(anna);
  expect(() => addresses.configure({ pools: ["nonsense"] })).toThrow();
  expect(give(addresses, "anna").addresses).toEqual([anna.addresses[0], "fd78::2"]);
  await addresses.close();
});

test("a user who has logged in may have a number of devices of its own", async () => {
  const addresses = life();
  addresses.configure({ ...POOLS, devicesOf: (user) => (user === "anna" ? 1 : undefined) });
  const assign = (user: string, device: string) =>
    addresses.assign({ connection: "gateway", user, device, wanted });
  for (const user of ["eap anna", "id anna"]) assign(user, "phone");
  expect(assign("eap anna", "laptop")).toBe("too-many-devices");
  expect(assign("id anna", "laptop")).toHaveProperty("addresses");
  await addresses.close();
});

test("whoever is connected keeps its place when the number of devices changes", async () => {
  const addresses = life();
  const phone = give(addresses, "anna");
  addresses.configure({ ...POOLS, devicesPerUser: 1 });
  expect(addresses.usage.map(({ inUse }) => inUse)).toEqual([1, 1]);
  const laptop = { connection: "gateway", user: "anna", device: "laptop", wanted };
  expect(addresses.assign(laptop)).toBe("too-many-devices");
  addresses.release(phone);
  expect(addresses.usage.map(({ inUse }) => inUse)).toEqual([0, 0]);
  expect(addresses.assign(laptop)).toHaveProperty("addresses");
  await addresses.close();
});

test("where the file cannot be read or written, clients get addresses nevertheless", async () => {
  writeFileSync(path, "nonsense");
  expect(give(life(), "anna").addresses).toEqual(["10.77.0.2", "fd77::2"]);
  path = join(directory, "occupied");
  mkdirSync(join(path, "by a folder"), { recursive: true });
  const addresses = life();
  expect(give(addresses, "anna").addresses).toEqual(["10.77.0.2", "fd77::2"]);
  await addresses.close();
  expect(warnings[0]).toContain("other addresses than before");
  expect(warnings.at(-1)).toContain("after a restart clients may get other addresses");
});
