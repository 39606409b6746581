import { type ClientFacts, fileNameOf, type Profile } from "./client-facts.ts";
import { stableUuid } from "./stable-uuid.ts";

/**
 * A profile for the strongSwan app of Android (media type application/vnd.strongswan.profile). It names no algorithms: what the app
 * offers by itself is strong, and gets better with the app.
 */
export function androidProfile(facts: ClientFacts): Profile {
  const { domain, user, password, authority, networks, hasIpv6 } = facts;
  const splitTunneling = {
    ...(networks.length > 0 && { subnets: networks }),
    // What the tunnel does not carry must not go around it either.
    ...(networks.length === 0 && !hasIpv6 && { "block-ipv6": true }),
  };
  const profile = {
    uuid: stableUuid(domain, user, "sswan"),
    name: domain,
    type: "ikev2-eap",
    remote: {
      addr: domain,
      id: domain,
      ...(authority !== undefined && { cert: Buffer.from(authority).toString("base64") }),
    },
    local: { eap_id: user, ...(password !== undefined && { shared_secret: password }) },
    ...(Object.keys(splitTunneling).length > 0 && { "split-tunneling": splitTunneling }),
  };
  return { fileName: fileNameOf(facts, "sswan"), content: `${JSON.stringify(profile, undefined, 2)}\n` };
}
