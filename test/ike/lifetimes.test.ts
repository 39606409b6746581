import { expect, test } from "vitest";
import { ExchangeType } from "../../src/iana/ikev2-parameters.ts";
import { decodeHeader } from "../../src/wire/message.ts";
import { establishedPair } from "../support/simulator/index.ts";

const HOUR = 3_600_000;

test("of a hundred and fifty pairs whose lifetimes began together, none begins to rekey on both sides at once", () => {
  for (const what of ["child", "ike"] as const) {
    const times: number[] = [];
    for (let seed = 0; seed < 150; seed++) {
      const { initiator, responder, link } = establishedPair({
        seed,
        limits: {
          livenessMs: Number.POSITIVE_INFINITY,
          childRekeyMs: what === "child" ? HOUR : Number.POSITIVE_INFINITY,
          ikeRekeyMs: what === "ike" ? HOUR : Number.POSITIVE_INFINITY,
        },
      });
      link.fate = () => [50];
      const first = link.transmitted.length;
      link.run({ until: 1.05 * HOUR });
      const requests = link.transmitted.slice(first).filter(({ octets }) => {
        const { exchangeType, isResponse } = decodeHeader(octets);
        return exchangeType === ExchangeType.CREATE_CHILD_SA && !isResponse;
      });
      expect(requests, `seed ${seed}`).toHaveLength(1);
      expect([initiator, responder]).toContain(requests[0]!.from);
      times.push(requests[0]!.at);
    }
    // Spread over a tenth of the lifetime; the earlier of two draws has its middle at a third of that from the beginning.
    expect(Math.min(...times)).toBeGreaterThanOrEqual(0.9 * HOUR);
    expect(Math.max(...times)).toBeLessThanOrEqual(HOUR);
    const mean = times.reduce((sum, at) => sum + at, 0) / times.length;
    expect(mean).toBeGreaterThan(0.925 * HOUR);
    expect(mean).toBeLessThan(0.945 * HOUR);
  }
});
