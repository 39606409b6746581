import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseAddress, parsePrefix } from "../../src/bytes/ip-address.ts";
import { PolicyError } from "../../src/errors/index.ts";
import {
  type AddressLease,
  AddressPools,
  type AddressRefusal,
  type Holder,
  type WantedAddresses,
} from "../../src/pool/address-pools.ts";
import { ownAddressIn } from "../../src/pool/prefix.ts";

const IPV4: WantedAddresses = { ipv4: true, ipv6: false };
const BOTH: WantedAddresses = { ipv4: true, ipv6: true };

function lease(given: AddressLease | AddressRefusal): AddressLease {
  if (typeof given === "string") throw new Error(given);
  return given;
}

function someone(name: string): Holder {
  return { user: name, device: "phone" };
}

/** Takes everything there is, each address for somebody else. */
function drain(pools: AddressPools, wanted: WantedAddresses): readonly string[] {
  const addresses: string[] = [];
  for (let i = 0; ; i++) {
    const given = pools.assign(someone(`user${i}`), wanted);
    if (typeof given === "string") {
      expect(given).toBe("exhausted");
      return addresses;
    }
    addresses.push(...given.addresses);
  }
}

describe("a pool", () => {
  test.each([
    ["10.77.0.0/29", ["10.77.0.2", "10.77.0.3", "10.77.0.4", "10.77.0.5", "10.77.0.6"]],
    ["10.77.0.8/30", ["10.77.0.10"]],
    ["10.77.0.8/31", ["10.77.0.9"]],
    ["255.255.255.248/29", [2, 3, 4, 5, 6].map((host) => `255.255.255.${248 + host}`)],
    ["fd77::/126", ["fd77::2", "fd77::3"]],
    ["fd77::ff00/125", [2, 3, 4, 5, 6, 7].map((host) => `fd77::ff0${host}`)],
  ])("of %s gives each host address but the gateway's own once", (prefix, expected) => {
    expect(drain(new AddressPools({ prefixes: [prefix] }), BOTH)).toEqual(expected);
    expect(ownAddressIn(prefix)).toBe(expected[0]!.replace(/[0-9a-f]+$/, (last) => decrement(last, prefix)));
  });

  test.each([
    ["10.77.0.1"],
    ["10.77.0.0/32"],
    ["fd77::/128"],
    ["fd77::/127"],
    ["10.77.0.0/33"],
    ["somewhere/24"],
  ])("is not made of %s", (prefix) =>
    expect(() => new AddressPools({ prefixes: [prefix] })).toThrow(PolicyError),
  );

  test("does not overlap another", () => {
    expect(() => new AddressPools({ prefixes: ["10.0.0.0/8", "fd77::/64", "10.77.0.0/24"] })).toThrow(
      "pools 10.0.0.0/8 and 10.77.0.0/24 overlap",
    );
  });

  test("is used up before the next of its family", () => {
    const pools = new AddressPools({ prefixes: ["10.1.0.0/30", "fd77::/64", "10.2.0.0/30"] });
    expect(drain(pools, IPV4)).toEqual(["10.1.0.2", "10.2.0.2"]);
  });
});

function decrement(last: string, prefix: string): string {
  const radix = prefix.includes(":") ? 16 : 10;
  return (Number.parseInt(last, radix) - 1).toString(radix);
}

describe("a device", () => {
  const pools = (options = {}): AddressPools =>
    new AddressPools({ prefixes: ["10.77.0.0/24", "fd77::/64"], ...options });

  test("gets an address of each family that it wants and that there is", () => {
    const both = pools();
    expect(lease(both.assign(someone("anna"), BOTH)).addresses).toEqual(["10.77.0.2", "fd77::2"]);
    expect(lease(both.assign(someone("bert"), IPV4)).addresses).toEqual(["10.77.0.3"]);
    expect(lease(both.assign(someone("bert"), BOTH)).addresses).toEqual(["10.77.0.3", "fd77::3"]);
    const ipv6 = new AddressPools({ prefixes: ["fd77::/64"] });
    expect(lease(ipv6.assign(someone("anna"), BOTH)).addresses).toEqual(["fd77::2"]);
    expect(ipv6.assign(someone("anna"), IPV4)).toBe("exhausted");
    expect(ipv6.assign(someone("anna"), { ipv4: false, ipv6: false })).toBe("exhausted");
    expect(ipv6.leaseCount).toBe(1);
  });

  test("has its own address again when it comes back, also before the old lease is gone", () => {
    const some = pools();
    const first = lease(some.assign(someone("anna"), BOTH));
    lease(some.assign(someone("bert"), BOTH));
    const second = lease(some.assign(someone("anna"), BOTH));
    expect(second.addresses).toEqual(first.addresses);
    some.release(first);
    some.release(first);
    expect(some.leaseCount).toBe(2);
    some.release(second);
    expect(some.usage.map(({ inUse, taken }) => [inUse, taken])).toEqual([
      [1, 2],
      [1, 2],
    ]);
    lease(some.assign(someone("carl"), BOTH));
    expect(lease(some.assign(someone("anna"), BOTH)).addresses).toEqual(first.addresses);
  });

  test("is one of several of its user, each with an address of its own, up to a limit", () => {
    const some = pools({ devicesPerUser: 2 });
    const phone = lease(some.assign({ user: "anna", device: "phone" }, IPV4));
    const laptop = lease(some.assign({ user: "anna", device: "laptop" }, IPV4));
    expect(phone.addresses).not.toEqual(laptop.addresses);
    expect(some.assign({ user: "anna", device: "tablet" }, IPV4)).toBe("too-many-devices");
    expect(lease(some.assign({ user: "bert", device: "tablet" }, IPV4)).addresses).toHaveLength(1);
    some.release(laptop);
    some.release(phone);
    // The one that was idle for longer makes room.
    lease(some.assign({ user: "anna", device: "tablet" }, IPV4));
    expect(lease(some.assign({ user: "anna", device: "phone" }, IPV4)).addresses).toEqual(phone.addresses);
  });

  test("loses its address only when there is no other, and the one that was idle for longest first", () => {
    const some = new AddressPools({ prefixes: ["10.77.0.0/29"] }); // for five
    const leases = ["a", "b", "c", "d", "e"].map((name) => lease(some.assign(someone(name), IPV4)));
    expect(some.assign(someone("f"), IPV4)).toBe("exhausted");
    some.release(leases[3]!);
    some.release(leases[1]!);
    expect(lease(some.assign(someone("f"), IPV4)).addresses).toEqual(leases[3]!.addresses);
    expect(lease(some.assign(someone("b"), IPV4)).addresses).toEqual(leases[1]!.addresses);
    expect(some.assign(someone("d"), IPV4)).toBe("exhausted");
    expect(some.usage).toEqual([{ prefix: "10.77.0.0/29", inUse: 5, taken: 5, capacity: 5 }]);
  });

  test("gets what it asks for where nobody has it", () => {
    const some = pools();
    const wish = (name: string, ...requested: string[]): readonly string[] =>
      lease(some.assign(someone(name), { ...BOTH, requested })).addresses;
    expect(wish("a", "10.77.0.99", "fd77::99")).toEqual(["10.77.0.99", "fd77::99"]);
    expect(wish("b", "10.77.0.99")).toEqual(["10.77.0.2", "fd77::2"]);
    for (const [i, address] of [
      "10.77.0.0",
      "10.77.0.1",
      "10.77.0.255",
      "192.0.2.1",
      "fd77::",
      "x",
    ].entries())
      expect(wish(`c${i}`, address)[0]).toBe(`10.77.0.${3 + i}`);
    expect(wish("d", "10.77.0.9")[0]).toBe("10.77.0.9");
    expect(wish("e")[0]).toBe("10.77.0.10");
  });

  test("with a fixed address gets that one, and none when somebody has it", () => {
    const some = pools();
    const fixed = (name: string, address: string): AddressLease | AddressRefusal =>
      some.assign(someone(name), { ...BOTH, fixed: [address] });
    expect(lease(fixed("a", "10.77.0.200")).addresses).toEqual(["10.77.0.200", "fd77::2"]);
    expect(fixed("b", "10.77.0.200")).toBe("address-in-use");
    expect(fixed("a", "10.77.0.201")).toBe("address-in-use");
    for (const address of ["10.77.0.1", "10.77.0.255", "10.78.0.5", "fd77::", "nonsense"])
      expect(fixed("b", address)).toBe("address-outside-pool");
    expect(some.leaseCount).toBe(1);
    // Who is not there makes room.
    const idle = lease(some.assign(someone("c"), IPV4));
    some.release(idle);
    expect(lease(fixed("b", idle.addresses[0]!)).addresses[0]).toBe(idle.addresses[0]);
    expect(lease(some.assign(someone("c"), IPV4)).addresses).not.toEqual(idle.addresses);
  });
});

describe("another life", () => {
  test("knows who had which address", () => {
    const before = new AddressPools({ prefixes: ["10.77.0.0/24", "fd77::/64"] });
    const gone = lease(before.assign({ user: "anna", device: "phone" }, BOTH));
    const there = lease(before.assign({ user: "anna", device: "laptop" }, IPV4));
    before.release(gone);
    const after = new AddressPools({ prefixes: ["10.77.0.0/24", "fd77::/64"] });
    after.recall(before.remembered());
    expect(after.leaseCount).toBe(0);
    expect(lease(after.assign(someone("bert"), BOTH)).addresses).toEqual(["10.77.0.4", "fd77::3"]);
    expect(lease(after.assign({ user: "anna", device: "laptop" }, IPV4)).addresses).toEqual(there.addresses);
    expect(lease(after.assign({ user: "anna", device: "phone" }, BOTH)).addresses).toEqual(gone.addresses);
  });

  test("lets a user have another number of devices than others, whatever it is by then", () => {
    const limits = new Map([["anna", 1]]);
    const pools = new AddressPools({
      prefixes: ["10.77.0.0/24"],
      devicesPerUser: 2,
      devicesOf: (user) => limits.get(user),
    });
    const assign = (user: string, device: string) => pools.assign({ user, device }, IPV4);
    const phone = lease(assign("anna", "phone"));
    expect(assign("anna", "laptop")).toBe("too-many-devices");
    for (const device of ["phone", "laptop"]) lease(assign("bert", device));
    expect(assign("bert", "tablet")).toBe("too-many-devices");
    limits.set("anna", 3);
    const [laptop, tablet] = [lease(assign("anna", "laptop")), lease(assign("anna", "tablet"))];
    expect(assign("anna", "fourth")).toBe("too-many-devices");
    limits.set("anna", 1);
    // What is connected stays, and may come anew.
    pools.release(lease(assign("anna", "phone")));
    pools.release(tablet);
    pools.release(laptop);
    expect(assign("anna", "tablet")).toBe("too-many-devices");
    pools.release(phone);
    lease(assign("anna", "fourth"));
    expect(assign("anna", "tablet")).toBe("too-many-devices");
    expect(pools.remembered().filter(({ user }) => user === "anna")).toMatchObject([{ device: "fourth" }]);
  });

  test("leaves out what does not fit any more", () => {
    const pools = new AddressPools({ prefixes: ["10.77.0.0/24"], devicesPerUser: 2 });
    const remembered = (user: string, device: string, ...addresses: string[]) => ({
      user,
      device,
      addresses,
    });
    pools.recall([
      remembered("anna", "phone", "10.76.0.5"),
      remembered("bert", "phone", "10.77.0.1"),
      remembered("carl", "phone", "10.77.0.9", "fd77::9"),
      remembered("dora", "phone", "10.77.0.9"),
      remembered("emil", "phone", "nonsense"),
      remembered("fred", "a", "10.77.0.10"),
      remembered("fred", "b", "10.77.0.11"),
      remembered("fred", "c", "10.77.0.12"),
    ]);
    expect(pools.remembered().map(({ user, addresses }) => [user, ...addresses])).toEqual([
      ["carl", "10.77.0.9"],
      ["fred", "10.77.0.10"],
      ["fred", "10.77.0.11"],
    ]);
  });

  test("is told of no more than a bounded number", () => {
    const pools = new AddressPools({ prefixes: ["10.0.0.0/8"], maximumRemembered: 10 });
    for (let i = 0; i < 100; i++) pools.release(lease(pools.assign(someone(`user${i}`), IPV4)));
    expect(pools.remembered().map(({ user }) => user)).toEqual(
      Array.from({ length: 10 }, (_, i) => `user${90 + i}`),
    );
    expect(pools.usage[0]!.taken).toBe(10);
  });
});

describe("whatever clients do", () => {
  const step = fc.record({
    user: fc.constantFrom("anna", "bert", "carl", "dora"),
    device: fc.constantFrom("phone", "laptop", "tablet"),
    action: fc.constantFrom("assign", "assign", "assign-fixed", "release", "restart"),
    families: fc.constantFrom(IPV4, BOTH, { ipv4: false, ipv6: true }),
    number: fc.nat(12),
  });

  test("no address is with two devices, none is special, and a device with a lease keeps its own", () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 80 }),
        fc.integer({ min: 1, max: 4 }),
        (steps, devicesPerUser) => {
          const options = { prefixes: ["10.77.0.0/29", "fd77::/125"], devicesPerUser };
          let pools = new AddressPools(options);
          let held: { readonly holder: string; readonly lease: AddressLease }[] = [];
          for (const { user, device, action, families, number } of steps) {
            const holder = JSON.stringify([user, device]);
            if (action === "restart") {
              const before = pools.remembered();
              pools = new AddressPools(options);
              pools.recall(before);
              held = [];
              expect(pools.remembered()).toHaveLength(before.length);
            } else if (action === "release") {
              const [gone] = held.splice(number % (held.length || 1), 1);
              if (gone !== undefined) pools.release(gone.lease);
            } else {
              const fixed = action === "assign-fixed" ? { fixed: [`10.77.0.${number}`] } : {};
              const given = pools.assign({ user, device }, { ...families, ...fixed });
              if (typeof given !== "string") held.push({ holder, lease: given });
            }
            expect(pools.leaseCount).toBe(held.length);
            expectSound(held, devicesPerUser);
          }
          for (const { lease: last } of held) pools.release(last);
          expect(pools.leaseCount).toBe(0);
        },
      ),
      { seed: 3, numRuns: 500 },
    );
  });

  function expectSound(
    held: readonly { readonly holder: string; readonly lease: AddressLease }[],
    devicesPerUser: number,
  ): void {
    const owners = new Map<string, string>();
    const devices = new Map<string, Set<string>>();
    for (const { holder, lease: one } of held) {
      const [user] = JSON.parse(holder) as [string];
      devices.set(user, (devices.get(user) ?? new Set()).add(holder));
      for (const address of one.addresses) {
        expect(owners.get(address) ?? holder).toBe(holder);
        owners.set(address, holder);
        expect(["10.77.0.0", "10.77.0.1", "10.77.0.7", "fd77::", "fd77::1"]).not.toContain(address);
        const prefix = parsePrefix(address.includes(":") ? "fd77::/125" : "10.77.0.0/29")!;
        expect(Buffer.compare(parseAddress(address)!, prefix.end)).toBeLessThanOrEqual(0);
      }
    }
    const families = new Map<string, Set<string>>();
    for (const [address, holder] of owners) {
      const key = `${holder} ${address.includes(":")}`;
      families.set(key, (families.get(key) ?? new Set()).add(address));
    }
    for (const addresses of families.values()) expect(addresses.size).toBe(1);
    for (const each of devices.values()) expect(each.size).toBeLessThanOrEqual(devicesPerUser);
  }

  test("ten thousand devices come, go and come back to their own addresses", () => {
    const pools = new AddressPools({ prefixes: ["10.64.0.0/16", "fd77::/64"] });
    const first = Array.from({ length: 10_000 }, (_, i) => lease(pools.assign(someone(`user${i}`), BOTH)));
    expect(new Set(first.flatMap(({ addresses }) => addresses)).size).toBe(20_000);
    for (const one of first) pools.release(one);
    const again = first.map((_, i) => lease(pools.assign(someone(`user${i}`), BOTH)).addresses);
    expect(again).toEqual(first.map(({ addresses }) => addresses));
  });
});
