import { describe, expect, test } from "vitest";
import { fromHex } from "../../src/bytes/hex.ts";
import { NotifyType } from "../../src/iana/ikev2-parameters.ts";
import { firstImpression, guessClient } from "../../src/ike/client-guess.ts";
import { encodeWindowSize, notify } from "../../src/ike/payloads.ts";
import type { Payload } from "../../src/wire/payloads/payload.ts";

// What real clients are taken for is in test/personas.

const WINDOWS = "1e2b516905991c7d7c96fcbfb587e461";
const vendor = (hex: string): Payload => ({ kind: "vendor-id", critical: false, data: fromHex(hex) });
const hashes = notify(NotifyType.SIGNATURE_HASH_ALGORITHMS, Uint8Array.of(0, 2));
const window = (size: number) => notify(NotifyType.SET_WINDOW_SIZE, encodeWindowSize(size));
const guess = (init: readonly Payload[], auth: readonly Payload[] = []) =>
  guessClient(firstImpression(init), auth);

describe("a client is taken for", () => {
  test("what it says that it is, in any version", () => {
    expect(guess([vendor(`${WINDOWS}00000009`)])).toBe("windows");
    expect(guess([vendor("882fe56d6fd20dbc2251613b2ebe5beb")])).toBe("strongswan");
  });

  test("nobody, where nothing or too little is known of it", () => {
    expect(guess([])).toBe("unknown");
    expect(guess([vendor(""), vendor(WINDOWS.slice(2))])).toBe("unknown");
    expect(guess([notify(NotifyType.REDIRECT_SUPPORTED)])).toBe("unknown");
    expect(guess([hashes], [window(1)])).toBe("unknown");
    expect(guess([hashes], [notify(NotifyType.SET_WINDOW_SIZE, new Uint8Array(3))])).toBe("unknown");
  });

  test("Ikebana, which takes several requests at a time, whether it moves or not", () => {
    expect(guess([hashes], [window(8)])).toBe("ikebana");
    expect(guess([hashes], [window(8), notify(NotifyType.MOBIKE_SUPPORTED)])).toBe("ikebana");
  });

  test("nobody, where what it says has no end", () => {
    const noise = Array.from({ length: 1000 }, () => vendor("00"));
    expect(guess([...noise.slice(0, 15), vendor(WINDOWS)])).toBe("windows");
    expect(guess([...noise, vendor(WINDOWS)])).toBe("unknown");
  });
});
