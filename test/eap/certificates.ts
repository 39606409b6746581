import type { TlsCredential } from "../../src/eap/tls/tls-endpoint.ts";
import { createAuthority, generateKeys, issue, type NewKey } from "../../src/pki/authority.ts";

/** A CA, a server and a client, and how either judges what the other shows: by its issuer alone, which is enough to tell them apart. */
export async function lab(kind: NewKey = "p256") {
  const nowMs = Date.now();
  const keys = await generateKeys(kind);
  const authority = createAuthority({ name: "CN=Lab CA", keys, nowMs });
  const credential = async (purpose: "server" | "client", altName: string): Promise<TlsCredential> => {
    const own = await generateKeys(kind);
    const issued = issue(authority, {
      purpose,
      name: `CN=${altName}`,
      altNames: [altName],
      keys: own,
      nowMs,
    });
    return { chain: [issued.certificate, authority.certificate], key: issued.privateKey };
  };
  return {
    authority,
    server: await credential("server", "gw.example.org"),
    client: await credential("client", "anna@example.org"),
  };
}
