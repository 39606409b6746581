import { expect, test } from "vitest";
import { ConnectionState } from "../../src/engine/connection-state.ts";
import type { IkeEvent } from "../../src/ike/io.ts";
import { initiatorPolicy } from "../support/simulator/index.ts";

function lost(reason: string): IkeEvent {
  const message = `IKE SA with b.example.org deleted: ${reason}`;
  return { name: "ike-sa-deleted", level: "error", connection: "tunnel", message, facts: { reason } };
}

test.each([
  ["start", undefined, "wanted"],
  ["respond", undefined, "neither"],
  ["trap", undefined, "trapped"],
  ["start", "clear", "neither"],
  ["trap", "clear", "neither"],
  ["respond", "restart", "wanted"],
  ["trap", "restart", "wanted"],
  ["start", "trap", "trapped"],
  ["respond", "trap", "trapped"],
] as const)(
  "a connection of start: %s with the liveness action %s, when its peer falls silent, is %s",
  (start, action, expected) => {
    const liveness = action === undefined ? {} : { action };
    const connection = new ConnectionState({ ...initiatorPolicy({ liveness }), start });
    connection.observe(lost("timeout"));
    expect([connection.isWanted, connection.isTrapped]).toEqual([
      expected === "wanted",
      expected === "trapped",
    ]);
  },
);

test("only silence calls for the liveness action", () => {
  const connection = new ConnectionState({
    ...initiatorPolicy({ liveness: { action: "clear" } }),
    start: "start",
  });
  connection.observe(lost("peer-deleted"));
  expect(connection.isWanted).toBe(true);
});
