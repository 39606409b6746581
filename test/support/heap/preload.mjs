// Loaded into each thread of a daemon before its own code: looks at what its worker threads keep and allocate, through the inspector,
// which asks a thread also while that never comes back to its event loop. The first SIGUSR2 weighs the heaps; the second says how much they
// have grown and begins to sample allocations, which itself takes room; the third says what was sampled. The answers are JSON, in the
// file HEAP_PROBE_FILE.

import { renameSync, writeFileSync } from "node:fs";
import { Session } from "node:inspector";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { isMainThread } from "node:worker_threads";

/** A sample for so many octets allocated, on the average. What is collected meanwhile counts. */
const SAMPLING = {
  samplingInterval: 512,
  includeObjectsCollectedByMajorGC: true,
  includeObjectsCollectedByMinorGC: true,
};

setFlagsFromString("--expose-gc");
if (isMainThread) watch();
else globalThis.collectGarbage = runInNewContext("gc");

function watch() {
  const session = new Session();
  session.connect();
  const workers = [];
  const asked = new Map();
  session.on("NodeWorker.attachedToWorker", ({ params }) => workers.push(params));
  session.on("NodeWorker.receivedMessageFromWorker", ({ params }) => {
    const { id, result } = JSON.parse(params.message);
    asked.get(id)?.(result);
  });
  session.post("NodeWorker.enable", { waitForDebuggerOnStart: false });
  const ask = ({ sessionId }, method, params = {}) =>
    new Promise((resolve) => {
      const id = asked.size + 1;
      asked.set(id, resolve);
      const message = JSON.stringify({ id, method, params });
      session.post("NodeWorker.sendMessageToWorker", { sessionId, message });
    });
  const usedBy = async (worker) => {
    // HeapProfiler.collectGarbage would wait for the event loop.
    await ask(worker, "Runtime.evaluate", { expression: "collectGarbage()" });
    return (await ask(worker, "Runtime.getHeapUsage")).usedSize;
  };

  const ofAll = (action) => Promise.all(workers.map(action));
  let before = [];
  const steps = [
    async () => {
      before = await ofAll(usedBy);
      return before;
    },
    async () => {
      const grown = (await ofAll(usedBy)).map((used, i) => used - before[i]);
      await ofAll((worker) => ask(worker, "HeapProfiler.startSampling", SAMPLING));
      return grown;
    },
    () =>
      ofAll(async (worker) => {
        const { profile } = await ask(worker, "HeapProfiler.stopSampling");
        return { url: worker.workerInfo.url, sites: sitesOf(profile.head, []) };
      }),
  ];
  let step = 0;
  process.on("SIGUSR2", async () => answer(await steps[step++ % steps.length]()));
}

/** Functions that allocate, with how many octets and who called them. */
function sitesOf({ callFrame, selfSize, children }, callers) {
  const { functionName, url, lineNumber } = callFrame;
  const name = `${functionName} (${url.split("/").at(-1)}:${lineNumber + 1})`;
  const stack = [name, ...callers];
  const own = selfSize === 0 ? [] : [{ octets: selfSize, stack: stack.slice(0, 4).join(" < ") }];
  return [...own, ...children.flatMap((child) => sitesOf(child, stack))];
}

function answer(value) {
  const file = process.env.HEAP_PROBE_FILE;
  writeFileSync(`${file}.new`, JSON.stringify(value));
  renameSync(`${file}.new`, file);
}
