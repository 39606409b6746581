import { formatCount, formatOctets } from "../cli/quantities.ts";
import { ProgressLine } from "./progress-line.ts";
import { formatMs, formatRate } from "./rates.ts";
import type {
  CounterFacts,
  DemoMode,
  DemoReport,
  FarewellFacts,
  MachineCounters,
  MachineFacts,
  NegotiationFacts,
  News,
  PingFacts,
  SceneFacts,
  Teller,
  TransferFacts,
  WireFacts,
} from "./story.ts";
import type { Style } from "./style.ts";
import { dropsOf } from "./verdict.ts";

const LABEL_LENGTH = 11;

type Lengthy = Extract<News, { kind: "progress" }>["what"];

const SETTINGS: Readonly<Record<DemoMode, string>> = {
  root: "two network namespaces of this machine, joined by a veth",
  user: "two network namespaces inside a user namespace, joined by a veth",
  memory: "one process: real IKEv2 and ESP over devices in memory",
};

/** Tells the demo to somebody at a terminal, or to a file: a chapter for each thing found out, 80 columns, plain text where nobody looks. */
export class TerminalTeller implements Teller {
  readonly #write: (text: string) => void;
  readonly #style: Style;
  readonly #progress: ProgressLine;
  readonly #begun = new Set<Lengthy>();
  #chapter = 0;
  #isInMemory = false;

  constructor({
    write,
    style,
    version,
  }: {
    readonly write: (text: string) => void;
    readonly style: Style;
    readonly version: string;
  }) {
    this.#write = write;
    this.#style = style;
    this.#progress = new ProgressLine(write, style);
    this.#line(style.bold(`Ikebana ${version}: an IPsec tunnel in user space, on this machine`));
  }

  hear(news: News): void {
    if (news.kind === "progress") {
      this.#begin(news.what);
      this.#progress.draw(news);
      return;
    }
    this.#progress.clear();
    if (news.kind === "mode") {
      this.#isInMemory = news.mode === "memory";
      this.#line();
      this.#entry("mode", `${news.mode}: ${SETTINGS[news.mode]}`);
      this.#entry("why", news.reason);
      return;
    }
    const { scene, negotiation, pings, transfer, counters, farewell, wire } = news.facts;
    if (scene !== undefined) this.#tellScene(scene);
    if (negotiation !== undefined) this.#tellNegotiation(negotiation);
    if (pings !== undefined) this.#tellPings(pings);
    if (transfer !== undefined) this.#tellTransfer(transfer);
    if (counters !== undefined) this.#tellCounters(counters);
    if (farewell !== undefined) this.#tellFarewell(farewell);
    if (wire !== undefined) this.#tellWire(wire);
  }

  finish({ problems, isGood, ms }: DemoReport): void {
    this.#progress.clear();
    this.#line();
    const seconds = `${(ms / 1000).toFixed(1)} s`;
    if (isGood) {
      this.#line(`${this.#style.good("Everything as it should be")}, in ${seconds}; nothing is left behind.`);
      return;
    }
    this.#line(`${this.#style.bad("Not as it should be")} (${seconds}):`);
    for (const problem of problems) this.#paragraph(`- ${problem}`, "  ");
  }

  breakOff(): void {
    this.#progress.clear();
  }

  #tellScene({ client, gateway, mtu }: SceneFacts): void {
    this.#title("The machines");
    const tell = (name: string, { outerAddress, innerAddresses, tun }: MachineFacts): void =>
      this.#entry(name, `${outerAddress.padEnd(10)} inside ${innerAddresses.join(", ")} on ${tun}`);
    tell("client", client);
    tell("gateway", gateway);
    this.#entry("MTU", `${mtu} octets inside the tunnel`);
  }

  #tellNegotiation(facts: NegotiationFacts): void {
    this.#title("IKEv2, with a pre-shared key made for this run");
    this.#entry("IKE SA", facts.ikeProposal);
    this.#entry("", `SPIs ${facts.initiatorSpi} (client), ${facts.responderSpi} (gateway)`);
    this.#entry("identities", `${facts.clientIdentity}, ${facts.gatewayIdentity}`);
    this.#entry("child SA", `${facts.espProposal}, ESP in UDP on port ${facts.encapsulationPort}`);
    this.#entry("", `SPIs ${facts.spiToGateway} to the gateway, ${facts.spiToClient} to the client`);
    this.#entry("selectors", `client  ${facts.clientSelectors.join(", ")}`);
    this.#entry("", `gateway ${facts.gatewaySelectors.join(", ")}`);
    this.#entry("took", `${formatMs(facts.ms)}, ${facts.ikeMessages} IKE messages`);
  }

  #tellPings(pings: readonly PingFacts[]): void {
    this.#begin("ping");
    for (const { family, destination, sent, received, rttMs } of pings) {
      const answered = `${received} of ${sent} answered`;
      const mark = received === sent ? this.#style.good(answered) : this.#style.bad(answered);
      this.#entry(`IPv${family}`, `${destination.padEnd(10)} ${mark}`);
      if (rttMs === undefined) continue;
      const { min, median, max } = rttMs;
      this.#entry("", `round trip: min ${formatMs(min)}, median ${formatMs(median)}, max ${formatMs(max)}`);
    }
  }

  #tellTransfer(facts: TransferFacts): void {
    this.#begin("transfer");
    const seconds = (facts.ms / 1000).toFixed(2);
    this.#entry(
      "received",
      `${formatOctets(facts.receivedOctets)} in ${seconds} s: ${this.#style.bold(formatRate(facts.bitsPerSecond))}`,
    );
    const hash = `SHA-256 ${facts.receivedHash.slice(0, 16)}...`;
    this.#entry(
      "intact",
      facts.isIntact
        ? this.#style.good(`yes, ${hash} at both ends`)
        : this.#style.bad(`no: sent ${facts.sentHash.slice(0, 16)}..., received ${hash}`),
    );
  }

  #tellCounters({ client, gateway }: CounterFacts): void {
    this.#title("SA counters");
    this.#row("", ["packets out", "octets out", "packets in", "octets in", "dropped"]);
    const tell = (name: string, counters: MachineCounters): void => {
      const drops = dropsOf(counters);
      const dropped = Object.values(drops).reduce((sum, count) => sum + count, 0);
      this.#row(name, [
        formatCount(counters.outbound.packets),
        formatOctets(counters.outbound.octets),
        formatCount(counters.inbound.packets),
        formatOctets(counters.inbound.octets),
        formatCount(dropped),
      ]);
      for (const [cause, count] of Object.entries(drops)) this.#entry("", `dropped ${count}: ${cause}`);
    };
    tell("client", client);
    tell("gateway", gateway);
  }

  #tellFarewell({ ms, clientSas, gatewaySas, pingsAfterwards }: FarewellFacts): void {
    this.#title("Delete");
    const left = clientSas + gatewaySas;
    const state = left === 0 ? "neither side has an SA any more" : `${left} SAs are left`;
    this.#entry("took", `${formatMs(ms)}; ${left === 0 ? state : this.#style.bad(state)}`);
    const { sent, answered } = pingsAfterwards;
    this.#entry("afterwards", `${sent} pings, ${answered} answered: without an SA nothing leaves`);
  }

  #tellWire(wire: WireFacts): void {
    this.#title("What somebody on the wire saw");
    this.#entry("ESP in UDP", formatCount(wire.espInUdp));
    this.#entry("IKE", formatCount(wire.ike));
    this.#entry("neighbors", `${formatCount(wire.neighbors)} (ARP, IPv6 neighbor discovery of the link)`);
    this.#entry("other", this.#tally(wire.other));
    this.#entry("plaintext", this.#tally(wire.plaintext));
    this.#entry("", this.#style.dim("every frame searched for our payload and the inner addresses;"));
    this.#entry(
      "",
      this.#style.dim(
        wire.provenByDecoy
          ? "a datagram sent in clear beforehand, on purpose, was found"
          : "a datagram sent in clear beforehand, on purpose, was NOT found",
      ),
    );
    if (wire.missed > 0)
      this.#entry("missed", `${formatCount(wire.missed)} frames went by too fast to be searched`);
  }

  #tally(count: number): string {
    return count === 0 ? this.#style.good("0") : this.#style.bad(formatCount(count));
  }

  /** The title of what takes a while stands before it, once. */
  #begin(what: Lengthy): void {
    if (this.#begun.has(what)) return;
    this.#begun.add(what);
    if (what === "ping") this.#title("Ping, from TUN to TUN");
    else this.#title(this.#isInMemory ? "Numbered datagrams (in memory there is no TCP)" : "A TCP transfer");
  }

  #title(text: string): void {
    this.#chapter++;
    this.#line();
    this.#line(this.#style.bold(`${this.#chapter}  ${text}`));
  }

  #entry(label: string, text: string): void {
    this.#line(`   ${label.padEnd(LABEL_LENGTH)}${text}`);
  }

  #row(label: string, cells: readonly string[]): void {
    this.#entry(label.padEnd(LABEL_LENGTH - 3), cells.map((cell) => cell.padStart(12)).join(""));
  }

  /** Breaks long sentences at spaces. */
  #paragraph(text: string, indent: string): void {
    let line = "";
    for (const word of text.split(" ")) {
      if (line !== "" && indent.length + line.length + 1 + word.length > 78) {
        this.#line(indent + line);
        line = "  ";
      }
      line += line.trim() === "" ? word : ` ${word}`;
    }
    this.#line(indent + line);
  }

  #line(text = ""): void {
    this.#write(`${text}\n`);
  }
}
