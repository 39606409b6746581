import { expect, test } from "vitest";
import { WORKER_BASE, WORKER_SEND_SLAB_OFFSET, WORKER_SIZE } from "../../assembly/layout.ts";
import { IkeSpiFilter } from "../../src/esp/ike-spi-filter.ts";
import { createSharedMemory } from "../../src/esp/kernel.ts";
import {
  MAIL_BEYOND,
  MAIL_KNOWN,
  MAIL_NONSENSE,
  MAIL_STRANGER,
  MailTriage,
} from "../../src/esp/mail-triage.ts";
import { ExchangeType, NotifyType } from "../../src/iana/ikev2-parameters.ts";
import { notify } from "../../src/ike/payloads.ts";
import { encodeMessage } from "../../src/wire/message.ts";
import type { Payload } from "../../src/wire/payloads/payload.ts";
import { SeededRandom } from "../support/kernel.ts";

const AT = WORKER_BASE + WORKER_SIZE + WORKER_SEND_SLAB_OFFSET + 4;

class Bed {
  readonly memory = createSharedMemory();
  readonly spis = new IkeSpiFilter(this.memory);
  readonly triage = new MailTriage(this.memory);
  readonly #octets = new Uint8Array(this.memory.buffer);

  sort(octets: Uint8Array, length = octets.length): number {
    this.#octets.set(octets, AT);
    return this.triage.sort(AT, length);
  }

  /** How many of each kind `count` of the datagrams are. */
  tally(octets: Uint8Array, count: number): Record<number, number> {
    const tally: Record<number, number> = {};
    for (let i = 0; i < count; i++) {
      const kind = this.sort(octets);
      tally[kind] = (tally[kind] ?? 0) + 1;
    }
    return tally;
  }
}

function message(
  initiatorSpi: bigint,
  responderSpi: bigint,
  { isInitiator = true, payloads = [] }: { isInitiator?: boolean; payloads?: readonly Payload[] } = {},
): Uint8Array {
  const exchangeType = responderSpi === 0n ? ExchangeType.IKE_SA_INIT : ExchangeType.INFORMATIONAL;
  const header = { initiatorSpi, responderSpi, exchangeType, isInitiator, isResponse: false, messageId: 0 };
  return encodeMessage({ ...header, payloads });
}

const OURS = 0x0123_4567_89ab_cdefn;
const THEIRS = 0xfedc_ba98_7654_3210n;

test("the SPI that is ours decides, whichever of the two it is", () => {
  const bed = new Bed();
  bed.spis.note(OURS, true);
  expect(bed.sort(message(THEIRS, OURS))).toBe(MAIL_KNOWN);
  expect(bed.sort(message(OURS, THEIRS, { isInitiator: false }))).toBe(MAIL_KNOWN);
  expect(bed.sort(message(OURS, THEIRS))).toBe(MAIL_STRANGER);
  expect(bed.sort(message(THEIRS, OURS, { isInitiator: false }))).toBe(MAIL_STRANGER);
  expect(bed.sort(message(OURS, 0n))).toBe(MAIL_STRANGER);
  bed.spis.note(OURS, false);
  expect(bed.sort(message(THEIRS, OURS))).toBe(MAIL_STRANGER);
});

test("one SPI brings so many datagrams in a burst and no more, and takes nothing from others", () => {
  const bed = new Bed();
  const other = OURS + 1n;
  bed.spis.note(OURS, true);
  bed.spis.note(other, true);
  bed.triage.refill(1_000);
  expect(bed.tally(message(THEIRS, OURS), 1_000)).toEqual({ [MAIL_KNOWN]: 128, [MAIL_BEYOND]: 872 });
  expect(bed.tally(message(THEIRS, other), 128)).toEqual({ [MAIL_KNOWN]: 128 });
  bed.triage.refill(1_099);
  expect(bed.sort(message(THEIRS, OURS))).toBe(MAIL_BEYOND);
  bed.triage.refill(1_100);
  expect(bed.sort(message(THEIRS, OURS))).toBe(MAIL_KNOWN);
});

test("SPIs that look alike to the filter are counted", () => {
  const bed = new Bed();
  const twin = OURS ^ (1n << 40n);
  bed.spis.note(OURS, true);
  bed.spis.note(twin, true);
  bed.spis.note(OURS, false);
  expect(bed.sort(message(THEIRS, twin))).toBe(MAIL_KNOWN);
  bed.spis.note(twin, false);
  bed.spis.note(twin, false);
  expect(bed.sort(message(THEIRS, twin))).toBe(MAIL_STRANGER);
  bed.spis.note(twin, true);
  expect(bed.sort(message(THEIRS, twin))).toBe(MAIL_KNOWN);
});

test("a header that is cut off, or has another length, is nonsense", () => {
  const bed = new Bed();
  const whole = message(THEIRS, OURS);
  for (let length = 0; length < whole.length; length++) expect(bed.sort(whole, length)).toBe(MAIL_NONSENSE);
  expect(bed.sort(whole, whole.length + 1)).toBe(MAIL_NONSENSE);
  const random = new SeededRandom(1);
  for (let i = 0; i < 1000; i++) expect(bed.sort(random.octets(random.below(600)))).toBe(MAIL_NONSENSE);
});

test("strangers share an allowance for each second, those who show a cookie another, and we keep out of both", () => {
  const bed = new Bed();
  bed.spis.note(OURS, true);
  const plain = message(THEIRS, 0n);
  const withCookie = message(THEIRS, 0n, { payloads: [notify(NotifyType.COOKIE, new Uint8Array(32))] });
  const other = message(THEIRS, 0n, { payloads: [notify(NotifyType.INITIAL_CONTACT)] });
  bed.triage.refill(1000);
  expect(bed.tally(plain, 100_000)).toEqual({ [MAIL_STRANGER]: 2000, [MAIL_BEYOND]: 98_000 });
  expect(bed.sort(other)).toBe(MAIL_BEYOND);
  expect(bed.tally(withCookie, 100_000)).toEqual({ [MAIL_STRANGER]: 500, [MAIL_BEYOND]: 99_500 });
  expect(bed.tally(message(THEIRS, OURS), 100)).toEqual({ [MAIL_KNOWN]: 100 });
  let admitted = 0;
  for (let now = 1000; now < 2000; now++) {
    bed.triage.refill(now + 1);
    admitted += bed.tally(plain, 1000)[MAIL_STRANGER] ?? 0;
  }
  expect(admitted).toBe(20_000);
  // A clock that goes back gives nothing, and takes nothing.
  bed.triage.refill(0);
  expect(bed.sort(plain)).toBe(MAIL_BEYOND);
});
