import type { CounterFacts, DemoFacts, MachineCounters, WireFacts } from "./story.ts";

/** What was not as it should be, a sentence each; nothing at all after a good run. */
export function problemsOf(facts: Partial<DemoFacts>): readonly string[] {
  const { negotiation, pings, transfer, counters, farewell, wire } = facts;
  const problems: string[] = [];
  const complain = (isWrong: boolean, sentence: string): void => {
    if (isWrong) problems.push(sentence);
  };

  complain(negotiation === undefined, "nothing was negotiated");
  complain(pings === undefined, "there was no ping");
  for (const { family, sent, lost } of pings ?? []) {
    complain(lost > 0, `${lost} of ${sent} pings over IPv${family} were lost`);
  }
  if (transfer === undefined) problems.push("there was no transfer");
  else {
    complain(transfer.sentOctets === 0, "the transfer moved nothing");
    complain(!transfer.isIntact, "what was received is not what was sent");
  }
  if (counters === undefined) problems.push("the counters were not read");
  else problems.push(...dropsIn(counters));
  if (farewell === undefined) problems.push("the SAs were not deleted");
  else {
    complain(farewell.clientSas + farewell.gatewaySas > 0, "SAs were left after the delete");
    complain(farewell.pingsAfterwards.answered > 0, "a ping was answered after the delete");
  }
  if (wire === undefined) problems.push("nobody watched the wire");
  else problems.push(...problemsOnWire(wire, facts));
  return problems;
}

function problemsOnWire(wire: WireFacts, { negotiation, counters }: Partial<DemoFacts>): readonly string[] {
  const problems: string[] = [];
  if (!wire.provenByDecoy)
    problems.push("the watcher did not see the datagram that was sent in clear on purpose");
  if (wire.espInUdp === 0) problems.push("no ESP was seen on the wire");
  if (wire.plaintext > 0) problems.push(`${wire.plaintext} frames on the wire held plaintext`);
  if (wire.other > 0) problems.push(`${wire.other} frames on the wire were neither ESP in UDP nor IKE`);
  if (negotiation === undefined || counters === undefined) return problems;

  const ours = new Map([
    [negotiation.spiToGateway, counters.client.outbound.packets],
    [negotiation.spiToClient, counters.gateway.outbound.packets],
  ]);
  for (const [spi, seen] of Object.entries(wire.espBySpi)) {
    const sent = ours.get(spi);
    if (sent === undefined) problems.push(`${seen} ESP packets on the wire had the unknown SPI ${spi}`);
    else if (seen > sent) problems.push(`${seen} packets of SPI ${spi} were on the wire, ${sent} were sent`);
  }
  // What the watcher missed it may not count, but nothing may be unaccounted for.
  const sent = [...ours.values()].reduce((sum, packets) => sum + packets, 0);
  const unaccounted = sent - wire.espInUdp - wire.missed;
  if (unaccounted > 0) problems.push(`${unaccounted} ESP packets that were sent were not on the wire`);
  return problems;
}

function dropsIn(counters: CounterFacts): readonly string[] {
  return (["client", "gateway"] as const).flatMap((role) =>
    Object.entries(dropsOf(counters[role]))
      // That is how a queue tells TCP what the tunnel takes, and TCP sends it again.
      .filter(([cause]) => cause !== "shed")
      .map(([cause, count]) => `the ${role} dropped ${count} packets (${cause})`),
  );
}

/** Every drop of a machine, of its SAs and of packets without one, by cause. */
export function dropsOf({ inbound, outbound, drops }: MachineCounters): Readonly<Record<string, number>> {
  const sums: Record<string, number> = {};
  for (const each of [inbound.drops, outbound.drops, drops]) {
    for (const [cause, count] of Object.entries(each)) {
      if (count > 0) sums[cause] = (sums[cause] ?? 0) + count;
    }
  }
  return sums;
}
