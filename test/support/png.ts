import { inflateSync } from "node:zlib";

/** A picture as rows of pixels. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  /** "#rrggbb". */
  at(x: number, y: number): string;
  /** How many pixels have exactly this colour. */
  count(colour: string): number;
}

const SIGNATURE_LENGTH = 8;
const TRUE_COLOUR = { 2: 3, 6: 4 } as const;

/** Reads a PNG as browsers write it: true colour, 8 bits, not interlaced. */
export function readPng(file: Buffer): Picture {
  let width = 0;
  let height = 0;
  let channels = 0;
  const parts: Buffer[] = [];
  for (let at = SIGNATURE_LENGTH; at < file.length; ) {
    const length = file.readUInt32BE(at);
    const kind = file.toString("latin1", at + 4, at + 8);
    const body = file.subarray(at + 8, at + 8 + length);
    if (kind === "IHDR") {
      [width, height] = [body.readUInt32BE(0), body.readUInt32BE(4)];
      channels = TRUE_COLOUR[body[9] as keyof typeof TRUE_COLOUR];
    }
    if (kind === "IDAT") parts.push(body);
    at += length + 12;
  }
  const pixels = unfilter(inflateSync(Buffer.concat(parts)), width * channels, channels);
  const at = (x: number, y: number): string => {
    const from = (y * width + x) * channels;
    return `#${pixels.toString("hex", from, from + 3)}`;
  };
  const count = (colour: string): number => {
    let found = 0;
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) if (at(x, y) === colour) found++;
    return found;
  };
  return { width, height, at, count };
}

/** Each row begins with how it was made smaller: None, Sub, Up, Average, Paeth. */
function unfilter(rows: Buffer, rowLength: number, pixelLength: number): Buffer {
  const pixels = Buffer.alloc((rows.length / (rowLength + 1)) * rowLength);
  for (let row = 0; row * (rowLength + 1) < rows.length; row++) {
    const filter = rows[row * (rowLength + 1)]!;
    for (let i = 0; i < rowLength; i++) {
      const to = row * rowLength + i;
      const left = i < pixelLength ? 0 : pixels[to - pixelLength]!;
      const up = row === 0 ? 0 : pixels[to - rowLength]!;
      const upLeft = i < pixelLength || row === 0 ? 0 : pixels[to - rowLength - pixelLength]!;
      const guess = [0, left, up, (left + up) >>> 1, paeth(left, up, upLeft)][filter]!;
      pixels[to] = (rows[row * (rowLength + 1) + 1 + i]! + guess) & 0xff;
    }
  }
  return pixels;
}

function paeth(left: number, up: number, upLeft: number): number {
  const estimate = left + up - upLeft;
  const [a, b, c] = [left, up, upLeft].map((each) => Math.abs(estimate - each)) as [number, number, number];
  if (a <= b && a <= c) return left;
  return b <= c ? up : upLeft;
}
