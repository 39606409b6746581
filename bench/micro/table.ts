// npm run bench:table: writes bench/results/micro.md from the records bench/results/micro-*.json.

import { readdirSync, writeFileSync } from "node:fs";
import { toMarkdown } from "./markdown.ts";
import { readRecord } from "./record.ts";
import { RESULTS } from "./results.ts";

const files = readdirSync(RESULTS)
  .filter((name) => /^micro-.*\.json$/.test(name))
  .sort();
const records = files.map((name) => readRecord(new URL(name, RESULTS)));
const intro = `# Micro bench\n\nMade from ${files.map((name) => `[${name}](${name})`).join(", ")} by \`npm run bench:table\`.`;
writeFileSync(new URL("micro.md", RESULTS), `${intro}\n\n${toMarkdown(records)}\n`);
