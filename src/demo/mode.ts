import { closeSync, openSync } from "node:fs";
import { type NamespaceAccess, namespaceAccess } from "../platform/namespaces.ts";
import type { DemoMode } from "./story.ts";

export interface ModeChoice {
  readonly mode: DemoMode;
  /** One sentence, without a full stop. */
  readonly reason: string;
}

/** What this machine allows, found out by trying: the most real of the three modes that works. */
export function chooseMode(): ModeChoice {
  if (process.platform !== "linux") {
    return { mode: "memory", reason: `${process.platform} has no network namespaces` };
  }
  const tunProblem = whyNoTun();
  if (tunProblem !== undefined)
    return { mode: "memory", reason: `no TUN device can be had here: ${tunProblem}` };
  return choiceFor(namespaceAccess());
}

function choiceFor(access: NamespaceAccess): ModeChoice {
  switch (access) {
    case "root":
      return { mode: "root", reason: "this process may make network namespaces" };
    case "user-namespace":
      return { mode: "user", reason: "we are not root, but may make a user namespace of our own" };
    case "none":
      return { mode: "memory", reason: "this machine lets us make neither network nor user namespaces" };
  }
}

function whyNoTun(): string | undefined {
  try {
    closeSync(openSync("/dev/net/tun", "r+"));
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
