import { closeSync, fsyncSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { SPENT_LIMIT, type SpentFamily, type SpentList } from "../ike/resumption/spent-families.ts";
import { replaceFile } from "../platform/state-file.ts";

const FORMAT = "1";
const END = "end";
/** Then the file is written anew, without what is over: a few MB at most. */
const LINE_LIMIT = 2 * SPENT_LIMIT;

/**
 * Where the gateway keeps in mind which tickets are spent: a file that we alone can read, a line for each as it happens. A line is with the
 * kernel when `append` returns, so that it outlives us however we end. It reaches the disk when the kernel likes: after a boot, only a file that was
 * closed in order is known to be whole.
 *
 *   1 BOOT REFUSED-UNTIL
 *   FAMILY BORN-AT UNTIL       hex, milliseconds since 1970
 *   ...
 *   end                        closed in order
 */
export class SpentTicketFile {
  readonly #path: string;
  readonly #boot: string | undefined;
  #file: number | undefined;
  #lines = 0;

  /** `boot`: another one with each boot of the machine; undefined where that cannot be told. */
  constructor(path: string, boot: string | undefined) {
    this.#path = path;
    this.#boot = boot;
  }

  /** All that was ever appended and is not over; undefined where it may not be all, or there is no file. */
  read(wallNow: number): SpentList | undefined {
    const lines = this.#text().split("\n");
    // What is behind the last line's end was never finished, and nothing came of it.
    lines.pop();
    const [format, boot, refusedUntil] = (lines.shift() ?? "").split(" ");
    const isClosed = lines.at(-1) === END;
    if (isClosed) lines.pop();
    const isOfThisBoot = this.#boot !== undefined && boot === this.#boot;
    if (format !== FORMAT || !isTime(refusedUntil) || !(isClosed || isOfThisBoot)) return undefined;
    const families: SpentFamily[] = [];
    for (const line of lines) {
      const [id, bornAt, until, ...more] = line.split(" ");
      if (!isFamily(id) || !isTime(bornAt) || !isTime(until) || more.length > 0) return undefined;
      if (Number(until) > wallNow) families.push({ id, bornAt: Number(bornAt), until: Number(until) });
    }
    return { families, refusedUntil: Number(refusedUntil) };
  }

  /** From now on this is all there is, and others are appended. Throws what the system says. */
  begin({ families, refusedUntil }: SpentList): void {
    this.#release();
    const head = `${FORMAT} ${this.#boot ?? "unknown"} ${refusedUntil}\n`;
    replaceFile(this.#path, `${head}${families.map(lineOf).join("")}`);
    this.#file = openSync(this.#path, "a", 0o600);
    this.#lines = families.length;
  }

  get hasBegun(): boolean {
    return this.#file !== undefined;
  }

  /** False when there are so many lines that it should begin again. Throws what the system says. */
  append(spent: SpentFamily): boolean {
    if (this.#file === undefined) return false;
    const line = lineOf(spent);
    if (writeSync(this.#file, line) !== line.length) throw new Error("a line was not written as a whole");
    return ++this.#lines < LINE_LIMIT;
  }

  /** Where nothing can be kept in mind any more, the next life must not believe that it knows all. */
  remove(): void {
    this.#release();
    rmSync(this.#path, { force: true });
  }

  /** It is on the disk, whole, when this returns. Throws what the system says. */
  close(): void {
    if (this.#file === undefined) return;
    writeSync(this.#file, `${END}\n`);
    fsyncSync(this.#file);
    this.#release();
  }

  #release(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #text(): string {
    try {
      return readFileSync(this.#path, "latin1");
    } catch {
      return "";
    }
  }
}

function lineOf({ id, bornAt, until }: SpentFamily): string {
  return `${id} ${bornAt} ${until}\n`;
}

function isFamily(text: string | undefined): text is string {
  return text !== undefined && /^[0-9a-f]{32}$/.test(text);
}

function isTime(text: string | undefined): text is string {
  return text !== undefined && /^[0-9]{1,15}$/.test(text);
}
