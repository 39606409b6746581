import { expect, test } from "vitest";
import { isSamePolicy } from "../../src/engine/same-policy.ts";
import type { RemoteAuthentication } from "../../src/policy/connection.ts";
import { type SigningKeyName, signingKeys } from "../support/signing-keys.ts";
import { authenticating, initiatorPolicy } from "../support/simulator/index.ts";

function knowing(...names: readonly SigningKeyName[]) {
  const keys = names.map((name) => signingKeys(name).publicKey);
  const remote: RemoteAuthentication = { kind: "raw-key", keys };
  return authenticating(initiatorPolicy(), { remote: [remote] });
}

test("a peer with another public key or pre-shared key is another peer", () => {
  expect(isSamePolicy(knowing("p256"), knowing("p256"))).toBe(true);
  expect(isSamePolicy(knowing("p256"), knowing("p384"))).toBe(false);
  expect(isSamePolicy(knowing("p256", "p384"), knowing("p256"))).toBe(false);
  expect(isSamePolicy(initiatorPolicy(), initiatorPolicy())).toBe(true);
  expect(isSamePolicy(initiatorPolicy(), initiatorPolicy({ psk: "another one" }))).toBe(false);
  expect(isSamePolicy(initiatorPolicy(), undefined)).toBe(false);
});
