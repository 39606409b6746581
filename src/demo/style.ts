/** How a stream wants to be written to. */
export interface Style {
  /** Somebody looks at it: lines may be drawn again. */
  readonly isLive: boolean;
  bold(text: string): string;
  dim(text: string): string;
  good(text: string): string;
  bad(text: string): string;
  /** Full and empty piece of a progress bar. */
  readonly bar: readonly [string, string];
}

/** Colours and live lines on a terminal only; no colours with NO_COLOR (https://no-color.org); ASCII where the locale is not UTF-8. */
export function styleOf(
  stream: { readonly isTTY?: boolean },
  environment: Readonly<Record<string, string | undefined>>,
): Style {
  const isTty = stream.isTTY === true;
  const isDumb = environment.TERM === "dumb";
  const hasColour = isTty && !isDumb && !environment.NO_COLOR;
  const paint = (code: number) => (text: string) => (hasColour ? `\x1b[${code}m${text}\x1b[0m` : text);
  const locale = environment.LC_ALL || environment.LC_CTYPE || environment.LANG || "";
  return {
    isLive: isTty && !isDumb,
    bold: paint(1),
    dim: paint(2),
    good: paint(32),
    bad: paint(31),
    bar: /utf-?8/i.test(locale) ? ["\u2588", "\u2591"] : ["#", "."],
  };
}
