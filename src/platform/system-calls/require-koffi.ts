import { createRequire } from "node:module";
import { PlatformError } from "../../errors/index.ts";

/** Loaded on first use: the package is native code, and much of the program runs without it. */
export function requireKoffi(): typeof import("koffi") {
  try {
    return createRequire(import.meta.url)("koffi") as typeof import("koffi");
  } catch (cause) {
    throw new PlatformError(
      `the package "koffi" does not load here, and without it no packet gets in or out: ${(cause as Error).message}`,
      { cause },
    );
  }
}
