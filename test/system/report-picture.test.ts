import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, describe, expect, test } from "vitest";
import { toHtml } from "../../src/bench/tunnel/report/page.ts";
import { wholeRecord } from "../bench/tunnel/whole-record.ts";
import { readPng } from "../support/png.ts";

// The report as a browser shows it.

const BROWSERS = ["chromium-headless-shell", "chromium"];
const browser = BROWSERS.find((name) => spawnSync(name, ["--version"]).status === 0);
if (browser === undefined) {
  const missing = `the report in a browser: needs the package ${BROWSERS[0]}`;
  if (process.env.IKEBANA_REQUIRE_INTEROP === "1") throw new Error(missing);
  console.log(`skipped: ${missing}`);
}

const SCREENS = { phone: { width: 390, height: 1200 }, desktop: { width: 1280, height: 1200 } } as const;
const SCHEMES = { dark: 0, light: 1 } as const;
const HEADLINE_COLOUR = { dark: "#ff6f91", light: "#c8325a" } as const;
const BACKGROUND = { dark: "#16171a", light: "#fbfaf8" } as const;

describe.skipIf(browser === undefined)("the report in a browser", () => {
  const directory = mkdtempSync(join(tmpdir(), "bench-picture-"));
  afterAll(() => rmSync(directory, { recursive: true }));
  const html = toHtml(wholeRecord());

  test.each(["phone", "desktop"] as const)(
    "on a %s nothing sticks out, and every chart has its size",
    async (screen) => {
      const file = join(directory, `probe-${screen}.html`);
      writeFileSync(file, html.replace("</body>", `<script>${PROBE}</script></body>`));
      const { width, height } = SCREENS[screen];
      const dumped = await browse(["--dump-dom", file], { width, height });
      const seen = JSON.parse(/<title>([\s\S]*?)<\/title>/.exec(dumped)![1]!);
      expect(seen.viewport).toBe(width);
      expect(seen.content).toBeLessThanOrEqual(width);
      expect(seen.emptyCharts).toBe(0);
      expect(seen.charts).toBeGreaterThan(100);
      // As many columns as a chart's row has room for.
      expect(seen.barColumns).toBe(screen === "phone" ? 2 : 3);
      expect(seen.smallestText).toBeGreaterThanOrEqual(10);
      expect(seen.overlaps).toEqual([]);
      // The longest median has the longest bar.
      expect(seen.longestBar).toBe("Ikebana, ChaCha20-Poly1305");
    },
  );

  test.each(["light", "dark"] as const)("in %s, it has the colours of that", async (scheme) => {
    const file = join(directory, "report.html");
    writeFileSync(file, html);
    const picture = join(directory, `${scheme}.png`);
    await browse([`--screenshot=${picture}`, file], { ...SCREENS.desktop, scheme });
    keep(picture, scheme);
    const { width, height, at, count } = readPng(readFileSync(picture));
    expect([width, height]).toEqual([SCREENS.desktop.width, SCREENS.desktop.height]);
    expect(at(2, height - 2)).toBe(BACKGROUND[scheme]);
    expect(count(BACKGROUND[scheme]) / (width * height)).toBeGreaterThan(0.4);
    // A bar of ours is there.
    expect(count(HEADLINE_COLOUR[scheme])).toBeGreaterThan(500);
  });

  function browse(
    words: readonly string[],
    {
      width,
      height,
      scheme = "light",
    }: { readonly width: number; readonly height: number; readonly scheme?: keyof typeof SCHEMES },
  ): Promise<string> {
    const child = spawn(
      browser!,
      [
        ...[
          "--headless",
          "--no-sandbox",
          "--disable-gpu",
          "--hide-scrollbars",
          "--force-device-scale-factor=1",
        ],
        ...[`--user-data-dir=${join(directory, "profile")}`, `--window-size=${width},${height}`],
        ...[
          `--blink-settings=preferredColorScheme=${SCHEMES[scheme]}`,
          "--virtual-time-budget=1000",
          ...words,
        ],
      ],
      { stdio: ["ignore", "pipe", "ignore"] },
    );
    return Promise.all([text(child.stdout), once(child, "exit")]).then(([out]) => out);
  }
});

/** For whoever wants to look: a folder in IKEBANA_PICTURES keeps them. */
function keep(picture: string, name: string): void {
  const folder = process.env.IKEBANA_PICTURES;
  if (folder === undefined) return;
  mkdirSync(folder, { recursive: true });
  copyFileSync(picture, join(folder, `report-${name}.png`));
}

/** What the page says of itself, in its title. Text that overlaps text cannot be read. */
const PROBE = `
const all = (selector) => [...document.querySelectorAll(selector)];
const boxes = (elements) => elements.map((each) => each.getBoundingClientRect());
const overlap = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1;
const overlaps = all(".plot").flatMap((plot) => {
  const labels = [...plot.querySelectorAll("span")].filter((each) => each.textContent !== "" && each.offsetParent !== null);
  const places = boxes(labels);
  return places.flatMap((a, i) => places.slice(i + 1).flatMap((b, j) =>
    overlap(a, b) ? [labels[i].textContent + " | " + labels[i + 1 + j].textContent] : []));
});
all("details").forEach((each) => { each.open = true; });
const bars = [...document.querySelector("figure").querySelectorAll(".bar")].filter((each) => !each.querySelector(".gap"));
const widthOf = (bar) => bar.querySelector("rect").getBoundingClientRect().width;
document.title = JSON.stringify({
  viewport: innerWidth,
  content: document.documentElement.scrollWidth,
  charts: all("svg").length,
  emptyCharts: boxes(all("svg")).filter(({ width, height }) => width < 5 || height < 5).length,
  barColumns: getComputedStyle(document.querySelector(".bar")).gridTemplateColumns.split(" ").length,
  smallestText: Math.min(...all("main *").map((each) => parseFloat(getComputedStyle(each).fontSize))),
  overlaps,
  longestBar: bars.sort((a, b) => widthOf(b) - widthOf(a))[0].querySelector(".name").textContent,
});
`;
