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

/** Another life on the same machine. */
function gateway(): GatewayNetwork {
  return new GatewayNetwork({
    network,
    link: "ikebana0",
    firewall,
    borrowed: new BorrowedSettings(kernel, new StateFile(join(directory, "settings.json"), isBorrowed)),
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
      isForUsOnly: true,
    });
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
    expect(firewall.rules).toMatchObject({ isForUsOnly: false });
    await room.apply({ ...INSIDE, masquerades: false });
    expect(firewall.rules).toBeUndefined();
    await room.remove();
    expect(Object.fromEntries(kernel.values)).toEqual(before);
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
