// The process of those who connect, in the client's network namespace, or of who tells another program to. What it is to do comes in a file, what came of it goes to standard output.

import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { residentMiB } from "../tunnel/memory.ts";
import { Crowd } from "./crowd.ts";
import type { GroupName } from "./groups.ts";
import { type Peer, peersOf } from "./peers.ts";
import { processSeconds } from "./process-time.ts";
import type { SetUps, Tally } from "./set-ups.ts";
import { StrongswanCrowd } from "./strongswan-crowd.ts";

export interface InitiatorOrder {
  readonly group: GroupName;
  readonly psk: string;
  /** How many peers come and go side by side in the second phase. In the first it is one. */
  readonly peers: number;
  /** How many others are connected all the while. */
  readonly connected: number;
  readonly warmUpMs: number;
  readonly phaseMs: number;
  /** Of the responder's process: what it takes is read before and after. */
  readonly responderPid: number;
  /** The strongSwan that connects, if it is not us: its process, and its control socket. */
  readonly daemon?: { readonly pid: number; readonly vici: string };
}

export interface InitiatorReport {
  /** Before the phases, where there are any who stay: they are connected, and nobody does anything. */
  readonly idle?: {
    readonly residentMiB: number;
    readonly seconds: number;
    readonly responderSeconds: number;
  };
  readonly alone: PhaseReport;
  readonly together: PhaseReport;
  /** Of the responder, afterwards. */
  readonly responderMiB: number;
}

export interface PhaseReport {
  readonly count: number;
  readonly seconds: number;
  /** From the first IKE_SA_INIT to the child SA. */
  readonly setUpMs: readonly number[];
  readonly responderSeconds: number;
  readonly initiatorSeconds: number;
  /** Datagrams that the initiator sent; undefined where nobody counts them. */
  readonly datagrams?: number;
}

async function run(order: InitiatorOrder): Promise<InitiatorReport> {
  const all = peersOf(order.peers + order.connected);
  const peers = all.slice(0, order.peers);
  const crowd: SetUps =
    order.daemon === undefined
      ? await Crowd.open({ ...order, peers: all })
      : new StrongswanCrowd(order.daemon.vici);
  try {
    check(await crowd.connect(all.slice(order.peers)));
    const idle = order.connected === 0 ? undefined : await rest(order);
    check(await crowd.run(peers, order.warmUpMs));
    const alone = await phase(crowd, peers.slice(0, 1), order);
    const together = await phase(crowd, peers, order);
    const responderMiB = residentMiB([order.responderPid]);
    await crowd.disconnect();
    return { alone, together, responderMiB, ...(idle && { idle }) };
  } finally {
    await crowd.close();
  }
}

async function rest({
  phaseMs,
  responderPid,
}: InitiatorOrder): Promise<NonNullable<InitiatorReport["idle"]>> {
  await sleep(SETTLE_MS);
  const [startedAt, before] = [performance.now(), processSeconds(responderPid)];
  await sleep(phaseMs);
  return {
    residentMiB: residentMiB([responderPid]),
    seconds: (performance.now() - startedAt) / 1000,
    responderSeconds: processSeconds(responderPid) - before,
  };
}

/** A responder of ours probes the paths of new IKE SAs within a second and a half. */
const SETTLE_MS = 2_000;

async function phase(
  crowd: SetUps,
  peers: readonly Peer[],
  { phaseMs, responderPid, daemon }: InitiatorOrder,
): Promise<PhaseReport> {
  const initiatorPid = daemon?.pid ?? process.pid;
  const [startedAt, responder, initiator] = [
    performance.now(),
    processSeconds(responderPid),
    processSeconds(initiatorPid),
  ];
  const tally = check(await crowd.run(peers, phaseMs));
  return {
    count: tally.count,
    seconds: (performance.now() - startedAt) / 1000,
    setUpMs: tally.setUpMs,
    responderSeconds: processSeconds(responderPid) - responder,
    initiatorSeconds: processSeconds(initiatorPid) - initiator,
    ...(tally.datagrams !== undefined && { datagrams: tally.datagrams }),
  };
}

function check(tally: Tally): Tally {
  if (tally.failure !== undefined) throw new Error(tally.failure);
  return tally;
}

const order = JSON.parse(readFileSync(process.argv[2]!, "utf8")) as InitiatorOrder;
try {
  process.stdout.write(`${JSON.stringify(await run(order))}\n`);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
