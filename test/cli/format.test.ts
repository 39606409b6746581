import { describe, expect, test } from "vitest";
import { exitCodeOf, exitCodeOfError } from "../../src/cli/exit-code.ts";
import { formatStatus } from "../../src/cli/format-status.ts";
import { formatBitRate, formatCount, formatDuration, formatOctets } from "../../src/cli/quantities.ts";
import type { EngineStatus, IkeSaStatus } from "../../src/engine/status.ts";
import { PlatformError, PolicyError } from "../../src/errors/index.ts";

const IDLE = { calls: 0, packets: 0, octets: 0, batchSizes: [0, 0, 0, 0, 0, 0, 0, 0] };

const STATUS: EngineStatus = {
  version: "0.1.0",
  uptimeMs: 7_400_000,
  tun: { name: "ikebana0", mtu: 1400 },
  listen: ["0.0.0.0:500", "0.0.0.0:4500"],
  connections: [
    {
      name: "office",
      state: "established",
      nextAttemptMs: undefined,
      lastError: undefined,
      ikeSa: {
        role: "initiator",
        initiatorSpi: "7d24a0fc61be9033",
        responderSpi: "02c1d57a9e880f41",
        proposal: "aes256gcm16-prfsha384-x25519",
        local: { identity: "a.example.org", address: "192.0.2.1", port: 4500 },
        remote: { identity: "2001:db8::2", address: "2001:db8::2", port: 4500 },
        pathMtu: 1500,
        mobike: true,
        establishedMs: 724_000,
        negotiationMs: 14.2,
        children: [
          {
            name: "lan",
            inboundSpi: "c0010001",
            outboundSpi: "c8d20f3a",
            proposal: "aes256gcm16",
            local: ["10.1.0.0/16", "fd00::/64"],
            remote: ["10.2.0.0/16"],
            establishedMs: 724_000,
            innerMtu: 1400,
            inbound: { packets: 1204, octets: 1_203_456, drops: { replayed: 3 }, events: {} },
            outbound: { packets: 12, octets: 999, drops: {}, events: {} },
          },
        ],
      },
    },
    {
      name: "branch",
      state: "waiting",
      nextAttemptMs: 12_000,
      lastError: "192.0.2.9 does not answer",
      ikeSa: undefined,
    },
    { name: "depot", state: "trap", nextAttemptMs: undefined, lastError: undefined, ikeSa: undefined },
  ],
  ike: { received: 20, transmitted: 12, halfOpen: 0, drops: { malformed: 3, unknownSpi: 1 } },
  dataPlane: {
    workers: 1,
    aes: "processor",
    chaCha20: "processor",
    drops: { noSa: 12 },
    systemCalls: { tunRead: IDLE, tunWrite: IDLE, udpReceive: IDLE, udpTransmit: IDLE },
    times: { rounds: 0, packets: 0, systemCallsNs: 0, webAssemblyNs: 0, javaScriptNs: 0 },
    memory: {
      sas: { inUse: 2, limit: 32_768 },
      keyTables: { inUse: 1, limit: 256 },
      selectors: { inUse: 2, limit: 65_536 },
      policies: { inUse: 2, limit: 65_536 },
      prefixes: { inUse: 5, limit: 131_072 },
      octets: 84_768,
    },
  },
};

describe("the status for people", () => {
  test("has connections, peers, proposals, selectors, ages, counters and drops", () => {
    expect(formatStatus(STATUS, { colour: false })).toBe(
      `ikebana 0.1.0, running for 2h 3m, ikebana0 with MTU 1400, listening on 0.0.0.0:500, 0.0.0.0:4500

office  established for 12m 4s as initiator
  peer   [2001:db8::2]:4500, path MTU 1500
  local  a.example.org at 192.0.2.1:4500
  IKE    aes256gcm16-prfsha384-x25519, negotiated in 14ms, SPIs 7d24a0fc61be9033 and 02c1d57a9e880f41
  lan    10.1.0.0/16, fd00::/64 <-> 10.2.0.0/16
         aes256gcm16, for 12m 4s, MTU 1400, SPIs in c0010001 out c8d20f3a
         in   1,204 packets  1.2 MB  drops: 3 replayed
         out     12 packets   999 B

branch  waiting, next attempt in 12s
  error  192.0.2.9 does not answer

depot  trap

packets of no SA: 12 noSa
dropped IKE datagrams: 3 malformed, 1 unknownSpi
`,
    );
  });

  test("has rates since an earlier status, for child SAs that were there then", () => {
    const [office] = STATUS.connections;
    const { children } = office!.ikeSa!;
    const rekeyed = { ...children[0]!, name: "new", inboundSpi: "c0010002" };
    const now = withIkeSa({ children: [...children, rekeyed] });
    const before = { inbound: { octets: 1_003_456 }, outbound: { octets: 749 } };
    const earlier = withIkeSa({
      children: children.map((child) => ({
        ...child,
        inbound: { ...child.inbound, ...before.inbound },
        outbound: { ...child.outbound, ...before.outbound },
      })),
    });
    const text = formatStatus(now, {
      colour: false,
      earlier: { ...earlier, uptimeMs: STATUS.uptimeMs - 2_000 },
    });
    expect(text).toContain("in   1,204 packets  1.2 MB  800.0 kbit/s  drops: 3 replayed");
    expect(text).toContain("out     12 packets   999 B    1.0 kbit/s\n");
    expect(text.match(/bit\/s/g)).toHaveLength(2);
    expect(formatStatus(now, { colour: false, earlier: now })).not.toContain("bit/s");
  });

  test("tells how many data workers there are, where there are several", () => {
    const several = { ...STATUS, dataPlane: { ...STATUS.dataPlane, workers: 4 } };
    expect(formatStatus(several, { colour: false }).split("\n")[0]).toMatch(/, 4 data workers$/);
    expect(formatStatus(STATUS, { colour: false })).not.toContain("data workers");
  });

  test("marks algorithms that are weak", () => {
    const weak = { proposal: "aes256-sha1-prfsha1-modp1024", weak: ["sha1", "prfsha1", "modp1024"] };
    const status = withIkeSa({ ...weak });
    expect(formatStatus(status, { colour: false })).toContain(
      "IKE    aes256-sha1-prfsha1-modp1024 (weak: sha1, prfsha1, modp1024), negotiated",
    );
    expect(formatStatus(status, { colour: true })).toContain(
      "\x1b[31m (weak: sha1, prfsha1, modp1024)\x1b[0m",
    );
  });

  function withIkeSa(parts: Partial<IkeSaStatus>): EngineStatus {
    const [office, ...others] = STATUS.connections;
    return { ...STATUS, connections: [{ ...office!, ikeSa: { ...office!.ikeSa!, ...parts } }, ...others] };
  }

  test("lists everybody who is connected to a gateway, with what is weak and what was dropped", () => {
    const anna: IkeSaStatus = {
      ...STATUS.connections[0]!.ikeSa!,
      user: "anna",
      internalAddresses: ["10.77.0.2", "fd77::2"],
      remote: { identity: "192.168.1.5", address: "203.0.113.9", port: 51_234 },
    };
    const berta: IkeSaStatus = {
      ...anna,
      user: "berta",
      client: "windows" as const,
      internalAddresses: ["10.77.0.3"],
      remote: { identity: "192.168.1.5", address: "2001:db8::7", port: 4500 },
      proposal: "aes256-sha1-prfsha1-modp1024",
      weak: ["sha1", "prfsha1", "modp1024"],
      establishedMs: 3_000,
      children: [],
    };
    const gateway = { ...STATUS.connections[2]!, name: "gateway", clients: [berta, anna] };
    const text = formatStatus({ ...STATUS, connections: [gateway] }, { colour: false });
    expect(text.split("\n\n")[1]).toBe(
      `gateway  2 clients
  user   inside              outside             client   since   in      out
  anna   10.77.0.2, fd77::2  203.0.113.9:51234   ?        12m 4s  1.2 MB  999 B  aes256gcm16-prfsha384-x25519, aes256gcm16  drops: 3 replayed
  berta  10.77.0.3           [2001:db8::7]:4500  Windows  3s      0 B     0 B    aes256-sha1-prfsha1-modp1024 (weak: sha1, prfsha1, modp1024)`,
    );
    const pools = [
      { prefix: "10.77.0.0/24", inUse: 2, limit: 253 },
      { prefix: "fd77::/64", inUse: 1, limit: 16_777_214 },
    ];
    expect(
      formatStatus({ ...STATUS, connections: [gateway], pools }, { colour: false }).split("\n\n")[2],
    ).toBe("pool 10.77.0.0/24: 2 of 253 addresses in use\npool fd77::/64: 1 of 16,777,214 addresses in use");
    const nobody = { ...gateway, clients: [] };
    expect(formatStatus({ ...STATUS, connections: [nobody] }, { colour: false })).toContain(
      "gateway  nobody is connected\n",
    );
  });

  test("lets no peer steer the terminal", () => {
    const [office] = STATUS.connections;
    const ikeSa = {
      ...office!.ikeSa!,
      remote: { identity: "\x1b[2J\nroot", address: "192.0.2.2", port: 4500 },
    };
    const text = formatStatus({ ...STATUS, connections: [{ ...office!, ikeSa }] }, { colour: false });
    expect(text).not.toContain("\x1b");
    expect(text).toContain("\\u{1b}[2J\\u{a}root at 192.0.2.2:4500");
  });

  test("is coloured only when asked", () => {
    expect(formatStatus(STATUS, { colour: true })).toContain("\x1b[32mestablished\x1b[0m");
  });
});

test.each([
  [0, "0ms"],
  [999, "999ms"],
  [1000, "1s"],
  [59_999, "59s"],
  [60_000, "1m"],
  [3_725_000, "1h 2m"],
  [86_400_000, "1d"],
  [90_061_000, "1d 1h"],
  [86_405_000, "1d"],
])("%i ms read as %s", (ms, text) => expect(formatDuration(ms)).toBe(text));

test.each([
  [0, "0 B"],
  [999, "999 B"],
  [1000, "1.0 kB"],
  [999_949, "999.9 kB"],
  [999_950, "1.0 MB"],
  [1_234_567_890, "1.2 GB"],
])("%i octets read as %s", (octets, text) => expect(formatOctets(octets)).toBe(text));

test.each([
  [0, "0 bit/s"],
  [999.4, "999 bit/s"],
  [1234, "1.2 kbit/s"],
  [999_949_999, "999.9 Mbit/s"],
  [2_500_000_000, "2.5 Gbit/s"],
])("%i bits in a second read as %s", (rate, text) => expect(formatBitRate(rate)).toBe(text));

test.each([
  [0, "0"],
  [999, "999"],
  [1000, "1,000"],
  [1_234_567, "1,234,567"],
])("%i reads as %s", (count, text) => expect(formatCount(count)).toBe(text));

test.each([
  ["unknown-connection", 1],
  ["not-established", 1],
  ["configuration", 2],
  ["authentication-failed", 4],
  ["certificate", 7],
  ["no-proposal-chosen", 5],
  ["timeout", 6],
  ["permission", 8],
  ["other", 1],
] as const)("a failure for %s ends with %i", (reason, code) => {
  expect(exitCodeOf({ kind: "failed", reason, message: "" })).toBe(code);
});

test.each([
  [new PolicyError("", { code: "CONFIG" }), 2],
  [new PolicyError(""), 1],
  [new PlatformError("", { code: "NOT_RUNNING" }), 3],
  [new PlatformError("", { code: "ETIMEDOUT" }), 6],
  [new PlatformError("", { code: "EPERM" }), 8],
  [new PlatformError("", { code: "EACCES" }), 8],
  [new PlatformError("", { code: "EADDRINUSE" }), 1],
  [new TypeError(""), 1],
])("%o ends with %i", (error, code) => expect(exitCodeOfError(error)).toBe(code));
