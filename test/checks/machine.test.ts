import { createSocket } from "node:dgram";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  checkClock,
  checkDomain,
  checkFirewall,
  checkPort,
  checkReversePath,
  checkTun,
} from "../../src/checks/machine.ts";

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "ikebana-checks-"));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A folder that says of these sysctls what /proc/sys would. */
function sysctls(name: string, values: Readonly<Record<string, string>>): string {
  const root = join(folder, name);
  for (const [key, value] of Object.entries(values)) {
    mkdirSync(dirname(join(root, key)), { recursive: true });
    writeFileSync(join(root, key), `${value}\n`);
  }
  return root;
}

test("a firewall tool that is missing matters more where it hides clients", () => {
  const path = join(folder, "bin");
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, "nft"), "");
  expect(checkFirewall({ masquerades: true }, `/nonexistent:${path}`).outcome).toBe("ok");
  expect(checkFirewall({ masquerades: true }, "/nonexistent").outcome).toBe("failure");
  expect(checkFirewall({ masquerades: false }, "/nonexistent").outcome).toBe("warning");
});

test("a strict reverse path filter of all devices or new ones is named", () => {
  const strict = sysctls("strict", {
    "net/ipv4/conf/all/rp_filter": "1",
    "net/ipv4/conf/default/rp_filter": "2",
    "net/ipv4/conf/eth0/rp_filter": "1",
  });
  expect(checkReversePath(strict)).toMatchObject({
    outcome: "warning",
    message: "strict reverse path filtering (rp_filter 1) for all, eth0",
  });
  const loose = sysctls("loose", { "net/ipv4/conf/all/rp_filter": "2", "net/ipv4/conf/eth0/rp_filter": "1" });
  expect(checkReversePath(loose).outcome).toBe("ok");
});

describe("a port", () => {
  test("that somebody else has is a failure, unless it is ikebana", async () => {
    const socket = createSocket("udp4");
    await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
    const { port } = socket.address();
    const place = { port, addresses: ["127.0.0.1"] };
    const taken = await checkPort({ ...place, isOurs: false });
    expect(taken).toMatchObject({ check: `port-${port}`, outcome: "failure" });
    expect(taken.message).toContain("in use by another program");
    expect((await checkPort({ ...place, isOurs: true })).outcome).toBe("ok");
    await new Promise<void>((resolve) => socket.close(resolve));
    expect((await checkPort({ ...place, isOurs: false })).outcome).toBe("ok");
  });

  test("at an address that is not here is a failure", async () => {
    const found = await checkPort({ port: 0, addresses: ["192.0.2.1"], isOurs: false });
    expect(found).toMatchObject({ outcome: "failure", message: expect.stringContaining("EADDRNOTAVAIL") });
  });
});

test("a TUN device that is not there, or not to be opened", () => {
  expect(checkTun(join(folder, "tun"))).toMatchObject({
    outcome: "failure",
    message: expect.stringContaining("is missing"),
  });
  writeFileSync(join(folder, "there"), "");
  expect(checkTun(join(folder, "there")).outcome).toBe("ok");
});

test("an address in the place of a domain name", async () => {
  expect(await checkDomain("127.0.0.1")).toMatchObject({
    outcome: "ok",
    message: "127.0.0.1 is this machine",
  });
  expect(await checkDomain("2001:db8::1")).toMatchObject({
    outcome: "warning",
    message: "2001:db8::1 is no address of this machine",
  });
});

test("a domain without an address, one of this machine", async () => {
  expect(await checkDomain("localhost")).toMatchObject({ check: "domain", outcome: "ok" });
  expect(await checkDomain("none.invalid")).toMatchObject({
    outcome: "failure",
    message: "none.invalid has no address",
  });
});

test("a clock in the past", async () => {
  expect(await checkClock(Date.parse("1999-12-31T23:00:00Z"))).toMatchObject({
    outcome: "failure",
    message: expect.stringContaining("1999-12-31 23:00"),
  });
  expect((await checkClock(Date.now())).outcome).not.toBe("failure");
});
