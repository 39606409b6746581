import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ntHash } from "../../src/crypto/nt-hash.ts";
import { changeUsers } from "../../src/users/users-file.ts";
import { CAMPAIGN, printTable, progress } from "../support/campaign.ts";
import { type Crowd, startCrowd } from "../support/crowd/crowd.ts";
import type { CrowdClient } from "../support/crowd/process.ts";
import { type IkebanaDaemon, startIkebana } from "../support/ikebana.ts";
import { requireRoot, type TestHost } from "../support/namespace.ts";
import { type LabCertificates, makeLabCertificates } from "../support/remote-access/lab-certificates.ts";
import { createSegment, type Segment } from "../support/segment.ts";
import { until } from "../support/waiting.ts";

// A gateway with 500 users, a machine full of clients, and one full of people who guess at passwords:
//
//   10.1.0.1 [ gateway ] 192.0.2.1 ---+--- 192.0.2.2 [ clients ] 198.18.0.0/24
//                                     |
//                                     +--- 192.0.2.3 [ guessers ] 198.19.0.0/16
//
// Each host's clients are one engine in one process, with a connection from an address of its own for each of them.

const WHAT = "a gateway with many clients";
const USER_COUNT = 500;
const CLIENT_COUNT = CAMPAIGN ? 200 : 20;
/** Clients of a gateway that is killed, and for how long they may be without it once it is there again. */
const RESUMING_COUNT = CAMPAIGN ? 50 : 10;
const LONGEST_OUTAGE_MS = 3_000;
const GUESS_COUNT = CAMPAIGN ? 10_000 : 100;
/** 0: as fast as they are answered. A machine that is busy takes longer; the goal is for this long all the same. */
const GUESSING_SECONDS = CAMPAIGN ? 60 : 0;
/** Four of each /24, since an address and its neighbours may fail only so often in half a minute. */
const GUESSER_COUNT = CAMPAIGN ? 256 : 16;
const GUESSED_NAMES = CAMPAIGN ? 16 : 4;
/** Of one core. */
const MOST_PROCESSOR = 0.5;
/**
 * Of the log: of each of two kinds that strangers cause a burst of twenty, one in a second, and one in ten seconds that counts the others; and
 * what a login and a logout say.
 */
const linesFor = (seconds: number, logins: number): number => 2 * (21 + 1.1 * seconds) + 5 * logins;

const names = Array.from({ length: USER_COUNT }, (_, i) => `user-${i}`);
/** The first names are those that are guessed at. */
const clients: readonly CrowdClient[] = names.slice(0, CLIENT_COUNT).map((user, i) => ({
  address: `198.18.0.${i + 1}`,
  user,
  password: passwordOf(user),
}));
const guessers: readonly CrowdClient[] = Array.from({ length: GUESSER_COUNT }, (_, i) => ({
  address: `198.19.${i >> 2}.${(i & 3) + 1}`,
  user: names[i % GUESSED_NAMES]!,
  password: "123456",
}));

describe.skipIf(!requireRoot(WHAT))(WHAT, () => {
  let certificates: LabCertificates;
  let segment: Segment;
  let gateway: IkebanaDaemon;
  let startGateway: () => Promise<IkebanaDaemon>;
  let crowd: Crowd;

  beforeAll(async () => {
    certificates = await makeLabCertificates([
      { name: "gateway", altName: "vpn.example.org", purpose: "server", kind: "p256" },
    ]);
    segment = await createSegment(["192.0.2.1/24", "192.0.2.2/24", "192.0.2.3/24"]);
    const [host] = segment.hosts as [TestHost];
    host.run("ip", ["addr", "add", "10.1.0.1/24", "dev", "lo"]);
    host.run("ip", ["route", "add", "198.18.0.0/24", "via", "192.0.2.2"]);
    host.run("ip", ["route", "add", "198.19.0.0/16", "via", "192.0.2.3"]);
    changeUsers(join(certificates.directory, "users.yaml"), (users) => {
      for (const name of names) {
        users.put({
          name,
          ntHash: ntHash(passwordOf(name)),
          isDisabled: false,
          devices: undefined,
          expires: undefined,
        });
      }
    });
    startGateway = () =>
      startIkebana(host, GATEWAY, { directory: certificates.directory, keepDirectory: true });
    gateway = await startGateway();
    crowd = await startCrowd(segment.hosts[1]!, argumentFor("clients", clients));
  });

  afterAll(async () => {
    await crowd?.stop();
    await gateway?.stop("SIGKILL");
    await segment?.close();
    certificates?.remove();
  });

  function argumentFor(directory: string, those: readonly CrowdClient[]) {
    return {
      directory: join(certificates.directory, directory),
      authority: join(certificates.directory, "ca.pem"),
      gateway: { address: "192.0.2.1", domain: "vpn.example.org" },
      inside: ["10.1.0.0/24"],
      clients: those,
    };
  }

  /** No IKE SA, nobody's address, no child SA, whatever was begun. */
  async function expectNobody(): Promise<void> {
    let left = {};
    const isEmpty = async (): Promise<boolean> => {
      const { connections, ike, dataPlane } = await gateway.status();
      const those = connections.flatMap((connection) => connection.clients ?? []);
      left = { clients: those.length, halfOpen: ike.halfOpen, sas: dataPlane.memory.sas.inUse };
      return Object.values(left).every((count) => count === 0);
    };
    await until("nobody is left", isEmpty, { describe: () => JSON.stringify(left) });
  }

  test(`${GUESS_COUNT} wrong passwords: who has the right one comes in, the log stays short, nothing is left`, {
    timeout: 300_000,
  }, async () => {
    const thieves = await startCrowd(segment.hosts[2]!, argumentFor("guessers", guessers));
    try {
      const before = { lines: gateway.log.split("\n").length, processor: processorSeconds(gateway) };
      let isOver = false;
      const guessed = thieves.guess({ count: GUESS_COUNT, seconds: GUESSING_SECONDS }).finally(() => {
        isOver = true;
      });
      // One after the other, each from where it has not been before.
      const logins: { readonly told: string; readonly ms: number }[] = [];
      do {
        const client = logins.length % CLIENT_COUNT;
        const begunAt = performance.now();
        const [told = ""] = await crowd.up([client]);
        logins.push({ told, ms: performance.now() - begunAt });
        await crowd.down([client]);
        await sleep(CAMPAIGN ? 2_000 : 100);
      } while (!isOver);
      const { seconds, told } = await guessed;
      const processor = processorSeconds(gateway) - before.processor;
      const lines = gateway.log.split("\n").length - before.lines;
      const faults = logins.map((login) => login.told).filter((fault) => fault !== "");
      if (CAMPAIGN) {
        printTable([
          {
            guesses: GUESS_COUNT,
            "in seconds": seconds.toFixed(1),
            "in a minute": Math.round((60 * GUESS_COUNT) / seconds),
            "gateway's processor, s": processor.toFixed(1),
            "of a core": (processor / seconds).toFixed(2),
            "for 10,000 in a minute": (processor / GUESSING_SECONDS).toFixed(2),
            "logins tried": logins.length,
            succeeded: logins.length - faults.length,
            "slowest, ms": Math.round(Math.max(...logins.map(({ ms }) => ms))),
            "log lines": lines,
          },
        ]);
        progress(JSON.stringify(told));
      }
      expect(faults).toEqual([]);
      // Each was heard to its end: the password is wrong, or there were too many before it.
      const refused = Object.entries(told).filter(([answer]) => answer.includes("the login failed"));
      expect(
        refused.reduce((sum, [, times]) => sum + times, 0),
        JSON.stringify(told),
      ).toBe(GUESS_COUNT);
      expect(lines, gateway.log).toBeLessThan(linesFor(seconds, logins.length));
      if (CAMPAIGN) expect(processor / GUESSING_SECONDS).toBeLessThan(MOST_PROCESSOR);
      await expectNobody();
    } finally {
      await thieves.stop();
    }
  });

  test(`${CLIENT_COUNT} at once: each has an address of its own and is heard; then all are gone`, {
    timeout: 300_000,
  }, async () => {
    const all = clients.map((_, i) => i);
    const begunAt = performance.now();
    expect((await crowd.up(all)).filter((message) => message !== "")).toEqual([]);
    if (CAMPAIGN) progress(`${CLIENT_COUNT} in after ${Math.round(performance.now() - begunAt)} ms`);
    const addresses = (await crowd.addresses()).flat();
    expect(new Set(addresses).size).toBe(CLIENT_COUNT);
    const { clients: theirs } = await gateway.connection("gateway");
    const given = theirs!.map(({ user, internalAddresses }) => `${user} ${internalAddresses}`);
    expect(given.sort()).toEqual(clients.map(({ user }, i) => `${user} ${addresses[i]}`).sort());
    const pings = addresses.map((address) => `ping -c 1 -W 5 -I ${address} 10.1.0.1`).join("\n");
    const { stdout } = segment.hosts[1]!.run("sh", ["-c", pings]);
    expect(stdout.match(/ 1 received/g)).toHaveLength(CLIENT_COUNT);
    await crowd.down(all);
    await expectNobody();
  });

  test(`a gateway is killed and started again under ${RESUMING_COUNT} clients that ping: all resume their sessions`, {
    timeout: 120_000,
  }, async () => {
    const some = clients.slice(0, RESUMING_COUNT).map((_, i) => i);
    expect((await crowd.up(some)).filter((message) => message !== "")).toEqual([]);
    const addresses = (await crowd.addresses()).flat();
    const pings = addresses.map((address) => `ping -q -i 0.5 -w 100 -I ${address} 10.1.0.1 &`).join("\n");
    const pinging = segment.hosts[1]!.start("sh", ["-c", `trap 'kill $(jobs -p)' TERM\n${pings}\nwait`]);
    try {
      await gateway.stop("SIGKILL");
      gateway = await startGateway();
      const readyAt = performance.now();
      let resumed: readonly number[] = [];
      const isWhole = async (): Promise<boolean> => {
        resumed = await crowd.resumed();
        return resumed.length === RESUMING_COUNT;
      };
      await until("all have resumed", isWhole, { timeoutMs: 60_000, describe: () => `${resumed}` });
      const outageMs = Math.round(performance.now() - readyAt);
      if (CAMPAIGN) {
        progress(`${RESUMING_COUNT} resumed ${outageMs} ms after the gateway was there again`);
        expect(outageMs).toBeLessThan(LONGEST_OUTAGE_MS);
      }
      // Each has the address that it had.
      expect((await crowd.addresses()).flat()).toEqual(addresses);
      await crowd.down(some);
      await expectNobody();
    } finally {
      pinging.kill();
    }
  });
});

function passwordOf(user: string): string {
  return `the password of ${user}`;
}

/** What all its threads have had. A clock tick is a hundredth of a second on Linux, whatever the kernel's own is. */
function processorSeconds({ pid }: IkebanaDaemon): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)!.split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

const GATEWAY = `
socket: ikebana.sock
state: state
gateway:
  domain: vpn.example.org
  certificate: gateway.pem
  key: gateway.key
  auth: eap-mschapv2
  users: users.yaml
  pool: 10.77.0.0/16
  subnets: 10.1.0.0/24
  nat: false
`;
