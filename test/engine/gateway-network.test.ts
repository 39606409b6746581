import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { GatewayNetwork, type InsideNetwork } from "../../src/engine/gateway-network.ts";
import { PlatformError } from "../../src/errors/index.ts";
import { MemoryFirewall } from "../../src/platform/firewall/memory-firewall.ts";
import { BorrowedSettings, isBorrowed } from "../../src/platform/kernel-settings/borrowed-settings.ts";
import { MemoryKernelSettings } from "../../src/platform/kernel-settings/memory-kernel-settings.ts";
import { MemoryNetwork } from "../../src/platform/network/memory-network.ts";
import { StateFile } from "../../src/platform/state-file.ts";

const INSIDE: InsideNetwork = {
  pools: ["10.77.0.0/24", "fd77::/64"],
  masquerades: true,
  reachEachOther: false,
};

const FRESH = {
  "kernel/random/boot_id": "first",
  "net/ipv4/ip_forward": "0",
  "net/ipv6/conf/all/forwarding": "0",
  "net/ipv6/conf/all/accept_ra": "1",
  "net/ipv6/conf/eth0/accept_ra": "1",
  "net/ipv6/conf/eth1/accept_ra": "0",
};

let directory: string;
let network: MemoryNetwork;
let firewall: MemoryFirewall;
let kernel: MemoryKernelSettings;
let warnings: string[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "ikebana-gateway-"));
  network = new MemoryNetwork();
  network.addLink("ikebana0");
  network.setLinkUp("ikebana0");
  firewall = new MemoryFirewall();
  kernel = new MemoryKernelSettings(FRESH);
  warnings = [];
});
afterEach(() => rmSync(directory, { recursive: true }));

const GROUP = 7_296;

/** Another life on the same machine, or another gateway on it. */
function gateway(link = "ikebana0", filter = firewall): GatewayNetwork {
  return new GatewayNetwork({
    network,
    link,
    firewall: filter,
    borrowed: new BorrowedSettings(kernel, new StateFile(join(directory, `${link}.json`), isBorrowed)),
    onWarning: (message) => warnings.push(message),
  });
}

function state(): unknown {
  return {
    addresses: network.addresses(),
    rules: network.rules(),
    firewall: firewall.rules,
    settings: Object.fromEntries(kernel.values),
  };
}

describe("a gateway's machine", () => {
  test("has an address inside, keeps clients apart, forwards, and is put back", async () => {
    const before = state();
    const room = gateway();
    await room.apply(INSIDE);
    expect(network.addresses()).toEqual([
      { link: "ikebana0", address: "10.77.0.1", prefixLength: 32 },
      { link: "ikebana0", address: "fd77::1", prefixLength: 128 },
    ]);
    expect(network.rules().filter(({ table }) => table === "prohibit")).toEqual([
      expect.objectContaining({ inLink: "ikebana0", source: "10.77.0.0/24", destination: "10.77.0.0/24" }),
      expect.objectContaining({ inLink: "ikebana0", source: "fd77::/64", destination: "fd77::/64" }),
    ]);
    expect(firewall.rules).toEqual({
      link: "ikebana0",
      pools: INSIDE.pools,
      masquerades: true,
      group: GROUP,
      onlyForGroup: [4, 6],
      borrowed: [
        { name: "net/ipv4/ip_forward", before: "0", ours: "1" },
        { name: "net/ipv6/conf/eth0/accept_ra", before: "1", ours: "2" },
        { name: "net/ipv6/conf/all/forwarding", before: "0", ours: "1" },
      ],
    });
    expect(network.links().find(({ name }) => name === "ikebana0")!.group).toBe(GROUP);
    expect(Object.fromEntries(kernel.values)).toEqual({
      ...FRESH,
      "net/ipv4/ip_forward": "1",
      "net/ipv6/conf/all/forwarding": "1",
      "net/ipv6/conf/eth0/accept_ra": "2",
    });
    await room.remove();
    expect(state()).toEqual(before);
  });

  test("is put back by the next life after a crash", async () => {
    const before = state();
    await gateway().apply(INSIDE);
    network.removeAddress("ikebana0", "10.77.0.1/32"); // as they go with the device
    network.removeAddress("ikebana0", "fd77::1/128");
    const next = gateway();
    await next.clean();
    expect(state()).toEqual(before);
    await next.clean();
    expect(state()).toEqual(before);
  });

  test("keeps what somebody else has changed meanwhile, and what another boot began with", async () => {
    const room = gateway();
    await room.apply(INSIDE);
    kernel.values.set("net/ipv6/conf/eth0/accept_ra", "0");
    await room.remove();
    expect(kernel.read("net/ipv6/conf/eth0/accept_ra")).toBe("0");
    await gateway().apply(INSIDE);
    kernel.values.set("kernel/random/boot_id", "second");
    await gateway().clean();
    expect(kernel.read("net/ipv4/ip_forward")).toBe("1");
  });

  test("that forwards already goes on to, and its other networks stay as they were", async () => {
    kernel = new MemoryKernelSettings({
      ...FRESH,
      "net/ipv4/ip_forward": "1",
      "net/ipv6/conf/all/forwarding": "1",
    });
    const before = Object.fromEntries(kernel.values);
    const room = gateway();
    await room.apply(INSIDE);
    expect(firewall.rules).toMatchObject({ onlyForGroup: [], borrowed: [] });
    await room.apply({ ...INSIDE, masquerades: false });
    expect(firewall.rules).toBeUndefined();
    await room.remove();
    expect(Object.fromEntries(kernel.values)).toEqual(before);
  });

  test("that forwards one family already filters nothing of that one", async () => {
    kernel.values.set("net/ipv4/ip_forward", "1");
    await gateway().apply(INSIDE);
    expect(firewall.rules).toMatchObject({ onlyForGroup: [6] });
  });

  test("follows a changed configuration, and one without a gateway", async () => {
    const before = state();
    const room = gateway();
    await room.apply(INSIDE);
    await room.apply({ pools: ["10.78.0.0/24", "10.79.0.0/24"], masquerades: false, reachEachOther: false });
    expect(network.addresses().map(({ address }) => address)).toEqual(["10.78.0.1", "10.79.0.1"]);
    const apart = network.rules().filter(({ table }) => table === "prohibit");
    expect(apart.map(({ source, destination }) => `${source} ${destination}`)).toEqual([
      "10.78.0.0/24 10.78.0.0/24",
      "10.78.0.0/24 10.79.0.0/24",
      "10.79.0.0/24 10.78.0.0/24",
      "10.79.0.0/24 10.79.0.0/24",
    ]);
    expect(kernel.read("net/ipv6/conf/all/forwarding")).toBe("0");
    await room.apply({ ...INSIDE, reachEachOther: true });
    expect(network.rules().some(({ table }) => table === "prohibit")).toBe(false);
    await room.apply(undefined);
    expect(state()).toEqual(before);
  });

  test("without a packet filter does no NAT, and says what else it means", async () => {
    firewall.replace = () =>
      Promise.reject(new PlatformError("the program nft is missing: install nftables", { code: "ENOENT" }));
    await expect(gateway().apply(INSIDE)).rejects.toThrow(
      "nat: the program nft is missing: install nftables",
    );
    expect(kernel.read("net/ipv4/ip_forward")).toBe("0");
    await gateway().apply({ ...INSIDE, masquerades: false });
    expect(kernel.read("net/ipv4/ip_forward")).toBe("1");
    expect(warnings).toEqual([expect.stringContaining("forwards packets between all of its networks")]);
  });
});

describe("two gateways on one machine", () => {
  const OTHER: InsideNetwork = { ...INSIDE, pools: ["10.78.0.0/24", "fd78::/64"] };
  const IPV4_ONLY: InsideNetwork = { ...INSIDE, pools: ["10.78.0.0/24"] };
  let filters: readonly [MemoryFirewall, MemoryFirewall];
  let before: unknown;

  beforeEach(() => {
    network.addLink("vpn1");
    network.setLinkUp("vpn1");
    const machine = new Set<MemoryFirewall>();
    filters = [new MemoryFirewall(machine), new MemoryFirewall(machine)];
    before = all();
  });

  const first = (): GatewayNetwork => gateway("ikebana0", filters[0]);
  const second = (): GatewayNetwork => gateway("vpn1", filters[1]);
  const all = (): unknown => ({ ...(state() as object), firewall: filters.map(({ rules }) => rules) });
  const forwarding = (): readonly (string | undefined)[] =>
    ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding", "net/ipv6/conf/eth0/accept_ra"].map((name) =>
      kernel.read(name),
    );
  const ON = ["1", "1", "2"];
  const OFF = ["0", "0", "1"];

  /** The process is gone, and its device with it. */
  function kill(link: string): void {
    network.deleteLink(link);
  }

  /** Its next life has a device of the same name. */
  async function startAgain(link: string, life: () => GatewayNetwork, inside: InsideNetwork) {
    network.addLink(link);
    network.setLinkUp(link);
    const next = life();
    await next.clean();
    await next.apply(inside);
    return next;
  }

  test.each(["first", "second"])(
    "both drop what is not for either, and the last puts back: %s ends first",
    async (which) => {
      const rooms = [first(), second()];
      await rooms[0]!.apply(INSIDE);
      await rooms[1]!.apply(OTHER);
      for (const { rules } of filters) expect(rules).toMatchObject({ onlyForGroup: [4, 6] });
      if (which === "second") rooms.reverse();
      await rooms[0]!.remove();
      expect(forwarding()).toEqual(ON);
      await rooms[1]!.remove();
      expect(all()).toEqual(before);
    },
  );

  test("that start at the same time both know what there is to put back", async () => {
    for (const rooms of [
      [first(), second()],
      [second(), first()],
    ] as const) {
      // The one asks the other's filter while that one has said what it will change, and has not changed it yet.
      await Promise.all([rooms[0].apply(INSIDE), rooms[1].apply(OTHER)]);
      expect(forwarding()).toEqual(ON);
      await rooms[0].remove();
      expect(forwarding()).toEqual(ON);
      await rooms[1].remove();
      expect(all()).toEqual(before);
    }
  });

  test("that end at the same time put back everything", async () => {
    const rooms = [first(), second()];
    for (const [i, inside] of [INSIDE, OTHER].entries()) await rooms[i]!.apply(inside);
    await Promise.all(rooms.map((room) => room.remove()));
    expect(all()).toEqual(before);
  });

  test("the one that was killed and comes again takes nothing from the other", async () => {
    await first().apply(INSIDE);
    const other = second();
    await other.apply(OTHER);
    kill("ikebana0");
    const again = await startAgain("ikebana0", first, INSIDE);
    expect(forwarding()).toEqual(ON);
    await again.remove();
    expect(forwarding()).toEqual(ON);
    await other.remove();
    expect(all()).toEqual(before);
  });

  test("one that is killed for good keeps the other from nothing, also one that starts after that", async () => {
    await first().apply(INSIDE);
    kill("ikebana0");
    const other = second();
    await other.clean();
    await other.apply(OTHER);
    expect(filters[1].rules).toMatchObject({ onlyForGroup: [4, 6] });
    await other.remove();
    expect(forwarding()).toEqual(OFF);
    const again = await startAgain("ikebana0", first, INSIDE);
    await again.remove();
    expect(all()).toEqual(before);
  });

  test("what only one of them needs goes with that one", async () => {
    const narrow = second();
    await narrow.apply(IPV4_ONLY);
    const room = first();
    await room.apply(INSIDE);
    expect(forwarding()).toEqual(ON);
    await room.remove();
    expect(forwarding()).toEqual(["1", "0", "1"]);
    await narrow.remove();
    expect(all()).toEqual(before);
  });

  test("a reload of one changes nothing for the other", async () => {
    const room = first();
    await room.apply(INSIDE);
    const other = second();
    await other.apply(OTHER);
    const { write } = kernel;
    kernel.write = () => {
      throw new Error("nobody writes");
    };
    await room.apply({ ...INSIDE, masquerades: false });
    await other.apply(IPV4_ONLY);
    kernel.write = write;
    await room.remove();
    await other.remove();
    expect(all()).toEqual(before);
  });

  test("what somebody else has switched on stays on", async () => {
    kernel.values.set("net/ipv4/ip_forward", "1");
    const [room, other] = [first(), second()];
    await room.apply(INSIDE);
    await other.apply(OTHER);
    for (const { rules } of filters) expect(rules).toMatchObject({ onlyForGroup: [6] });
    await room.remove();
    await other.remove();
    expect(forwarding()).toEqual(["1", "0", "1"]);
  });
});
