import { describe, expect, test } from "vitest";
import { LinuxNetwork } from "../../src/platform/network/linux-network.ts";
import { describeFrame } from "../../src/platform/packet-kind.ts";
import { createLinuxSystemCalls } from "../../src/platform/system-calls/linux-system-calls.ts";
import { SeededRandom } from "../support/kernel.ts";
import { requireRoot, type TestHost } from "../support/namespace.ts";
import { openPacketSocket } from "../support/packet-socket.ts";
import { udpPayloadOf, withUdpPayload } from "../support/spoof.ts";
import { requireStrongswan } from "../support/strongswan.ts";
import { openUdpSender } from "../support/udp-sender.ts";
import { untilDown, untilUp, withGateways } from "./gateways.ts";
import { loadSteps } from "./scenario.ts";
import { LEFT_INSIDE, ping, pingBothWays, RIGHT_INSIDE, type Sites } from "./sites.ts";

const WHAT = "hostile datagrams";
const US = "192.0.2.1";

// A forger sits on the wire beside strongSwan. It sends from addresses of its own, and with strongSwan's address and ports.

describe.skipIf(!requireRoot(WHAT) || !requireStrongswan(WHAT))("a daemon with a tunnel under way", () => {
  test("goes on serving through garbage, forgeries and repetitions, counts them and keeps its log short", () => {
    const recorder = new Recorder();
    return withGateways(
      loadSteps("hostile-datagrams"),
      async (gateways) => {
        const { sites, ikebana, strongswan } = gateways;
        await strongswan.initiate("lan");
        await untilUp(gateways);
        expect(await ikebana.client.liveness("office")).toMatchObject({ kind: "alive" });
        expect(await pingBothWays(sites)).toEqual([]);
        const { sa, auth, informational, esp } = recorder.close();
        const recorded = [sa, auth, informational, esp];
        // Beyond the replay window, so that nothing but the integrity check stands in the way.
        const changeable = [sa, auth, informational, fromTheFuture(esp)];
        const linesBefore = ikebana.log.split("\n").length;

        const random = new SeededRandom(17);
        for (const wave of [
          { name: "garbage", send: () => sendGarbage(sites.right, random) },
          { name: "copies", send: () => forge(sites.right, recorded.flatMap(copies)) },
          { name: "cut off", send: () => forge(sites.right, changeable.flatMap(truncated)) },
          { name: "padded", send: () => forge(sites.right, changeable.flatMap(padded)) },
          {
            name: "flipped",
            send: () =>
              forge(
                sites.right,
                changeable.flatMap((frame) => flipped(frame, random)),
              ),
          },
        ]) {
          const [lost] = await Promise.all([pingWhile(sites), wave.send()]);
          expect(lost, `${wave.name}\n${ikebana.log}`).toEqual([[], []]);
        }

        expect(await pingBothWays(sites)).toEqual([]);
        const { ike, dataPlane, connections } = await ikebana.status();
        expect(ike.drops).toMatchObject({ malformed: expect.any(Number), unknownSpi: expect.any(Number) });
        expect(ike.drops).toMatchObject({ forged: expect.any(Number), outsideWindow: expect.any(Number) });
        expect(ike.drops.internalErrors).toBeUndefined();
        expect(dataPlane.drops).toMatchObject({ noSa: expect.any(Number), runt: expect.any(Number) });
        const { inbound } = connections[0]!.ikeSa!.children[0]!;
        expect(inbound.drops).toMatchObject({ replayed: 3 });
        expect(inbound.drops.integrityFailed).toBeGreaterThan(200);
        expect(ikebana.log.split("\n").length - linesBefore, ikebana.log).toBeLessThan(60);
        expect(ikebana.log).not.toContain(" error ");

        expect((await strongswan.terminate({ ike: "ikebana" })).code).toBe(0);
        await untilDown(gateways);
        expect((await strongswan.initiate("lan")).code, ikebana.log).toBe(0);
        await untilUp(gateways);
        expect(await pingBothWays(sites)).toEqual([]);
      },
      (sites) => recorder.open(sites),
    );
  });
});

interface Recorded {
  readonly sa: Uint8Array;
  readonly auth: Uint8Array;
  readonly informational: Uint8Array;
  readonly esp: Uint8Array;
}

/** Keeps one frame of each kind that came from strongSwan. */
class Recorder {
  #stop = (): void => {};
  readonly #seen = new Map<string, Uint8Array>();

  open(sites: Sites): void {
    const capture = sites.watch((frame) => {
      const { kind, source } = describeFrame(frame);
      if (source === US || (kind !== "ike" && kind !== "esp-in-udp")) return;
      const payload = udpPayloadOf(frame);
      const isOn4500 = kind === "ike" && payload.subarray(0, 4).every((octet) => octet === 0);
      const exchange = payload[isOn4500 ? 4 + 18 : 18];
      // Built anew, because the checksum is still open where a virtual link takes frames.
      this.#seen.set(kind === "ike" ? `exchange ${exchange}` : kind, withUdpPayload(frame, payload));
    });
    this.#stop = () => capture.close();
  }

  close(): Recorded {
    this.#stop();
    const frame = (name: string): Uint8Array => {
      const found = this.#seen.get(name);
      if (found === undefined)
        throw new Error(`no ${name} was seen, only ${[...this.#seen.keys()].join(", ")}`);
      return found;
    };
    return {
      sa: frame("exchange 34"),
      auth: frame("exchange 35"),
      informational: frame("exchange 37"),
      esp: frame("esp-in-udp"),
    };
  }
}

async function sendGarbage(host: TestHost, random: SeededRandom): Promise<void> {
  for (const port of [500, 4500]) {
    const sender = openUdpSender(host, "192.0.2.2", { address: US, port });
    const zeros = new Uint8Array(65_507);
    const datagrams = Array.from({ length: 200 }, () => random.octets(random.below(1400)));
    const unknownSpis = Array.from({ length: 100 }, () => {
      const octets = random.octets(120);
      octets[0] = 0xff; // no non-ESP marker
      return octets;
    });
    for (const [at, octets] of [zeros, ...datagrams, ...unknownSpis, zeros].entries()) {
      sender.send(octets);
      if (at % 25 === 24) await breathe();
    }
    sender.close();
  }
}

async function forge(host: TestHost, frames: readonly Uint8Array[]): Promise<void> {
  const socket = host.inside(() => {
    const systemCalls = createLinuxSystemCalls();
    const network = new LinuxNetwork(systemCalls);
    const link = network.linkIndex("wire0")!;
    network.close();
    return openPacketSocket(systemCalls, link);
  });
  for (const [at, frame] of frames.entries()) {
    socket.send(frame);
    if (at % 25 === 24) await breathe();
  }
  socket.close();
}

/** ESP with a sequence number that is far ahead. */
function fromTheFuture(frame: Uint8Array): Uint8Array {
  const payload = udpPayloadOf(frame);
  payload[5] = 1;
  return withUdpPayload(frame, payload);
}

function copies(frame: Uint8Array): readonly Uint8Array[] {
  return [frame, frame, frame];
}

function truncated(frame: Uint8Array): readonly Uint8Array[] {
  const payload = udpPayloadOf(frame);
  return Array.from(payload, (_, length) => withUdpPayload(frame, payload.subarray(0, length)));
}

function padded(frame: Uint8Array): readonly Uint8Array[] {
  const payload = udpPayloadOf(frame);
  return [1, 4, 16, 1000].map((more) =>
    withUdpPayload(frame, Buffer.concat([payload, new Uint8Array(more)])),
  );
}

/** One bit of each octet in turn. */
function flipped(frame: Uint8Array, random: SeededRandom): readonly Uint8Array[] {
  const payload = udpPayloadOf(frame);
  return Array.from(payload, (octet, at) => {
    const forged = payload.slice();
    forged[at] = octet ^ (1 << random.below(8));
    return withUdpPayload(frame, forged);
  });
}

/** Lost pings of a second, there and back. */
function pingWhile({ left, right }: Sites): Promise<readonly (readonly number[])[]> {
  const [there, back] = [LEFT_INSIDE[0], RIGHT_INSIDE[0]];
  return Promise.all([
    ping(left, { from: there, to: back, count: 100 }),
    ping(right, { from: back, to: there, count: 100 }),
  ]);
}

/** Lets the receiver run: it shares the processor with us. */
function breathe(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 15));
}
