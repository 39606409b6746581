import type { Peer } from "./peers.ts";
import { AT_A_TIME, type SetUps, type Tally } from "./set-ups.ts";
import { CHILD } from "./strongswan-daemon.ts";
import { Vici } from "./vici.ts";

/** strongSwan has given up by then. */
const PATIENCE_MS = "20000";
/** Nobody reads what it would tell of its progress. */
const SILENT = "-1";

/** Peers of one strongSwan, each of which is told by a connection of its own what to do: an answer comes when it is done. */
export class StrongswanCrowd implements SetUps {
  readonly #path: string;
  readonly #connections = new Map<string, Vici>();
  readonly #staying: Peer[] = [];

  /** `path`: its control socket. */
  constructor(path: string) {
    this.#path = path;
  }

  async connect(peers: readonly Peer[]): Promise<Tally> {
    const tally = newTally();
    const waiting = [...peers];
    const connectNext = async (): Promise<void> => {
      for (let peer = waiting.pop(); peer !== undefined; peer = waiting.pop()) {
        if (tally.failure !== undefined || !(await this.#setUp(peer, tally))) return;
        this.#staying.push(peer);
      }
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, connectNext));
    return tally;
  }

  async run(peers: readonly Peer[], ms: number): Promise<Tally> {
    const tally = newTally();
    const end = performance.now() + ms;
    const comeAndGo = async (peer: Peer): Promise<void> => {
      while (performance.now() < end && tally.failure === undefined) {
        if ((await this.#setUp(peer, tally)) && (await this.#delete(peer, tally))) tally.count++;
      }
    };
    await Promise.all(peers.map(comeAndGo));
    return tally;
  }

  async disconnect(): Promise<void> {
    for (const peer of this.#staying.splice(0)) await this.#delete(peer, newTally());
  }

  async close(): Promise<void> {
    for (const vici of this.#connections.values()) vici.close();
  }

  async #setUp(peer: Peer, tally: Tally): Promise<boolean> {
    const vici = await this.#connectionOf(peer);
    const startedAt = performance.now();
    const answer = await vici.request("initiate", {
      ike: peer.name,
      child: CHILD,
      timeout: PATIENCE_MS,
      loglevel: SILENT,
    });
    if (!isDone(answer, tally)) return false;
    tally.setUpMs.push(performance.now() - startedAt);
    return true;
  }

  async #delete(peer: Peer, tally: Tally): Promise<boolean> {
    const vici = await this.#connectionOf(peer);
    const answer = await vici.request("terminate", {
      ike: peer.name,
      timeout: PATIENCE_MS,
      loglevel: SILENT,
    });
    return isDone(answer, tally);
  }

  async #connectionOf({ name }: Peer): Promise<Vici> {
    const known = this.#connections.get(name);
    if (known !== undefined) return known;
    const opened = await Vici.open(this.#path);
    this.#connections.set(name, opened);
    return opened;
  }
}

function isDone(answer: ReadonlyMap<string, string>, tally: Tally): boolean {
  if (answer.get("success") === "yes") return true;
  tally.failure ??= answer.get("errmsg") ?? "strongSwan failed and does not say why";
  return false;
}

function newTally(): Tally {
  return { setUpMs: [], count: 0, datagrams: undefined, failure: undefined };
}
