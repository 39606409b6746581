import { runNamespaceDemo } from "./namespace-demo.ts";
import type { News } from "./story.ts";

// A process of its own, since it may have to live in a user namespace: it makes the two machines, lets them talk and sends
// what happens to whoever started it. When that one goes away, so does it, and so do they.

/** What the supervisor sends. */
export type SupervisorMessage =
  | { readonly kind: "news"; readonly news: News }
  | { readonly kind: "end" }
  | { readonly kind: "failure"; readonly message: string; readonly code: string };

function send(message: SupervisorMessage): void {
  if (process.connected) process.send?.(message);
}

async function run(): Promise<void> {
  try {
    await runNamespaceDemo((news) => send({ kind: "news", news }));
    send({ kind: "end" });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    send({ kind: "failure", message, code });
  }
  process.disconnect?.();
}

// Ctrl-C reaches the whole process group; who started us decides what it means.
process.on("SIGINT", () => {});
// The machines are told to die with this thread.
process.on("disconnect", () => process.exit());
void run();
