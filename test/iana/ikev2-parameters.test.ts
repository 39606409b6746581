import { expect, test } from "vitest";
import * as parameters from "../../src/iana/ikev2-parameters.ts";
import { IpProtocol } from "../../src/iana/ip-protocols.ts";

const { nameOf, ExchangeType, NotifyType, FIRST_NOTIFY_STATUS_TYPE } = parameters;

test("values print by their registry name, unknown ones as themselves", () => {
  expect(nameOf(ExchangeType, 34)).toBe("IKE_SA_INIT");
  expect(nameOf(ExchangeType, 99)).toBe("99");
  expect(nameOf(NotifyType, 14)).toBe("NO_PROPOSAL_CHOSEN");
});

test("every registry gives each number one name, in rising order", () => {
  const tables = [...Object.values(parameters).filter((value) => typeof value === "object"), IpProtocol];
  expect(tables.length).toBeGreaterThan(15);
  for (const table of tables) {
    const numbers = Object.values<number>(table);
    expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
  }
});

test("errors lie below the status types", () => {
  expect(NotifyType.MS_STATUS).toBeLessThan(FIRST_NOTIFY_STATUS_TYPE);
  expect(NotifyType.INITIAL_CONTACT).toBe(FIRST_NOTIFY_STATUS_TYPE);
});
