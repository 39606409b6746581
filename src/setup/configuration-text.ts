import { Document, isSeq, visit } from "yaml";

/** What `ikebana setup` decides. Paths are relative to the configuration's folder, or absolute. */
export interface GatewayChoices {
  readonly domain: string;
  readonly certificate: string;
  readonly key: string;
  readonly users: string;
  readonly pool: readonly string[];
  readonly dns: readonly string[];
}

/** The configuration file of a gateway: short, since what is left out has sensible defaults. */
export function configurationText({ domain, certificate, key, users, pool, dns }: GatewayChoices): string {
  const gateway = {
    domain,
    certificate,
    key,
    users,
    pool,
    ...(dns.length > 0 && { dns }),
    // Clients have addresses of their own that nobody else knows a way to.
    nat: true,
  };
  return [
    "# Users log in with this domain, their name and their password. docs/configuration.md explains every key;",
    "# after a change: ikebana config check && ikebana reload",
    yamlOf({ gateway }),
  ].join("\n");
}

/** Lists on one line, as people write them. */
function yamlOf(value: unknown): string {
  const document = new Document(value);
  visit(document, (_, node) => {
    if (isSeq(node)) node.flow = true;
  });
  return document.toString({ lineWidth: 0, flowCollectionPadding: false });
}
