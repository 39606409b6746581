import { androidProfile } from "./android.ts";
import { appleProfile } from "./apple.ts";
import { type ClientFacts, checkFacts, type Profile } from "./client-facts.ts";
import type { ClientKind } from "./client-kind.ts";
import { networkManagerProfile } from "./network-manager.ts";
import { windowsProfile } from "./windows.ts";

const MAKERS: Readonly<Record<ClientKind, (facts: ClientFacts) => Profile>> = {
  windows: windowsProfile,
  apple: appleProfile,
  android: androidProfile,
  networkmanager: networkManagerProfile,
};

/** The file that sets the client up. Throws PolicyError for what it cannot hold. */
export function makeProfile(kind: ClientKind, facts: ClientFacts): Profile {
  checkFacts(facts);
  return MAKERS[kind](facts);
}
