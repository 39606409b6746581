import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, describe, expect, test } from "vitest";
import { toHtml } from "../../src/bench/tunnel/report/page.ts";
import { crowdedRecord, wholeRecord } from "../bench/tunnel/whole-record.ts";
import { readPng } from "../support/png.ts";

// The report as a browser shows it.

const BROWSERS = ["chromium-headless-shell", "chromium"];
const browser = BROWSERS.find((name) => spawnSync(name, ["--version"]).status === 0);
if (browser === undefined) {
  const missing = `the report in a browser: needs the package ${BROWSERS[0]}`;
  if (process.env.IKEBANA_REQUIRE_INTEROP === "1") throw new Error(missing);
  console.log(`skipped: ${missing}`);
}

const SCREENS = { phone: { width: 360, height: 1200 }, desktop: { width: 1280, height: 1200 } } as const;
const SCHEMES = { dark: 0, light: 1 } as const;
const HEADLINE_COLOUR = { dark: "#ff6f91", light: "#c8325a" } as const;
const BACKGROUND = { dark: "#16171a", light: "#fbfaf8" } as const;

describe.skipIf(browser === undefined)("the report in a browser", () => {
  const directory = mkdtempSync(join(tmpdir(), "bench-picture-"));
  afterAll(() => rmSync(directory, { recursive: true }));
  const html = toHtml(wholeRecord());
  const crowded = toHtml(crowdedRecord());

  test.each([
    { screen: "phone", scheme: "light", who: "a few", page: html },
    { screen: "desktop", scheme: "dark", who: "a few", page: html },
    { screen: "phone", scheme: "dark", who: "many", page: crowded },
    { screen: "desktop", scheme: "light", who: "many", page: crowded },
  ] as const)(
    "$who contenders on a $screen, in $scheme: nothing sticks out, every chart has its size, and all text can be read",
    async ({ screen, scheme, who, page }) => {
      const file = join(directory, `probe-${screen}-${scheme}.html`);
      writeFileSync(file, page.replace("</body>", `<script>${PROBE}</script></body>`));
      const { width, height } = SCREENS[screen];
      const dumped = await browse(["--dump-dom", file], { width, height, scheme });
      const seen = JSON.parse(/<title>([\s\S]*?)<\/title>/.exec(dumped)![1]!);
      expect(seen.viewport).toBe(width);
      expect(seen.content).toBeLessThanOrEqual(width);
      expect(seen.emptyCharts).toBe(0);
      expect(seen.charts).toBeGreaterThan(100);
      // As many columns as a chart's row has room for.
      expect(seen.barColumns).toBe(screen === "phone" ? 2 : 3);
      expect(seen.smallestText).toBeGreaterThanOrEqual(10);
      expect(seen.overlaps).toEqual([]);
      // WCAG 2.2, success criterion 1.4.3.
      expect(seen.faintest.share, seen.faintest.text).toBeGreaterThanOrEqual(1);
      expect(seen.background).toBe(BACKGROUND[scheme]);
      // The longest median has the longest bar.
      if (who === "a few") expect(seen.longestBar).toBe("Ikebana, ChaCha20-Poly1305");
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
const numbersOf = (colour) => colour.match(/[\\d.]+/g).map(Number);
const luminance = (colour) => {
  const [r, g, b] = numbersOf(colour).slice(0, 3).map((each) => {
    const share = each / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const backgroundOf = (element) => {
  const { backgroundColor } = getComputedStyle(element);
  return numbersOf(backgroundColor)[3] === 0 ? backgroundOf(element.parentElement) : backgroundColor;
};
// Of the contrast that its size asks for, how much a text has.
const contrastOf = (element) => {
  const { color, fontSize, fontWeight } = getComputedStyle(element);
  const [a, b] = [color, backgroundOf(element)].map(luminance);
  const size = parseFloat(fontSize);
  const isLarge = size >= 24 || (size >= 18.66 && Number(fontWeight) >= 700);
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) / (isLarge ? 3 : 4.5);
};
const texts = all("main *").filter((each) => [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== ""));
const faintest = texts.map((each) => ({ share: contrastOf(each), text: each.className + ": " + each.textContent.slice(0, 60) }))
  .sort((a, b) => a.share - b.share)[0];
const hexOf = (colour) => "#" + numbersOf(colour).slice(0, 3).map((each) => each.toString(16).padStart(2, "0")).join("");
document.title = JSON.stringify({
  faintest,
  background: hexOf(getComputedStyle(document.body).backgroundColor),
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
