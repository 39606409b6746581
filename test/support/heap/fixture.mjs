// A program with a worker that never returns to its event loop, and allocates an object a millisecond.

import { Worker } from "node:worker_threads";

const LOOP = `
const pause = new Int32Array(new SharedArrayBuffer(4));
const last = new Array(10);
function allocateAll() {
  for (let i = 0; i < 10; i++) last[i] = new Array(100).fill(i);
}
for (;;) {
  allocateAll();
  Atomics.wait(pause, 0, 0, 1);
}
`;

new Worker(LOOP, { eval: true }).on("online", () => console.log("online"));
