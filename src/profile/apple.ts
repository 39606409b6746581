import { type ClientFacts, fileNameOf, type Profile } from "./client-facts.ts";
import { formatPlist, type PlistValue } from "./plist.ts";
import { stableUuid } from "./stable-uuid.ts";

/** Once algorithms are named, Apple's systems offer these alone; the PRF follows from the integrity algorithm. */
const ALGORITHMS = {
  EncryptionAlgorithm: "AES-256-GCM",
  IntegrityAlgorithm: "SHA2-256",
  DiffieHellmanGroup: 19,
  // Just short of a day: with less, macOS drops the connection whenever it rekeys.
  LifeTimeInMinutes: 1410,
};

/** A configuration profile for iPhones, iPads and Macs: the user's name, and no certificate but the gateway's. */
export function appleProfile(facts: ClientFacts): Profile {
  const { domain, user } = facts;
  const identifier = `ikebana.${stableUuid(domain, user)}`;
  const content = formatPlist({
    PayloadType: "Configuration",
    PayloadVersion: 1,
    PayloadIdentifier: identifier,
    PayloadUUID: uuid(facts, "profile"),
    PayloadDisplayName: `VPN ${domain}`,
    PayloadDescription: `Connects ${user} with ${domain} (IKEv2).`,
    PayloadRemovalDisallowed: false,
    PayloadContent: [...authorityPayload(facts, identifier), vpnPayload(facts, identifier)],
  });
  return { fileName: fileNameOf(facts, "mobileconfig"), content };
}

function vpnPayload(facts: ClientFacts, identifier: string): PlistValue {
  const { domain, networks } = facts;
  return {
    PayloadType: "com.apple.vpn.managed",
    PayloadVersion: 1,
    PayloadIdentifier: `${identifier}.vpn`,
    PayloadUUID: uuid(facts, "vpn"),
    PayloadDisplayName: `VPN ${domain}`,
    UserDefinedName: domain,
    VPNType: "IKEv2",
    IKEv2: {
      RemoteAddress: domain,
      RemoteIdentifier: domain,
      LocalIdentifier: facts.user,
      // With ExtendedAuthEnabled this means: a name and a password, and no certificate of the device.
      AuthenticationMethod: "None",
      ExtendedAuthEnabled: 1,
      AuthName: facts.user,
      ...(facts.password !== undefined && { AuthPassword: facts.password }),
      IKESecurityAssociationParameters: ALGORITHMS,
      ChildSecurityAssociationParameters: ALGORITHMS,
      EnablePFS: 1,
      DeadPeerDetectionRate: "Medium",
      DisableRedirect: 1,
      UseConfigurationAttributeInternalIPSubnet: networks.length === 0 ? 0 : 1,
      ...(facts.onDemand && { OnDemandEnabled: 1, OnDemandRules: [{ Action: "Connect" }] }),
    },
    ...(networks.length === 0 && { IPv4: { OverridePrimary: 1 } }),
  };
}

function authorityPayload(facts: ClientFacts, identifier: string): readonly PlistValue[] {
  const { authority, domain } = facts;
  if (authority === undefined) return [];
  return [
    {
      PayloadType: "com.apple.security.root",
      PayloadVersion: 1,
      PayloadIdentifier: `${identifier}.authority`,
      PayloadUUID: uuid(facts, "authority"),
      PayloadDisplayName: `CA of ${domain}`,
      PayloadContent: authority,
    },
  ];
}

function uuid({ domain, user }: ClientFacts, part: string): string {
  return stableUuid(domain, user, part).toUpperCase();
}
