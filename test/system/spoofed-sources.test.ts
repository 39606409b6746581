import { expect, test } from "vitest";
import { LinuxNetwork } from "../../src/platform/network/linux-network.ts";
import { describeFrame } from "../../src/platform/packet-kind.ts";
import { createLinuxSystemCalls } from "../../src/platform/system-calls/linux-system-calls.ts";
import { LEFT_INSIDE, ping, pingBothWays, RIGHT_INSIDE, type Sites } from "../interop/sites.ts";
import { withTwoOfUs } from "../interop/two-of-us.ts";
import type { IkebanaDaemon } from "../support/ikebana.ts";
import { requireRoot } from "../support/namespace.ts";
import { openPacketSocket } from "../support/packet-socket.ts";
import { command } from "../support/routed-tunnel.ts";
import { fromElsewhere } from "../support/spoof.ts";
import { until } from "../support/waiting.ts";

// Somebody on the wire catches what the left gateway sends, and sends it again from an address and a port of his own, where he hears what
// the right gateway says. Each gateway follows a peer whose NAT gives it other ports (test/system/rebinding.test.ts).

const PEER = { address: "192.0.2.1", port: 4500 };
const THIEF = { address: "192.0.2.66", port: 6_666 };
/** Of ESP, as it arrives. */
const WITHHELD = `table inet withheld {
  chain arriving {
    type filter hook prerouting priority -300
    iifname "wire0" ip saddr ${PEER.address} udp dport 4500 drop
  }
}
`;

test.skipIf(!requireRoot("packets from elsewhere"))(
  "copies, forgeries and even packets that have not arrived yet move no peer when they come from elsewhere",
  () =>
    withTwoOfUs(async ({ sites, left, right }) => {
      const log = (): string => `${left.log}\n${right.log}`;
      const wire = watch(sites);
      const remote = async () => {
        const { address, port } = (await right.connection()).ikeSa!.remote;
        return { address, port };
      };
      const expectUnmoved = async (): Promise<void> => {
        expect(await remote(), log()).toEqual(PEER);
        expect(await pingBothWays(sites), log()).toEqual([]);
        expect(wire.toThief.filter((kind) => kind !== "ike")).toEqual([]);
      };
      // So that his frames and those for him find their way.
      const [link] = JSON.parse(command(sites.left, "ip", ["-j", "link", "show", "dev", "wire0"]));
      const neighbor = [THIEF.address, "lladdr", link.address, "dev", "wire0"];
      command(sites.right, "ip", ["neigh", "replace", ...neighbor]);
      try {
        expect(await left.client.liveness("office")).toMatchObject({ kind: "alive" });
        await expectUnmoved();
        const caught = wire.take();
        expect(caught.esp.length).toBeGreaterThan(20);
        expect(caught.ike.length).toBeGreaterThan(0);

        const before = await drops(right);
        wire.send([...caught.ike, ...caught.esp]);
        wire.send([...caught.ike, ...caught.esp.map(newer)].map(forged));
        const { length } = caught.esp;
        await until("all have been refused", async () => {
          const { replayed = 0, integrityFailed = 0 } = await drops(right);
          const [replays, forgeries] = [
            replayed - (before.replayed ?? 0),
            integrityFailed - (before.integrityFailed ?? 0),
          ];
          return replays === length && forgeries === length;
        });
        await expectUnmoved();

        wire.take();
        command(sites.right, "nft", ["-f", "-"], WITHHELD);
        const pings = { from: LEFT_INSIDE[0], to: RIGHT_INSIDE[0], count: 5 };
        expect(await ping(sites.left, pings)).toEqual([1, 2, 3, 4, 5]);
        const withheld = wire.take();
        expect(withheld.esp.length).toBeGreaterThan(0);
        wire.toThief.length = 0;
        wire.send(withheld.esp);
        // They are good, and newer than all that has arrived: the right one asks there, in IKE.
        await until("he is asked", () => wire.toThief.includes("ike"), { describe: log });
        expect(await remote(), log()).toEqual(PEER);
        command(sites.right, "nft", ["delete", "table", "inet", "withheld"]);
        await expectUnmoved();
      } finally {
        wire.close();
      }
    }),
);

/** What the left gateway sends, and of what kind is what goes to the thief. */
function watch(sites: Sites) {
  const esp: Uint8Array[] = [];
  const ike: Uint8Array[] = [];
  const toThief: string[] = [];
  const capture = sites.watch((frame) => {
    const { kind, source, destination } = describeFrame(frame);
    if (destination === THIEF.address) toThief.push(kind);
    if (source !== PEER.address) return;
    if (kind === "ike") ike.push(frame.slice());
    if (kind === "esp-in-udp") esp.push(frame.slice());
  });
  const socket = sites.left.inside(() => {
    const systemCalls = createLinuxSystemCalls();
    const network = new LinuxNetwork(systemCalls);
    const opened = openPacketSocket(systemCalls, network.linkIndex("wire0")!);
    network.close();
    return opened;
  });
  return {
    toThief,
    /** What was caught since the last time. */
    take: () => {
      capture.poll();
      return { esp: esp.splice(0), ike: ike.splice(0) };
    },
    send: (frames: readonly Uint8Array[]) => {
      for (const frame of frames) socket.send(fromElsewhere(frame, THIEF));
    },
    close: () => {
      capture.close();
      socket.close();
    },
  };
}

async function drops(daemon: IkebanaDaemon): Promise<Readonly<Record<string, number>>> {
  return (await daemon.connection()).ikeSa!.children[0]!.inbound.drops;
}

/** With a sequence number far beyond: nothing but the integrity check stands in the way. */
function newer(frame: Uint8Array): Uint8Array {
  const changed = frame.slice();
  const [HEADERS, SEQUENCE_NUMBER] = [42, 4];
  const view = new DataView(changed.buffer);
  view.setUint32(HEADERS + SEQUENCE_NUMBER, view.getUint32(HEADERS + SEQUENCE_NUMBER) + 100_000);
  return changed;
}

function forged(frame: Uint8Array): Uint8Array {
  const changed = frame.slice();
  changed[changed.length - 1]! ^= 1;
  return changed;
}
