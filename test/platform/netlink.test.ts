import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PlatformError } from "../../src/errors/index.ts";
import { LinuxNetwork } from "../../src/platform/network/linux-network.ts";
import { decodeAddress } from "../../src/platform/network/netlink/address.ts";
import {
  NLM_F_ACK_TLVS,
  NLM_F_DUMP_INTR,
  NLMSG_DONE,
  NLMSG_ERROR,
  RTM_NEWLINK,
} from "../../src/platform/network/netlink/constants.ts";
import { decodeLink } from "../../src/platform/network/netlink/link.ts";
import {
  attribute,
  decodeAttributes,
  decodeMessages,
  encodeMessage,
  readU32,
} from "../../src/platform/network/netlink/message.ts";
import { decodeRouteChoice, decodeRoutes } from "../../src/platform/network/netlink/route.ts";
import { decodeRule } from "../../src/platform/network/netlink/rule.ts";
import { Errno } from "../../src/platform/system-calls/errno.ts";
import { type Answer, FaultySystemCalls } from "../support/faulty-system-calls.ts";

/** Puts a message into the room that recv() is given. */
function answer(message: {
  readonly type: number;
  readonly body: Uint8Array;
  readonly flags?: number;
  readonly sequence?: number;
}): Answer {
  return (_: number, room: Uint8Array) => {
    const octets = encodeMessage({ flags: 0, sequence: 1, ...message });
    room.set(octets);
    return octets.length;
  };
}

function errno(number: number): Uint8Array {
  return new Uint8Array(new Int32Array([-number]).buffer);
}

function linkBody(name: string): Uint8Array {
  return Buffer.concat([new Uint8Array(16), attribute(3, name), attribute(4, 1400)]);
}

/** A network whose kernel answers as planned. */
function network(...recv: Answer[]) {
  const faulty = new FaultySystemCalls({ buffer: new SharedArrayBuffer(64) }, { socket: [3], recv });
  return { network: new LinuxNetwork(faulty.systemCalls), faulty };
}

describe("netlink", () => {
  test("passes on what the kernel says in words", () => {
    const words = attribute(1, "Device does not allow it");
    const body = Buffer.concat([errno(Errno.EPERM), new Uint8Array(16), words]);
    const { network: refused } = network(answer({ type: NLMSG_ERROR, flags: NLM_F_ACK_TLVS, body }));
    expect(() => refused.addRule({ family: 4, priority: 1, table: 220 })).toThrow(
      expect.objectContaining({
        code: "EPERM",
        message: "add IPv4 rule priority 1 table 220: EPERM (Device does not allow it)",
      }),
    );
  });

  test("reads over answers to other questions", () => {
    const stale = answer({ type: NLMSG_DONE, sequence: 77, body: errno(0) });
    const link = answer({ type: RTM_NEWLINK, body: linkBody("eth0") });
    const { network: busy } = network(
      stale,
      link,
      -Errno.EINTR,
      answer({ type: NLMSG_DONE, body: errno(0) }),
    );
    expect(busy.links()).toEqual([
      { name: "eth0", index: 0, isUp: false, mtu: 1400, queueLength: 0, group: 0 },
    ]);
  });

  test("lists again when the table changed while it was listed", () => {
    const torn = answer({ type: RTM_NEWLINK, flags: NLM_F_DUMP_INTR, body: linkBody("old0") });
    const { network: busy } = network(
      torn,
      answer({ type: NLMSG_DONE, body: errno(0) }),
      answer({ type: RTM_NEWLINK, sequence: 2, body: linkBody("new0") }),
      answer({ type: NLMSG_DONE, sequence: 2, body: errno(0) }),
    );
    expect(busy.links().map(({ name }) => name)).toEqual(["new0"]);
  });

  test("gives up when no answer comes", () => {
    const { network: silent } = network(-Errno.EAGAIN);
    expect(() => silent.links()).toThrow(
      expect.objectContaining({ name: "PlatformError", code: "ETIMEDOUT" }),
    );
  });

  test("reports an error in the middle of a list, and one of the socket", () => {
    const { network: broken } = network(answer({ type: NLMSG_DONE, body: errno(Errno.ENOBUFS) }));
    expect(() => broken.links()).toThrow(expect.objectContaining({ message: "list links: ENOBUFS" }));
    const { network: lost } = network(-Errno.ENOBUFS);
    expect(() => lost.links()).toThrow(expect.objectContaining({ message: "receive from netlink: ENOBUFS" }));
  });

  test("closes its socket", () => {
    const { network: done, faulty } = network(0);
    done.close();
    expect(faulty.of("close")).toEqual([[3]]);
  });

  test("attributes come back as they went", () => {
    const octets = Buffer.concat([attribute(1, 7), attribute(2, "eth0"), attribute(3, [attribute(4, 9)])]);
    const attributes = decodeAttributes(octets);
    expect([...attributes.keys()]).toEqual([1, 2, 3]);
    expect(Buffer.from(attributes.get(2)!).toString()).toBe("eth0\0");
    expect(readU32(decodeAttributes(attributes.get(3)!).get(4))).toBe(9);
  });

  test("whatever arrives is read within its bounds, or refused as a PlatformError", () => {
    const runs = Number(process.env.IKEBANA_FUZZ_RUNS ?? 2000);
    const octets = fc.uint8Array({ maxLength: 256 });
    const readers = [
      decodeMessages,
      decodeAttributes,
      decodeLink,
      decodeAddress,
      decodeRoutes,
      decodeRouteChoice,
      decodeRule,
    ];
    fc.assert(
      fc.property(octets, fc.constantFrom(...readers), (input, read) => {
        try {
          read(input);
        } catch (error) {
          expect(error).toBeInstanceOf(PlatformError);
        }
      }),
      { numRuns: runs },
    );
  });
});
