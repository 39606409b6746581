import type { DemoFacts } from "../../src/demo/story.ts";

/** A run in which everything was as it should be. */
export const GOOD_FACTS: DemoFacts = {
  scene: {
    client: { tun: "ikebana0", outerAddress: "192.0.2.2", innerAddresses: ["10.77.2.1", "fd77:2::1"] },
    gateway: { tun: "ikebana0", outerAddress: "192.0.2.1", innerAddresses: ["10.77.1.1", "fd77:1::1"] },
    mtu: 1400,
  },
  negotiation: {
    ms: 12.3,
    ikeMessages: 4,
    ikeProposal: "aes256gcm16-prfsha256-x25519",
    initiatorSpi: "0123456789abcdef",
    responderSpi: "fedcba9876543210",
    clientIdentity: "client.example",
    gatewayIdentity: "gateway.example",
    espProposal: "chacha20poly1305-esn",
    spiToGateway: "0a0a0a0a",
    spiToClient: "0b0b0b0b",
    encapsulationPort: 4500,
    clientSelectors: ["10.77.2.0/24", "fd77:2::/64"],
    gatewaySelectors: ["10.77.1.0/24", "fd77:1::/64"],
  },
  pings: [
    {
      family: 4,
      destination: "10.77.1.1",
      sent: 20,
      received: 20,
      lost: 0,
      rttMs: { min: 0.2, median: 0.3, max: 100.4 },
    },
  ],
  transfer: {
    protocol: "tcp",
    sentOctets: 999_900_000_000,
    receivedOctets: 999_900_000_000,
    ms: 4000,
    bitsPerSecond: 634_000_000,
    sentHash: "ab".repeat(32),
    receivedHash: "ab".repeat(32),
    isIntact: true,
  },
  counters: {
    client: {
      inbound: { packets: 10, octets: 640, drops: {}, events: {} },
      outbound: { packets: 100, octets: 140_000, drops: {}, events: {} },
      drops: {},
    },
    gateway: {
      inbound: { packets: 100, octets: 140_000, drops: {}, events: {} },
      outbound: { packets: 10, octets: 640, drops: {}, events: {} },
      drops: {},
    },
  },
  farewell: { ms: 3.2, clientSas: 0, gatewaySas: 0, pingsAfterwards: { sent: 3, answered: 0 } },
  wire: {
    frames: 120,
    espInUdp: 110,
    espBySpi: { "0a0a0a0a": 100, "0b0b0b0b": 10 },
    ike: 6,
    neighbors: 4,
    other: 0,
    plaintext: 0,
    missed: 0,
    provenByDecoy: true,
  },
};
