import { statSync } from "node:fs";
import { resolve } from "node:path";
import { parseDocument, visit } from "yaml";

/** The files that a configuration names, by paths from its folder: every value that is the path of a file. */
export function filesNamedIn(text: string, folder: string): readonly string[] {
  const files = new Set<string>();
  visit(parseDocument(text), {
    Scalar: (place, { value }) => {
      if (place === "key" || typeof value !== "string" || value === "") return;
      const path = resolve(folder, value);
      if (isFile(path)) files.add(path);
    },
  });
  return [...files];
}

/** Passwords and the like are no paths at all. */
function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
