// npm run bench:table: writes bench/results/micro.md, and the README's figures, from the records bench/results/micro-*.json.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { toHeadline, toMarkdown } from "./markdown.ts";
import { readRecord } from "./record.ts";
import { RESULTS } from "./results.ts";

const files = readdirSync(RESULTS)
  .filter((name) => /^micro-.*\.json$/.test(name))
  .sort();
const records = files.map((name) => readRecord(new URL(name, RESULTS)));
const intro = `# Micro bench\n\nMade from ${files.map((name) => `[${name}](${name})`).join(", ")} by \`npm run bench:table\`.`;
writeFileSync(new URL("micro.md", RESULTS), `${intro}\n\n${toMarkdown(records)}\n`);

const readme = new URL("../../README.md", RESULTS);
const [before, , after] = readFileSync(readme, "utf8").split(
  /(?<=<!-- figures -->\n)([\s\S]*)(?=<!-- end of figures -->)/,
);
if (before === undefined || after === undefined)
  throw new TypeError("README.md has no place for the figures");
writeFileSync(readme, `${before}${toHeadline(records)}\n${after}`);
