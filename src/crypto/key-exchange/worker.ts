import { parentPort } from "node:worker_threads";
import { wipe } from "../../bytes/wipe.ts";
import type { GroupSecret } from "./group.ts";
import { type GroupAnswer, type GroupJob, perform } from "./group-job.ts";

// Slow key exchange jobs, one at a time, on a thread of their own.

parentPort?.on("message", (job: GroupJob) => {
  const answer = perform(job);
  if (job.kind === "agree" && job.secret instanceof Uint8Array) wipe(job.secret);
  parentPort?.postMessage(answer, secretBuffers(answer));
});

/** Secrets move to the other thread; no copy stays behind. */
function secretBuffers(answer: GroupAnswer): ArrayBuffer[] {
  const secret = secretOf(answer);
  return secret instanceof Uint8Array ? [secret.buffer as ArrayBuffer] : [];
}

function secretOf(answer: GroupAnswer): GroupSecret | undefined {
  switch (answer.kind) {
    case "agreed":
    case "responded":
      return answer.sharedSecret;
    case "generated":
      return answer.secret;
    case "failed":
      return undefined;
  }
}
