export interface DeployHookFacts {
  /** Name of the certificate in certbot: the last part of its folder below `live/`. */
  readonly lineage: string;
  /** Where the gateway reads certificate and key. */
  readonly certificate: string;
  readonly key: string;
  /** Words of the command that has a running gateway read them again. */
  readonly reload: readonly string[];
}

/**
 * A deploy hook of certbot: only root can read what certbot keeps, so that each renewed certificate is copied to where the gateway
 * reads it, readable for whoever owns that folder. The gateway is told when both files are in place.
 */
export function deployHook({ lineage, certificate, key, reload }: DeployHookFacts): string {
  return [
    "#!/bin/sh",
    `# Written by "ikebana setup": hands renewed certificates to the gateway.`,
    "set -eu",
    `[ "\${RENEWED_LINEAGE##*/}" = ${quote(lineage)} ] || exit 0`,
    "umask 077",
    "deploy() {",
    '  cp "$1" "$2.new"',
    '  chown --reference="$(dirname "$2")" "$2.new"',
    '  mv "$2.new" "$2"',
    "}",
    `deploy "$RENEWED_LINEAGE/privkey.pem" ${quote(key)}`,
    `deploy "$RENEWED_LINEAGE/fullchain.pem" ${quote(certificate)}`,
    "# A gateway that does not run reads them when it starts.",
    `${reload.map(quote).join(" ")} || true`,
    "",
  ].join("\n");
}

function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
