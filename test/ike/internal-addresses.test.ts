import { describe, expect, test } from "vitest";
import type { AddressSource } from "../../src/ike/machine.ts";
import { formatTrafficSelectors } from "../../src/policy/traffic-selectors.ts";
import { AddressPools } from "../../src/pool/address-pools.ts";
import { expectClean, expectEstablished, expectSettled } from "../support/simulator/expectations.ts";
import {
  childPolicy,
  initiatorPolicy,
  type Pair,
  pair,
  responderPolicy,
} from "../support/simulator/index.ts";

const GIVES = { dns: ["10.2.0.53"], subnets: ["10.2.0.0/16"], domains: [] };
const ANYWHERE = ["0.0.0.0/0", "::/0"];

function sourceOf(pools: AddressPools): AddressSource {
  return {
    assign: ({ user, device, wanted }) => pools.assign({ user, device }, wanted),
    release: (lease) => pools.release(lease),
  };
}

interface AddressPair extends Pair {
  readonly pools: AddressPools;
}

/** A client that wants an address, and a gateway with one pool of each family. */
function addressPair(
  seed: number,
  options: { readonly asks?: boolean; readonly prefixes?: readonly string[] } = {},
): AddressPair {
  const { asks = true, prefixes = ["10.77.0.0/24", "fd77::/64"] } = options;
  const pools = new AddressPools({ prefixes });
  const all = pair({ seed, addresses: sourceOf(pools) });
  all.initiator.endpoint.replaceConnections([
    {
      ...initiatorPolicy({ children: [childPolicy({ local: ANYWHERE, remote: ANYWHERE })] }),
      ...(asks && { asks: { ipv4: true, ipv6: true } }),
    },
  ]);
  all.responder.endpoint.replaceConnections([
    {
      ...responderPolicy({ children: [childPolicy({ local: ANYWHERE, remote: prefixes })] }),
      gives: GIVES,
    },
  ]);
  return { ...all, pools };
}

function selectorsOf({ installed }: Pair["initiator"]) {
  return [...installed.values()].map(({ local, remote }) => [
    formatTrafficSelectors(local),
    formatTrafficSelectors(remote),
  ]);
}

describe("addresses within the gateway's network", () => {
  test("are given to a client that asks, with what goes with them, and its traffic is from there alone", () => {
    const all = addressPair(1);
    const { initiator, responder, link, pools } = all;
    initiator.connect();
    link.deliverAll();
    expectEstablished(initiator, responder);
    const [ipv4, ipv6] = initiator.configurations.get("tunnel")!.addresses;
    expect([ipv4, ipv6]).toEqual(["10.77.0.2", "fd77::2"]);
    expect(initiator.configurations.get("tunnel")).toMatchObject(GIVES);
    expect(selectorsOf(initiator)).toEqual([[`${ipv4}/32, ${ipv6}/128`, "0.0.0.0/0, ::/0"]]);
    expect(responder.ikeSas[0]!.internalAddresses).toEqual([ipv4, ipv6]);
    expect(pools.leaseCount).toBe(1);
  });

  test("stay when the child SA and the IKE SA are rekeyed, and come back to the pool with the end", () => {
    const all = addressPair(2);
    const { initiator, responder, link, pools } = all;
    initiator.connect();
    link.deliverAll();
    const before = selectorsOf(initiator);
    for (const machine of [initiator, responder]) {
      for (const what of ["children", "ike"] as const) {
        machine.rekey(what);
        link.deliverAll();
        expect(pools.leaseCount).toBe(1);
        expect(selectorsOf(initiator)).toEqual(before);
        expect(initiator.configurations.size).toBe(1);
      }
    }
    expectSettled(all);
    initiator.disconnect();
    link.deliverAll();
    expect([pools.leaseCount, initiator.configurations.size]).toEqual([0, 0]);
    link.run({ until: link.now + 200_000 });
    expectClean(initiator, responder);
  });

  test("come back to the pool of a gateway whose client is gone without a word", () => {
    const { initiator, link, pools } = addressPair(3);
    initiator.connect();
    link.deliverAll();
    link.fate = () => [];
    link.run({ until: link.now + 400_000 });
    expect(pools.leaseCount).toBe(0);
    expect(initiator.configurations.size).toBe(0);
  });

  test("that are used up leave an IKE SA without a child", () => {
    const { initiator, responder, link, pools } = addressPair(4, { prefixes: ["10.77.0.0/29"] });
    let taken = 0;
    const family = { ipv4: true, ipv6: false };
    while (typeof pools.assign({ user: `user ${taken}`, device: "" }, family) !== "string") taken++;
    expect(taken).toBeGreaterThan(2);
    initiator.connect();
    link.deliverAll();
    expect(responder.event("child-sa-failed")!.facts.reason).toBe("INTERNAL_ADDRESS_FAILURE");
    expect(responder.installed.size).toBe(0);
    expect(pools.leaseCount).toBe(taken);
  });

  test("are a must: whoever asks for none gets no child SA, neither now nor later", () => {
    const { initiator, responder, link, pools } = addressPair(5, { asks: false });
    initiator.connect();
    link.deliverAll();
    expect(initiator.event("child-sa-failed")!.facts.reason).toBe("FAILED_CP_REQUIRED");
    initiator.connect();
    link.deliverAll();
    expect(responder.installed.size).toBe(0);
    expect(responder.events.findLast(({ name }) => name === "child-sa-failed")!.facts.reason).toBe(
      "TS_UNACCEPTABLE",
    );
    expect(pools.leaseCount).toBe(0);
  });

  test("that a gateway without pools does not give end the client's attempt in words", () => {
    const { initiator, responder, link } = addressPair(6);
    responder.endpoint.replaceConnections([
      responderPolicy({ children: [childPolicy({ local: ANYWHERE, remote: ["10.77.0.0/24"] })] }),
    ]);
    initiator.connect();
    link.deliverAll();
    expect(initiator.event("ike-sa-deleted")!.message).toContain("gives us no address");
    link.run({ until: link.now + 200_000 });
    expectClean(initiator, responder);
  });
});
