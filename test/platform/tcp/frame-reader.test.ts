import { expect, test } from "vitest";
import { concat } from "../../../src/bytes/concat.ts";
import { toHex } from "../../../src/bytes/hex.ts";
import { FrameReader } from "../../../src/platform/tcp/frame-reader.ts";
import {
  encodeIkeFrame,
  LONGEST_FRAMED_MESSAGE,
  STREAM_PREFIX,
} from "../../../src/wire/tcp-encapsulation.ts";

const IKE = Uint8Array.from({ length: 40 }, (_, i) => i + 1);
const ESP = [
  Uint8Array.from({ length: 60 }, (_, i) => 0x80 + i),
  Uint8Array.from({ length: 61 }, (_, i) => 0x70 + i),
];
const KEEPALIVE = Uint8Array.of(0, 3, 0xff);
const RUNT = Uint8Array.of(0, 5, 1, 2, 3);

function espFrame(packet: Uint8Array): Uint8Array {
  return concat(Uint8Array.of((packet.length + 2) >>> 8, packet.length + 2), packet);
}

/** What a reader makes of the pieces: kinds and octets, ESP frames singly; and what it says to each piece. */
function read(pieces: readonly Uint8Array[], awaitsPrefix = true) {
  const seen: string[] = [];
  const reader = new FrameReader({
    awaitsPrefix,
    sink: {
      onIke: (message) => seen.push(`ike ${toHex(message)}`),
      onEsp: (frames) => {
        for (let at = 0; at < frames.length; ) {
          const length = (frames[at]! << 8) | frames[at + 1]!;
          seen.push(`esp ${toHex(frames.subarray(at + 2, at + length))}`);
          at += length;
          expect(at).toBeLessThanOrEqual(frames.length);
        }
      },
    },
  });
  const verdicts = pieces.map((piece) => reader.push(piece));
  return { seen, verdicts, reader };
}

const WHOLE = concat(
  STREAM_PREFIX,
  encodeIkeFrame(IKE),
  espFrame(ESP[0]!),
  espFrame(ESP[1]!),
  KEEPALIVE,
  RUNT,
  espFrame(ESP[1]!),
  encodeIkeFrame(IKE),
);
const MEANING = [
  `ike ${toHex(IKE)}`,
  `esp ${toHex(ESP[0]!)}`,
  `esp ${toHex(ESP[1]!)}`,
  `esp ${toHex(ESP[1]!)}`,
  `ike ${toHex(IKE)}`,
];

test("a stream means the same wherever it is cut in two, and octet by octet", () => {
  for (let at = 0; at <= WHOLE.length; at++) {
    const { seen, verdicts } = read([WHOLE.slice(0, at), WHOLE.slice(at)]);
    expect(verdicts).toEqual([true, true]);
    expect(seen).toEqual(MEANING);
  }
  expect(read([...WHOLE].map((octet) => Uint8Array.of(octet))).seen).toEqual(MEANING);
});

test("every cut into three of a stream without a prefix, as the other side sends it, means the same", () => {
  const stream = WHOLE.slice(STREAM_PREFIX.length, STREAM_PREFIX.length + 120);
  const { seen: meaning } = read([stream], false);
  for (let first = 0; first <= stream.length; first++) {
    for (let second = first; second <= stream.length; second++) {
      const pieces = [stream.slice(0, first), stream.slice(first, second), stream.slice(second)];
      expect(read(pieces, false).seen).toEqual(meaning);
    }
  }
});

test("whatever begins otherwise is refused with the first octet that is wrong", () => {
  for (let wrong = 0; wrong < STREAM_PREFIX.length; wrong++) {
    const octets = WHOLE.slice();
    octets[wrong]! ^= 0x20;
    const { seen, verdicts } = read([...octets.slice(0, wrong + 1)].map((octet) => Uint8Array.of(octet)));
    expect(verdicts).toEqual([...Array.from({ length: wrong }, () => true), false]);
    expect(seen).toEqual([]);
  }
  expect(read([new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n")]).verdicts).toEqual([false]);
});

test("lengths of 0 and 1 are beyond repair; what came before them counts", () => {
  for (const length of [0, 1]) {
    const { seen, verdicts } = read([concat(WHOLE, Uint8Array.of(0, length, 9, 9))]);
    expect(verdicts).toEqual([false]);
    expect(seen).toEqual(MEANING);
  }
});

test("the longest frame passes, and an IKE message that fits into none is refused by whoever sends it", () => {
  const longest = new Uint8Array(LONGEST_FRAMED_MESSAGE).fill(7);
  const frame = encodeIkeFrame(longest);
  expect(frame.length).toBe(65_535);
  const { seen } = read([STREAM_PREFIX, frame.slice(0, 60_000), frame.slice(60_000), espFrame(ESP[0]!)]);
  expect(seen).toEqual([`ike ${toHex(longest)}`, `esp ${toHex(ESP[0]!)}`]);
  expect(() => encodeIkeFrame(new Uint8Array(LONGEST_FRAMED_MESSAGE + 1))).toThrow(RangeError);
});

test("long frames octet by octet are the same frames", () => {
  const message = Uint8Array.from(
    { length: LONGEST_FRAMED_MESSAGE },
    (_, i) => Math.imul(i, 2_654_435_761) >>> 24,
  );
  const packet = Uint8Array.from({ length: 65_533 }, (_, i) => 1 + (i % 251));
  const stream = concat(
    STREAM_PREFIX,
    encodeIkeFrame(message),
    espFrame(packet),
    KEEPALIVE,
    encodeIkeFrame(IKE),
  );
  const { seen, verdicts } = read(Array.from(stream, (octet) => Uint8Array.of(octet)));
  expect(seen).toEqual([`ike ${toHex(message)}`, `esp ${toHex(packet)}`, `ike ${toHex(IKE)}`]);
  expect(verdicts.every(Boolean)).toBe(true);
});

test("random octets behind the prefix never throw", () => {
  let state = 1;
  const octet = (): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return state >>> 24;
  };
  for (let run = 0; run < 300; run++) {
    const noise = Uint8Array.from({ length: octet() * 8 }, octet);
    expect(() => read([STREAM_PREFIX, noise.slice(0, noise.length >>> 1), noise])).not.toThrow();
  }
});
