// npm run bench:micro [-- --only TEXT] [--quick] [--plain] [--out NAME]
//
// Proves that contenders do the same work, lets benny show them, then times them in turn (sampler.ts) and writes the
// record bench/results/micro-nodeNN.json.

import { parseArgs } from "node:util";
import { createSharedMemory, loadKernel } from "../../src/esp/kernel.ts";
import { openNativeCiphers } from "../../src/platform/native-ciphers/native-ciphers.ts";
import { aeadSubjects, OWN_CIPHERS_WORKER, WORKER } from "./aead.ts";
import { codecSubjects } from "./codec.ts";
import { display } from "./display.ts";
import { keyExchangeSubjects } from "./key-exchange.ts";
import { measureLanes } from "./lanes.ts";
import { describeCommit, describeMachine } from "./machine.ts";
import { manySasSubjects } from "./many-sas.ts";
import { toMarkdown } from "./markdown.ts";
import { type MicroRecord, type SubjectRecord, toContenderRecord, writeRecord } from "./record.ts";
import { RESULTS } from "./results.ts";
import { saSetupSubjects } from "./sa-setup.ts";
import { sampleRoundRobin } from "./sampler.ts";
import { measureScaling } from "./scaling.ts";
import type { Subject } from "./subject.ts";

const { values: options } = parseArgs({
  options: {
    /** Subjects whose group or name contains the text. */
    only: { type: "string", default: "" },
    /** Few and short samples: to see that everything works. Writes no record. */
    quick: { type: "boolean", default: false },
    /** Without benny. */
    plain: { type: "boolean", default: false },
    /** Name of the record; a run with --only writes one only when it is named. */
    out: { type: "string" },
  },
});
const sampling = options.quick
  ? { rounds: 3, sliceMs: 2, warmUpMs: 10 }
  : { rounds: 51, sliceMs: 4, warmUpMs: 150 };

const machine = describeMachine();
const commit = describeCommit(RESULTS);
const memory = createSharedMemory();
const lent = openNativeCiphers(memory);
const kernel = loadKernel(memory, WORKER, lent);
const kernels = { buffer: memory.buffer, kernel, lent, own: loadKernel(memory, OWN_CIPHERS_WORKER) };

const records: SubjectRecord[] = [];
for (const subject of allSubjects()) {
  if (isWanted(subject.group, subject.name)) records.push(await time(subject));
}
if (isWanted("Two workers on one memory", "scaling")) {
  const settings = options.quick ? { rounds: 3, sliceMs: 10 } : { rounds: 21, sliceMs: 60 };
  records.push(...(await measureScaling(memory, lent, settings)));
}
if (isWanted("Two tunnels, both ways, on two workers", "lanes")) {
  const settings = options.quick ? { rounds: 3, sliceMs: 10 } : { rounds: 11, sliceMs: 250 };
  records.push(...(await measureLanes(lent, settings)));
}

const record: MicroRecord = {
  bench: "micro",
  date: new Date().toISOString(),
  commit,
  command: ["npm run bench:micro", ...process.argv.slice(2)].join(" "),
  machine,
  subjects: records,
};
console.log(`\n${toMarkdown([record])}`);
const name =
  options.out ?? (options.only === "" ? `micro-node${machine.node.split(".")[0]}.json` : undefined);
if (name !== undefined && !options.quick) {
  writeRecord(new URL(name, RESULTS), record);
  console.log(`\nWritten to bench/results/${name}`);
}

function* allSubjects(): Generator<Subject> {
  yield* aeadSubjects(kernels);
  yield* saSetupSubjects(kernel, memory.buffer);
  yield* manySasSubjects(lent);
  yield* keyExchangeSubjects();
  yield* codecSubjects();
}

function isWanted(...texts: readonly string[]): boolean {
  return texts.some((text) => text.toLowerCase().includes(options.only.toLowerCase()));
}

async function time(subject: Subject): Promise<SubjectRecord> {
  subject.prove();
  if (!options.plain) await display(subject);
  const samples = sampleRoundRobin(subject.contenders, sampling);
  subject.prove();
  const { group, name, operations, octets } = subject;
  return { group, name, operations, octets, contenders: samples.map(toContenderRecord) };
}
