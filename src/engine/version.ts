import { readFileSync } from "node:fs";

/** The version in package.json, which is the nearest one above this file, in the sources and in dist/ alike. */
export function version(): string {
  for (let folder = new URL(".", import.meta.url); ; folder = new URL("..", folder)) {
    const manifest = readManifest(new URL("package.json", folder));
    if (manifest?.name === "ikebana") return manifest.version;
    if (folder.pathname === "/") throw new RangeError("there is no package.json of ikebana above this file");
  }
}

function readManifest(url: URL): { readonly name: string; readonly version: string } | undefined {
  try {
    return JSON.parse(readFileSync(url, "utf8"));
  } catch {
    return undefined;
  }
}
