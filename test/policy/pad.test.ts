import { expect, test } from "vitest";
import type { ConnectionPolicy } from "../../src/policy/connection.ts";
import { parseIdentity } from "../../src/policy/identity.ts";
import { findCandidates, findPadEntry, presharedKeyOf } from "../../src/policy/pad.ts";

const ANYBODY = "anybody";

function connection(
  name: string,
  ends: { readonly local?: string; readonly remote?: string; readonly we?: string; readonly peer?: string },
): ConnectionPolicy {
  const presharedKey = { kind: "psk", key: new TextEncoder().encode(`key of ${name}`) } as const;
  return {
    name,
    start: "respond",
    local: {
      address: ends.local,
      identity: parseIdentity(ends.we ?? "gw.example.org"),
      authentication: presharedKey,
    },
    remote: {
      address: ends.remote,
      port: 500,
      identity: ends.peer === ANYBODY ? undefined : parseIdentity(ends.peer ?? `${name}.example.org`),
      authentication: [presharedKey],
    },
    ikeProposals: [],
    children: [],
  };
}

const here = { localAddress: "192.0.2.1", remoteAddress: "198.51.100.7" };
const names = (connections: readonly ConnectionPolicy[]): string[] => connections.map(({ name }) => name);

test("candidates fit both addresses, the most specific first, then as configured", () => {
  const connections = [
    connection("any", {}),
    connection("local", { local: "192.0.2.1" }),
    connection("elsewhere", { remote: "203.0.113.1" }),
    connection("remote", { remote: "198.51.100.7" }),
    connection("both", { local: "192.0.2.1", remote: "198.51.100.7" }),
    connection("other-local", { local: "192.0.2.2", remote: "198.51.100.7" }),
    connection("any-too", {}),
  ];
  expect(names(findCandidates(connections, here))).toEqual(["both", "remote", "local", "any", "any-too"]);
});

test("the same is answered again for as long as nobody asks the same connections for another address", () => {
  const [ours, theirs] = [[connection("ours", {})], [connection("theirs", {})]];
  const found = findCandidates(ours, here);
  expect(names(findCandidates(theirs, here))).toEqual(["theirs"]);
  expect(findCandidates(ours, here)).toBe(found);
  const elsewhere = { ...here, remoteAddress: "203.0.113.1" };
  expect(names(findCandidates(ours, elsewhere))).toEqual(["ours"]);
  expect(findCandidates(ours, here)).not.toBe(found);
  expect(findCandidates(ours, here)).toEqual(found);
});

test("an IPv6 address fits in any spelling", () => {
  const connections = [connection("six", { remote: "2001:DB8:0:0::1" })];
  const addresses = { localAddress: "2001:db8::2", remoteAddress: "2001:db8::1" };
  expect(names(findCandidates(connections, addresses))).toEqual(["six"]);
  expect(names(findCandidates(connections, here))).toEqual([]);
});

test("identities decide among candidates", () => {
  const candidates = [
    connection("anna", {}),
    connection("bert", {}),
    connection("bert2", { peer: "bert.example.org", we: "gw2" }),
  ];
  const find = (peer: string, requested?: string) =>
    findPadEntry({
      candidates,
      peer: parseIdentity(peer),
      requested: requested === undefined ? undefined : parseIdentity(requested),
      kind: "psk",
    });
  expect(find("BERT.example.org")?.name).toBe("bert");
  expect(find("BERT.example.org", "gw2")?.name).toBe("bert2");
  expect(find("BERT.example.org", "gw3")).toBeUndefined();
  expect(new TextDecoder().decode(presharedKeyOf(find("anna.example.org")))).toBe("key of anna");
});

test("how the peer shows who it is decides as well", () => {
  const logins = {
    ...connection("gateway", { peer: ANYBODY }),
    remote: {
      ...connection("gateway", { peer: ANYBODY }).remote,
      authentication: [{ kind: "eap", server: { begin: () => expect.unreachable() } }],
    },
  } satisfies ConnectionPolicy;
  const candidates = [connection("anna", {}), logins];
  const find = (kind: "psk" | "certificate" | "eap") =>
    findPadEntry({ candidates, peer: parseIdentity("anna.example.org"), requested: undefined, kind })?.name;
  expect([find("psk"), find("eap"), find("certificate")]).toEqual(["anna", "gateway", undefined]);
});

test("a connection without an identity of the peer is for anybody that no earlier one names", () => {
  const candidates = [connection("anna", {}), connection("gateway", { peer: ANYBODY })];
  const nameOf = (peer: string) =>
    findPadEntry({ candidates, peer: parseIdentity(peer), requested: undefined, kind: "psk" })?.name;
  expect([nameOf("anna.example.org"), nameOf("192.168.1.7")]).toEqual(["anna", "gateway"]);
});

test("an unknown peer gets a key of its own, so that the caller does the same work", () => {
  const key = presharedKeyOf(undefined);
  expect(key).toHaveLength(32);
  expect(key.some((octet) => octet !== 0)).toBe(true);
  expect(presharedKeyOf(undefined)).toBe(key);
});
