// Loaded into a daemon before its own code: on each SIGUSR2 the main thread collects its garbage and says how many octets it keeps, buffers
// outside of the heap included, and compiled code left out, of which there is more the longer a program runs. The answer is a number, in the
// file HEAP_SCALES_FILE.

import { renameSync, writeFileSync } from "node:fs";
import { getHeapCodeStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { isMainThread } from "node:worker_threads";

if (isMainThread) {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc");
  process.on("SIGUSR2", async () => {
    collect();
    // What has run out of references tells so behind the turn, and may let go of more.
    await new Promise((resolve) => setImmediate(resolve));
    collect();
    const { heapUsed, external } = process.memoryUsage();
    const { code_and_metadata_size: code, bytecode_and_metadata_size: bytecode } = getHeapCodeStatistics();
    const file = process.env.HEAP_SCALES_FILE;
    writeFileSync(`${file}.new`, String(heapUsed + external - code - bytecode));
    renameSync(`${file}.new`, file);
  });
}
