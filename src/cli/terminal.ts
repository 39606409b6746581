/** Where a command writes. Tests put a recorder in its place. */
export interface Terminal {
  out(text: string): void;
  error(text: string): void;
  readonly outIsTty: boolean;
  readonly outHasColour: boolean;
  /** From here on it is no reason to end that nobody reads what we write any more. */
  outliveReader(): void;
}

export function processTerminal(): Terminal {
  let endsWithReader = true;
  for (const stream of [process.stdout, process.stderr]) {
    // As in `ikebana logs | head`.
    stream.on("error", () => {
      if (endsWithReader) process.exit(0);
    });
  }
  return {
    out: (text) => void process.stdout.write(text),
    error: (text) => void process.stderr.write(text),
    outIsTty: process.stdout.isTTY === true,
    outHasColour: hasColour(process.stdout),
    outliveReader: () => {
      endsWithReader = false;
    },
  };
}

/** Colour only where somebody looks at it: https://no-color.org. */
function hasColour(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== "dumb";
}
