import { type ContenderRecord, piecesOf, type TunnelRecord } from "./record.ts";

/**
 * Puts runs of one machine together as one, with the contenders and measures of all: a long run may be done in pieces. Rounds are
 * numbered on, so that figures of different runs are never set against each other as if they were of one round. Throws
 * RangeError without a record, and for records of different machines.
 */
export function mergeRecords(records: readonly TunnelRecord[]): TunnelRecord {
  const [first, ...others] = records;
  if (first === undefined) throw new RangeError("no records");
  for (const { machine } of others) {
    if (machine.cpu === first.machine.cpu && machine.kernel === first.machine.kernel) continue;
    throw new RangeError(`records of different machines: ${first.machine.cpu}, ${machine.cpu}`);
  }
  const contenders = new Map<string, ContenderRecord>();
  let rounds = 0;
  for (const record of records) {
    for (const contender of record.contenders) {
      const samples = contender.samples.map((sample) => ({ ...sample, round: sample.round + rounds }));
      const before = contenders.get(contender.name);
      contenders.set(contender.name, {
        ...contender,
        ...before,
        samples: [...(before?.samples ?? []), ...samples],
      });
    }
    rounds += roundsOf(record);
  }
  const lacking = records.flatMap((record) => record.unavailable ?? []);
  const unavailable = [...new Map(lacking.map((each) => [each.measure, each])).values()];
  const pieces = records.flatMap(piecesOf);
  return {
    ...first,
    command: records.map(({ command }) => command).join("; "),
    settings: {
      ...first.settings,
      measures: [...new Set(records.flatMap(({ settings }) => settings.measures))],
    },
    ...(pieces.length > 1 && { pieces }),
    ...(unavailable.length > 0 && { unavailable }),
    isComplete: records.every(({ isComplete }) => isComplete),
    contenders: [...contenders.values()],
  };
}

/** Numbers that rounds of a record may have. */
function roundsOf(record: TunnelRecord): number {
  return piecesOf(record).reduce((sum, { rounds }) => sum + rounds, 0);
}
