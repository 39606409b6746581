// Loaded into each thread of a daemon before its own code: looks at what its worker threads allocate, through the inspector, which asks a thread
// also while that never comes back to its event loop. With the first SIGUSR2 it begins; with the second it writes what it has seen, as
// JSON, to the file HEAP_PROBE_FILE.

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
  let begun;
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

  process.on("SIGUSR2", async () => {
    if (begun === undefined) {
      begun = Promise.all(
        workers.map(async (worker) => {
          const used = await usedBy(worker);
          await ask(worker, "HeapProfiler.startSampling", SAMPLING);
          return used;
        }),
      );
      await begun;
      answer("begun");
      return;
    }
    const before = await begun;
    begun = undefined;
    const seen = workers.map(async (worker, i) => {
      const grown = (await usedBy(worker)) - before[i];
      const { profile } = await ask(worker, "HeapProfiler.stopSampling");
      return { url: worker.workerInfo.url, grown, sites: sitesOf(profile.head, []) };
    });
    answer(await Promise.all(seen));
  });
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
