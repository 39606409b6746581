import { afterEach, expect, test } from "vitest";
import type { SocketAddress } from "../../src/platform/address.ts";
import type { WireDatagram } from "../../src/platform/udp/memory-udp.ts";
import { type MemoryPeer, pairOfEngines } from "../support/engines.ts";
import { innerPacket } from "../support/inner-packets.ts";

let peers: readonly MemoryPeer[] = [];

afterEach(async () => {
  await Promise.all(peers.map(({ engine }) => engine.stop()));
  peers = [];
});

/** A client and a gateway with a tunnel, where `nat` says under which address the gateway sees the client. */
async function connected(isMobile: boolean) {
  const { client, gateway, wire } = await pairOfEngines({
    clientPolicy: { isMobile },
    gatewayPolicy: { isMobile },
  });
  peers = [client, gateway];
  let outside: SocketAddress = { address: "192.0.2.1", port: 4500 };
  const isSame = (a: SocketAddress, b: SocketAddress): boolean =>
    a.address === b.address && a.port === b.port;
  wire.filter = (datagram) => {
    if (datagram.from.port !== 4500 && datagram.to.port !== 4500) return [datagram];
    if (datagram.from.address === "192.0.2.1") return [{ ...datagram, from: outside }];
    return isSame(datagram.to, outside) ? [{ ...datagram, to: { address: "192.0.2.1", port: 4500 } }] : [];
  };
  await client.engine.up("site");
  const remote = () => {
    const { address, port } = gateway.engine.status().connections[0]!.ikeSa!.remote;
    return { address, port };
  };
  const rebind = (to: SocketAddress): void => {
    outside = to;
  };
  return { client, gateway, wire, remote, rebind };
}

function packet(from: string, to: string): Uint8Array {
  return innerPacket({ source: from, destination: to, payload: new Uint8Array(64) });
}

test.each([true, false])(
  "a NAT that changes its mind is noticed by the next ESP packet, and everything goes there (MOBIKE: %s)",
  async (isMobile) => {
    const { client, gateway, remote, rebind } = await connected(isMobile);
    expect(client.engine.status().connections[0]!.ikeSa!.mobike).toBe(isMobile);
    rebind({ address: "198.51.100.9", port: 31_000 });
    client.tun.inject(packet("10.1.0.1", "10.2.0.1"));
    await gateway.nextPacket();
    await gateway.settle();
    expect(remote()).toEqual({ address: "198.51.100.9", port: 31_000 });
    const back = packet("10.2.0.1", "10.1.0.1");
    gateway.tun.inject(back);
    expect(await client.nextPacket()).toEqual(back);
  },
);

test("a packet that somebody caught and sends from elsewhere moves nobody: whoever is there answers nothing", async () => {
  const { client, gateway, wire, remote } = await connected(true);
  const nat = wire.filter!;
  const thief = { address: "203.0.113.66", port: 6_666 };
  const toThief: WireDatagram[] = [];
  let caught = 0;
  wire.filter = (datagram) => {
    if (datagram.to.address === thief.address) toThief.push(datagram);
    const isEsp = datagram.octets.subarray(0, 4).some((octet) => octet !== 0);
    if (datagram.from.address !== "192.0.2.1" || !isEsp || caught++ > 0) return nat(datagram);
    return [{ ...datagram, from: thief }];
  };
  client.tun.inject(packet("10.1.0.1", "10.2.0.1"));
  await gateway.nextPacket();
  await gateway.settle();
  expect(remote()).toEqual({ address: "192.0.2.1", port: 4500 });
  // It was asked, in IKE, and gets nothing of what is inside the tunnel.
  expect(toThief.length).toBeGreaterThan(0);
  const back = packet("10.2.0.1", "10.1.0.1");
  gateway.tun.inject(back);
  expect(await client.nextPacket()).toEqual(back);
  expect(toThief.every(({ octets }) => octets.subarray(0, 4).every((octet) => octet === 0))).toBe(true);
});
