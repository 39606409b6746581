import { readFileSync } from "node:fs";
import { formatAddress, parseAddress } from "../bytes/ip-address.ts";
import type { KeptSession } from "../engine/kept-session.ts";

/** Nobody nests deeper: a shell in sudo in a shell in a terminal multiplexer. */
const MOST_ANCESTORS = 64;
const VARIABLE = "SSH_CONNECTION=";

/**
 * The SSH session in which a command was typed, or undefined. The variable by which sshd says so is looked for in the processes above as
 * well: sudo does not hand it on. Addresses that belong to a link are without its name.
 */
export function sshSession(
  facts: { readonly environment?: NodeJS.ProcessEnv; readonly parent?: number; readonly proc?: string } = {},
): KeptSession | undefined {
  const { environment = process.env, parent = process.ppid, proc = "/proc" } = facts;
  const own = environment.SSH_CONNECTION;
  if (own !== undefined) return sessionOf(own);
  let pid: number | undefined = parent;
  for (let depth = 0; depth < MOST_ANCESTORS && pid !== undefined && pid > 1; depth++) {
    const said = textOf(`${proc}/${pid}/environ`)
      .split("\0")
      .find((variable) => variable.startsWith(VARIABLE));
    if (said !== undefined) return sessionOf(said.slice(VARIABLE.length));
    pid = parentOf(textOf(`${proc}/${pid}/stat`));
  }
  return undefined;
}

/** Whether it takes no route that a tunnel changes: it stays on this machine or this link. */
export function isNear({ peer }: KeptSession): boolean {
  const address = parseAddress(peer)!;
  if (address.length === 4) return address[0] === 127;
  const isLinkLocal = address[0] === 0xfe && (address[1]! & 0xc0) === 0x80;
  return isLinkLocal || (address[15] === 1 && address.subarray(0, 15).every((octet) => octet === 0));
}

/** "CLIENT PORT SERVER PORT", as sshd(8) has it; a link-local address names its link behind a "%". */
function sessionOf(text: string): KeptSession | undefined {
  const [client = "", , server = "", port = ""] = text.split(" ");
  const [peer, address] = [client, server].map((each) => parseAddress(each.split("%", 1)[0]!));
  if (peer === undefined || address === undefined || peer.length !== address.length) return undefined;
  if (!/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65_535) return undefined;
  return { address: formatAddress(address), port: Number(port), peer: formatAddress(peer) };
}

/** proc(5): the fourth field, behind a name in parentheses that may hold anything. */
function parentOf(stat: string): number | undefined {
  const [, field] = /^.*\) \S (\d+)/s.exec(stat) ?? [];
  return field === undefined ? undefined : Number(field);
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
