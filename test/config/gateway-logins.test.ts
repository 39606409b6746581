import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { GatewayLogins } from "../../src/config/gateway-logins.ts";
import { ntHash } from "../../src/crypto/nt-hash.ts";
import { createEapServer } from "../../src/eap/server.ts";
import { systemRandom } from "../../src/platform/random.ts";
import type { User } from "../../src/users/user.ts";
import { changeUsers } from "../../src/users/users-file.ts";
import { converse, passwordClient } from "../eap/conversation.ts";

let folder: string;
let usersFile: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "ikebana-gateway-logins-"));
  usersFile = join(folder, "users.yaml");
  putAnna({});
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function putAnna(changes: Partial<User>): void {
  const anna = {
    name: "anna",
    ntHash: ntHash("x"),
    isDisabled: false,
    devices: undefined,
    expires: undefined,
    ...changes,
  };
  changeUsers(usersFile, (draft) => draft.put(anna));
}

function removeAnna(): void {
  changeUsers(usersFile, (draft) => draft.remove("anna"));
}

/** Of one life of a gateway; with another name it is another life. */
async function logIn(password = "x", name = "vpn.example.org"): Promise<GatewayLogins> {
  const logins = GatewayLogins.of({ usersFile, name });
  const server = createEapServer({ methods: [logins.method], random: systemRandom });
  const { server: end } = await converse(server, passwordClient("anna", password));
  expect(end?.kind).toBe("success");
  return logins;
}

test("a login holds for as long as the account stays as it is, also in the gateway's next life", async () => {
  const logins = await logIn();
  const stamp = logins.stampOf("anna")!;
  putAnna({ devices: 3 });
  expect(logins.confirms("anna", stamp)).toBe(true);
  const next = GatewayLogins.of({ usersFile, name: "next.example.org" });
  expect(next.stampOf("anna")).toBeUndefined();
  expect(next.confirms("berta", stamp)).toBe(false);
  expect(next.confirms("anna", stamp)).toBe(true);
  expect(next.stampOf("anna")).toEqual(stamp);
});

test.each([
  ["has another password", () => putAnna({ ntHash: ntHash("another") })],
  ["is disabled", () => putAnna({ isDisabled: true })],
  ["has expired", () => putAnna({ expires: "2001-01-01" })],
  ["was removed", removeAnna],
])("whose user %s has no login any more, whoever asks for its stamp now or before", async (_, change) => {
  const logins = await logIn();
  const before = logins.stampOf("anna")!;
  change();
  const after = logins.stampOf("anna");
  // Undefined is for those who are no users of ours, and would be good for an hour.
  expect(after).toBeDefined();
  for (const life of [logins, GatewayLogins.of({ usersFile, name: "next.example.org" })]) {
    expect(life.confirms("anna", before)).toBe(false);
    expect(life.confirms("anna", after!)).toBe(false);
  }
});

test("a login by a new password does nothing for the one by the old", async () => {
  const logins = await logIn();
  const before = logins.stampOf("anna")!;
  putAnna({ ntHash: ntHash("another") });
  await logIn("another");
  expect(logins.confirms("anna", before)).toBe(false);
  expect(logins.confirms("anna", logins.stampOf("anna")!)).toBe(true);
});
