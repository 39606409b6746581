import { formatOctets } from "../cli/quantities.ts";
import { formatRate } from "./rates.ts";
import type { News } from "./story.ts";
import type { Style } from "./style.ts";

const BAR_LENGTH = 30;
const REDRAW_MS = 80;

const LABELS = { ping: "ping", transfer: "transfer" } as const;

/** One line that is drawn again and again while something takes its time; nothing at all where nobody looks. */
export class ProgressLine {
  readonly #write: (text: string) => void;
  readonly #style: Style;
  #isDrawn = false;
  #drawnAt = Number.NEGATIVE_INFINITY;

  constructor(write: (text: string) => void, style: Style) {
    this.#write = write;
    this.#style = style;
  }

  draw({ what, share, octets, ms }: Extract<News, { kind: "progress" }>): void {
    const now = performance.now();
    if (!this.#style.isLive || now < this.#drawnAt + REDRAW_MS) return;
    this.#drawnAt = now;
    this.#isDrawn = true;
    const full = Math.round(share * BAR_LENGTH);
    const [filled, empty] = this.#style.bar;
    const bar = this.#style.good(filled.repeat(full)) + this.#style.dim(empty.repeat(BAR_LENGTH - full));
    const percent = `${Math.round(share * 100)} %`.padStart(5);
    const speed =
      octets === undefined || ms === undefined || ms === 0
        ? ""
        : `  ${formatOctets(octets)}  ${formatRate((octets * 8000) / ms)}`;
    this.#write(`\r\x1b[K   ${LABELS[what].padEnd(10)} ${bar} ${percent}${speed}`);
  }

  /** Wipes the line, so that something else may stand there. */
  clear(): void {
    if (!this.#isDrawn) return;
    this.#isDrawn = false;
    this.#drawnAt = Number.NEGATIVE_INFINITY;
    this.#write("\r\x1b[K");
  }
}
