import { ProgressLine } from "./progress-line.ts";
import type { DemoReport, News, Teller } from "./story.ts";
import type { Style } from "./style.ts";

/** Says everything at the end, as one JSON object. Meanwhile it draws progress for whoever looks at the error output. */
export class JsonTeller implements Teller {
  readonly #write: (text: string) => void;
  readonly #progress: ProgressLine;

  constructor({
    write,
    writeError,
    errorStyle,
  }: {
    readonly write: (text: string) => void;
    readonly writeError: (text: string) => void;
    readonly errorStyle: Style;
  }) {
    this.#write = write;
    this.#progress = new ProgressLine(writeError, errorStyle);
  }

  hear(news: News): void {
    if (news.kind === "progress") this.#progress.draw(news);
    else this.#progress.clear();
  }

  finish(report: DemoReport): void {
    this.#progress.clear();
    this.#write(`${JSON.stringify(report, null, 2)}\n`);
  }

  breakOff(): void {
    this.#progress.clear();
  }
}
